"""The bars of the area `trust`: protocol, terms, budgets, revocation, statistics, evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.bars import Bar, Measure, Measured
from benchmarks.commands import python, run
from benchmarks.engine_measures import once, suite

LONGEST_S = 3600.0
DURABLE_PER_S, GROUP_MS, VERIFIED_S = 3000.0, 50.0, 15.0

FULL_PAGE = 100
"""Datasets from which on a page of the catalogue is full."""

Judge = Callable[[dict[str, Any]], Measured]


def bars() -> Sequence[Bar]:
    """List the bars in the order of the table that asks for them."""
    return (*_protocol(), *_terms(), *_revocation(), *_statistics(), *_evidence(), *_speed())


def _protocol() -> tuple[Bar, ...]:
    return (
        _suite(
            "1",
            "every state, message and sender; both machines, both roles",
            "tests/conformance/test_dsp_machines.py",
            "tests/property/test_dsp_machines.py",
            "tests/property/test_dsp_crossings.py",
        ),
        _suite(
            "2",
            "official schemas and examples; malformed documents",
            "tests/conformance",
            "tests/behaviour/dataspace/test_malformed.py",
        ),
        _suite(
            "3", "kill -9 at every step of the outbox", "tests/scenario/protocol/test_kill_nine.py"
        ),
        _suite("7", "a hostile hub: each attack refused, with evidence", "tests/behaviour/hostile"),
    )


def _terms() -> tuple[Bar, ...]:
    return (
        _suite(
            "4",
            "twelve operands: allow, deny, malformed; unknown terms",
            "tests/unit/dataspace/test_policy.py",
            "tests/property/test_policy.py",
        ),
        _bar("4", "one decision", "p99 ≤ 1 ms", "policy", _decision),
        _bar(
            "5",
            "1,000 claims at once on count = 10 and on budgets of ε",
            "exactly as many as fit; no charge lost",
            "budgets",
            _claims,
        ),
    )


def _revocation() -> tuple[Bar, ...]:
    return (
        _bar(
            "6",
            "revoked in the middle of a training step",
            "job gone ≤ 5 s, nothing leaves afterwards",
            "revocation",
            _revoked,
        ),
        _suite(
            "6",
            "revocation: evidence on both sides, the counterpart learns why",
            "tests/scenario/revocation",
            "tests/behaviour/dataspace/test_revocation.py",
        ),
    )


def _statistics() -> tuple[Bar, ...]:
    return (
        _suite(
            "8",
            "statistics against pooled computation",
            "tests/behaviour/statistics",
            "tests/science",
            "tests/scenario/statistics",
        ),
        _bar(
            "8",
            "10,000 differencing pairs, and all answers solved together",
            "no single patient",
            "statistics",
            _differencing,
        ),
    )


def _evidence() -> tuple[Bar, ...]:
    return (
        _bar("9", "durable entries", "≥ 3,000/s in commits of ≤ 50 ms", "evidence", _written),
        _bar("9", "checkpoint of 1,000,000 entries", "≤ 1 s", "evidence", _checkpoint),
        _bar("9", "1,000,000 entries verified", "≤ 15 s", "evidence", _verified),
        _bar("9", "10,000 random mutations", "all found", "evidence", _mutated),
        _suite("9", "proofs against an independent implementation", "tests/unit/ledger"),
    )


def _speed() -> tuple[Bar, ...]:
    return (
        _bar(
            "10",
            "catalogue and negotiations; from 10 to 100,000 datasets",
            "measured; a page costs the same",
            "dataspace",
            _exchanged,
        ),
    )


def _suite(row: str, name: str, *paths: str) -> Bar:
    command = f"pytest {' '.join(paths)}"
    return Bar(
        row=row, name=name, wanted="all pass", command=command, measure=suite(*paths), long=True
    )


def _bar(row: str, name: str, wanted: str, word: str, judge: Judge) -> Bar:
    return Bar(
        row=row,
        name=name,
        wanted=wanted,
        command=f"python -m benchmarks.{word}",
        measure=_measured(word, judge),
    )


def _measured(word: str, judge: Judge) -> Measure:
    def measure(quick: bool) -> Measured:
        return judge(_last_json(word, quick))

    return measure


@once
def _last_json(word: str, quick: bool) -> dict[str, Any]:
    command = python("-m", f"benchmarks.{word}", *(("--quick",) if quick else ()))
    return run(command, timeout_s=LONGEST_S, strict=False).last_json()


def _decision(found: dict[str, Any]) -> Measured:
    words = f"p50 {found['p50_ms']:.3f} ms, p99 {found['p99_ms']:.3f} ms"
    return Measured(figure=f"{words} (n = {found['decisions']})", met=found["met"])


def _claims(found: dict[str, Any]) -> Measured:
    rows = found["budgets"]
    lines = [
        f"{row['database']:<12} {row['what']:<28} {row['granted']} of {row['wanted']} fitting, "
        f"{row['kept']} kept, {row['proved']} proved, {row['seconds']:.1f} s"
        for row in rows
    ]
    exact = sum(row["met"] for row in rows)
    return Measured(
        figure=f"exact in {exact} of {len(rows)} runs", met=found["met"], details="\n".join(lines)
    )


def _revoked(found: dict[str, Any]) -> Measured:
    gone, left = found["job_gone_s"], found["left_after_revocation"]
    return Measured(
        figure=f"job gone: median {gone['median']} s, most {gone['most']} s "
        f"(n = {found['times']}); left afterwards: {left}",
        met=found["holds"],
    )


def _differencing(found: dict[str, Any]) -> Measured:
    ours, control = found["gate"], found["threshold alone"]
    taken = ours["patients_by_pairs"] + ours["patients_by_algebra"]
    stolen = control["patients_by_pairs"] + control["patients_by_algebra"]
    return Measured(
        figure=f"{taken} patients recovered from {ours['pairs']} pairs and {ours['equations']} "
        f"equations; {stolen} where a threshold stands alone ({control['pairs']} pairs)",
        met=taken == 0 and stolen > 0,
    )


def _written(found: dict[str, Any]) -> Measured:
    lines = [
        f"{place:<16} {told['entries_per_s']:8,.0f} entries/s, commit p50 "
        f"{told['commit_p50_ms']:.1f} ms, p99 {told['commit_p99_ms']:.1f} ms"
        for place, told in found["writing"].items()
    ]
    best = max(found["writing"].values(), key=lambda told: float(told["entries_per_s"]))
    return Measured(
        figure=f"{best['entries_per_s']:,.0f}/s, commits p50 {best['commit_p50_ms']:.0f} ms, "
        f"p99 {best['commit_p99_ms']:.0f} ms",
        met=best["entries_per_s"] >= DURABLE_PER_S and best["commit_p50_ms"] <= GROUP_MS,
        details="\n".join(lines),
    )


def _checkpoint(found: dict[str, Any]) -> Measured:
    log = found["log"]
    figure = f"{log['checkpoint_s']:.3f} s ({log['entries']:,.0f} entries)"
    return Measured(figure=figure, met=log["checkpoint_s"] <= 1)


def _verified(found: dict[str, Any]) -> Measured:
    log = found["log"]
    figure = f"{log['verified_s']:.1f} s ({log['entries']:,.0f} entries)"
    return Measured(figure=figure, met=log["verified_s"] <= VERIFIED_S)


def _mutated(found: dict[str, Any]) -> Measured:
    told = found["mutations"]
    figure = f"{told['found']} of {told['tried']} found, {told['named']} with the first bad entry"
    return Measured(figure=figure, met=told["found"] == told["tried"])


def _exchanged(found: dict[str, Any]) -> Measured:
    lines = [
        f"{place:<11} {what:<28} {rate['per_s']:7.1f}/s  p50 {rate['p50_s'] * 1e3:7.1f} ms  "
        f"p99 {rate['p99_s'] * 1e3:7.1f} ms"
        for place, rates in found["rates"].items()
        for what, rate in rates.items()
    ]
    growth = found["growth"]
    lines += [
        f"{size:>7} datasets: " + ", ".join(f"{k} {v * 1e3:.1f} ms" for k, v in row.items())
        for size, row in growth.items()
    ]
    # A page holds fifty entries: with ten datasets it is not full, and cheaper for that.
    sizes = [size for size in growth if int(size) >= FULL_PAGE]
    few, most = growth[sizes[0]], growth[sizes[-1]]
    times = {name: most[name] / few[name] for name in few}
    grown = ", ".join(f"{name} × {factor:.2f}" for name, factor in times.items())
    rates = found["rates"]["SQLite"]
    return Measured(
        figure=f"one at a time: {rates['catalogue, 1 at once']['per_s']:.0f} pages/s, "
        f"{rates['negotiation, 1 at once']['per_s']:.1f} negotiations/s; "
        f"{sizes[0]} → {sizes[-1]} datasets: {grown}",
        met=max(times.values()) <= 3,
        details="\n".join(lines),
    )

"""How the bars of the area `engine` are measured: each runs a command and reads its answer.

Bars that share a command run it once, also when it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from benchmarks import science
from benchmarks.bars import Measure, Measured
from benchmarks.commands import ROOT, FailedError, last_lines, pytest_counts, python, run
from benchmarks.comparison import FIRST, LAST, OVERHEAD, WALL, WIRE, Comparison
from benchmarks.measuring import spread

SUITE_S = 1800.0
BOTH = ("FedAvg, lr 1e-2", "FedAdam, lr 1e-2")
"""The protocols whose recalibrated figures have to meet the bar."""

Result = TypeVar("Result")


def fresh_demo(name: str, most: float, unit: str) -> Measure:
    """Judge a figure of the demo in a fresh clone."""

    def measure(quick: bool) -> Measured:
        found = _benchmark("fresh", quick, "demo")[name]
        return Measured(figure=f"{found:.0f} {unit}", met=found <= most)

    return measure


def fresh_target(target: str, *, most_s: float = float("inf")) -> Measure:
    """Judge one of make's targets in a fresh clone."""

    def measure(quick: bool) -> Measured:
        found = _benchmark("fresh", quick, "tests")[target]
        words = _words(found["counts"]) or ("green" if found["green"] else "not green")
        return Measured(
            figure=f"{words}, {found['seconds']:.0f} s",
            met=found["green"] and found["seconds"] <= most_s,
            details="" if found["green"] else found["end"],
        )

    return measure


def fresh_total(most_s: float) -> Measure:
    """Judge all checks and tests in a fresh clone together."""

    def measure(quick: bool) -> Measured:
        found = _benchmark("fresh", quick, "tests")["total_s"]
        return Measured(figure=f"{found:.0f} s", met=found <= most_s)

    return measure


def accuracy_near(protocol: str, middle: float, within: float) -> Measure:
    """Judge the raw mean-site accuracy of a protocol against the published one."""

    def measure(quick: bool) -> Measured:
        found = _science(quick)[0][protocol]["federated"].accuracy
        return Measured(figure=f"{found:.3f}", met=abs(found - middle) <= within)

    return measure


def recalibrated_least(what: str, bar: float) -> Measure:
    """Judge a recalibrated figure, `accuracy` or `auroc`, of both protocols."""

    def measure(quick: bool) -> Measured:
        table, text = _science(quick)
        found = {name: getattr(table[name]["recalibrated"], what) for name in BOTH}
        return Measured(
            figure=", ".join(f"{value:.3f} ({name})" for name, value in found.items()),
            met=min(found.values()) >= bar,
            details=text if what == "accuracy" else "",
        )

    return measure


def real_engine(*, accuracy: float, auroc: float) -> Measure:
    """Judge the recalibrated figures of the demo on the four real hospitals."""

    def measure(quick: bool) -> Measured:
        found = science.run_demos(seeds=science.SEEDS[:1] if quick else science.SEEDS)
        ours, rank = found["recalibrated accuracy"], found["recalibrated auroc"]
        return Measured(
            figure=f"accuracy {ours:.3f}, AUROC {rank:.3f} "
            f"(raw: {found['federated accuracy']:.3f}, {found['federated auroc']:.3f})",
            met=ours >= accuracy and rank >= auroc,
        )

    return measure


def suite(*paths: str) -> Measure:
    """Run tests; every one of them must pass."""

    def measure(quick: bool) -> Measured:
        del quick
        missing = [path for path in paths if not (ROOT / path).exists()]
        if missing:
            raise FailedError(f"no such tests: {', '.join(missing)}")
        done = run(python("-m", "pytest", "-q", *paths), strict=False, timeout_s=SUITE_S)
        counts = pytest_counts(done.text)
        green = done.status == 0 and counts.get("passed", 0) > 0
        return Measured(
            figure=_words(counts) or "no test ran",
            met=green,
            details="" if green else last_lines(done.text),
        )

    return measure


def timing(name: str, *, judge: Callable[[list[float]], float], most_s: float) -> Measure:
    """Judge one list of the demo's timing block."""

    def measure(quick: bool) -> Measured:
        found = _benchmark("timing", quick)[name]
        return Measured(figure=spread(found), met=judge(found) <= most_s)

    return measure


def memory(member: str, most: float) -> Measure:
    """Judge the memory of the hub or of a node in every idle state."""

    def measure(quick: bool) -> Measured:
        facts = _benchmark("footprint", quick)
        found = [facts[state][member] for state in ("idle", "after", "alone")]
        words = "idle {:.0f} MB, after a study {:.0f} MB, alone on its machine {:.0f} MB"
        return Measured(
            figure=words.format(*found), met=max(found) <= most, details=_parts(facts, member)
        )

    return measure


def side_by_side(quick: bool) -> Measured:
    """Run the same study by plain FLARE and by us."""
    arguments = ("--quick",) if quick else ()
    done = run(python("-m", "benchmarks.engine", "--json", *arguments), strict=False)
    found = Comparison.from_record(done.last_json())
    shown = (WALL, FIRST, OVERHEAD, LAST, WIRE)
    ratios = ", ".join(f"{what} {found.find(what).ratio:.2f}" for what in shown)
    return Measured(
        figure=f"ratios, ours to plain: {ratios}",
        met=found.is_same_model and all(found.find(what).ratio < 1 for what in (WALL, OVERHEAD)),
        details=found.render(),
    )


def once(call: Callable[..., Result]) -> Callable[..., Result]:
    """Remember what a call gave for its arguments, or how it failed."""

    @cache
    def attempt(*given: Any) -> tuple[Result | None, FailedError | None]:
        try:
            return call(*given), None
        except FailedError as error:
            return None, error

    def recall(*given: Any) -> Result:
        result, error = attempt(*given)
        if result is None:
            raise error or FailedError("nothing was measured")
        return result

    return recall


@once
def _benchmark(name: str, quick: bool, *arguments: str) -> dict[str, Any]:
    command = python("-m", f"benchmarks.{name}", *arguments, "--json")
    return run([*command, *(("--quick",) if quick else ())], timeout_s=2 * SUITE_S).last_json()


@once
def _science(quick: bool) -> tuple[science.Table, str]:
    return science.run_science(quick=quick)


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items() if word != "deselected")


def _parts(facts: dict[str, Any], member: str) -> str:
    name = "hub" if member == "hub" else next(each for each in facts["parts"] if each != "hub")
    return "\n".join(
        f"{part['role']:<22} PSS {part['pss']:>4.0f} MB, its own {part['uss']:>4.0f} MB"
        for part in facts["parts"][name]
    )

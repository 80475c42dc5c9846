"""The bars of the area `engine`: the house, the demo, the engine, their proof.

Every figure comes from a command; bars that share one run it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from benchmarks import science
from benchmarks.bars import Bar, Measure, Measured
from benchmarks.commands import ROOT, FailedError, pytest_counts, python, run
from benchmarks.comparison import FIRST, LAST, OVERHEAD, WALL, WIRE, Comparison
from benchmarks.measuring import median, spread, worst

TRUST = "tests/scenario/trust"
SUITE_S = 1800.0
QUICK = ("--quick",)


def bars() -> Sequence[Bar]:
    """List the bars in the order of the table that asks for them."""
    return (*_house(), *_learning(), *_trust(), *_timing(), *_memory(), *_comparison())


def _house() -> tuple[Bar, ...]:
    clone = "git clone . /tmp/fresh && cd /tmp/fresh && "
    return (
        Bar(
            row="1",
            name="`make demo`, fresh clone, empty caches",
            wanted="exit 0, ≤ 300 s",
            command=f"{clone}PIP_CACHE_DIR=/tmp/pip make demo",
            measure=lambda quick: _at_most(fresh_demo(quick)["cold_s"], 300, "s"),
        ),
        Bar(
            row="1",
            name="`make demo`, warm",
            wanted="≤ 60 s",
            command="make demo",
            measure=lambda quick: _at_most(fresh_demo(quick)["warm_s"], 60, "s"),
        ),
        Bar(
            row="2",
            name="`make check`",
            wanted="green",
            command="make check",
            measure=lambda quick: _green(fresh_tests(quick), "check"),
        ),
        Bar(
            row="2",
            name="plain tests",
            wanted="green, ≤ 120 s",
            command="make plain",
            measure=lambda quick: _green(fresh_tests(quick), "plain", most_s=120),
        ),
        Bar(
            row="2",
            name="scenario tests",
            wanted="green",
            command="make scenario",
            measure=lambda quick: _green(fresh_tests(quick), "scenario"),
            long=True,
        ),
        Bar(
            row="2",
            name="checks and all tests, fresh clone, with installing",
            wanted="≤ 720 s",
            command=f"{clone}make check test",
            measure=lambda quick: _at_most(fresh_tests(quick)["total_s"], 720, "s"),
            long=True,
        ),
    )


def _learning() -> tuple[Bar, ...]:
    tests = f"{science.DATA}=... CONSILIUM_FULL_SCIENCE=1 pytest -s tests/science"
    two = ("FedAvg, lr 1e-2", "FedAdam, lr 1e-2")

    def near(protocol: str, middle: float, within: float) -> Measure:
        def measure(quick: bool) -> Measured:
            found = science_table(quick)[0][protocol]["federated"].accuracy
            return Measured(figure=f"{found:.3f}", met=abs(found - middle) <= within)

        return measure

    def least(what: str, bar: float) -> Measure:
        def measure(quick: bool) -> Measured:
            table, text = science_table(quick)
            found = {name: getattr(table[name]["recalibrated"], what) for name in two}
            figure = ", ".join(f"{value:.3f} ({name})" for name, value in found.items())
            details = text if what == "accuracy" else ""
            return Measured(figure=figure, met=min(found.values()) >= bar, details=details)

        return measure

    return (
        Bar(
            row="3",
            name="heart disease, FedAvg, mean-site accuracy, raw",
            wanted=".685 ± .05",
            command=tests,
            measure=near("FedAvg, lr 1e-3", 0.685, 0.05),
        ),
        Bar(
            row="3",
            name="heart disease, FedAdam, mean-site accuracy, raw",
            wanted=".726 ± .03",
            command=tests,
            measure=near("FedAdam, lr 1e-2", 0.726, 0.03),
        ),
        Bar(
            row="3",
            name="heart disease, recalibrated accuracy",
            wanted="≥ .79",
            command=tests,
            measure=least("accuracy", 0.79),
        ),
        Bar(
            row="3",
            name="heart disease, mean AUROC of the three sites with both classes",
            wanted="≥ .80",
            command=tests,
            measure=least("auroc", 0.80),
        ),
        Bar(
            row="3",
            name="heart disease by the real engine, recalibrated",
            wanted="accuracy ≥ .79, AUROC ≥ .80",
            command="consilium demo --data .../heart_disease --seed 42 (to 46)",
            measure=_real_engine,
        ),
    )


def _trust() -> tuple[Bar, ...]:
    refusals = (f"{TRUST}/test_refusals.py", "tests/scenario/flare/test_admission.py")
    return (
        _suite("4", "planted canaries in all that crosses or is kept", f"{TRUST}/test_bytes.py"),
        _suite(
            "5", "refusals at the hospital", *refusals, "tests/unit/gate", "tests/behaviour/gate"
        ),
        _suite("6", "tampered evidence found", "tests/unit/ledger", "tests/behaviour/ledger"),
        _suite("crashes", "kill -9 of each process", "tests/scenario/crashes", long=True),
    )


def _timing() -> tuple[Bar, ...]:
    command = "python -m benchmarks.timing"

    def figure(name: str, judge: Callable[[list[float]], float], most: float) -> Measure:
        def measure(quick: bool) -> Measured:
            found = demo_timing(quick)[name]
            return Measured(figure=spread(found), met=judge(found) <= most)

        return measure

    return (
        Bar(
            row="7",
            name="engine overhead per round beyond the slowest site's work",
            wanted="median ≤ 0.3 s",
            command=command,
            measure=figure("round_overhead_s", median, 0.3),
        ),
        Bar(
            row="7",
            name="command to first round, space up",
            wanted="worst ≤ 5 s",
            command=command,
            measure=figure("command_to_first_round_s", worst, 5.0),
        ),
        Bar(
            row="7",
            name="last round to finished",
            wanted="worst ≤ 3 s",
            command=command,
            measure=figure("last_round_to_finished_s", worst, 3.0),
        ),
    )


def _memory() -> tuple[Bar, ...]:
    def figure(member: str, most: float) -> Measure:
        def measure(quick: bool) -> Measured:
            facts = footprint(quick)
            found = [facts[state][member] for state in ("idle", "after", "alone")]
            words = "idle {:.0f} MB, after a study {:.0f} MB, alone on its machine {:.0f} MB"
            return Measured(
                figure=words.format(*found), met=max(found) <= most, details=_parts(facts, member)
            )

        return measure

    command = "python -m benchmarks.footprint"
    return (
        Bar(
            row="8",
            name="memory (PSS), hub with its FLARE server",
            wanted="≤ 300 MB",
            command=command,
            measure=figure("hub", 300),
        ),
        Bar(
            row="8",
            name="memory (PSS), node with its FLARE client",
            wanted="≤ 250 MB",
            command=command,
            measure=figure("node", 250),
        ),
        Bar(
            row="8",
            name="base install on the disk",
            wanted="≤ 600 MB",
            command="make demo && du -sm .venv",
            measure=lambda quick: _at_most(fresh_demo(quick)["base_mb"], 600, "MB"),
        ),
    )


def _comparison() -> tuple[Bar, ...]:
    return (
        Bar(
            row="9",
            name="the same study by plain FLARE and by us",
            wanted="same model; wall and overhead per round below plain FLARE's",
            command="python -m benchmarks.engine",
            measure=_side_by_side,
        ),
    )


def _side_by_side(quick: bool) -> Measured:
    done = run(python("-m", "benchmarks.engine", "--json", *_quick(quick)), strict=False)
    found = Comparison.from_record(done.last_json())
    shown = (WALL, FIRST, OVERHEAD, LAST, WIRE)
    ratios = ", ".join(f"{what} {found.find(what).ratio:.2f}" for what in shown)
    faster = all(found.find(what).ratio < 1 for what in (WALL, OVERHEAD))
    return Measured(
        figure=f"ratios, ours to plain: {ratios}",
        met=found.is_same_model and faster,
        details=found.render(),
    )


def _real_engine(quick: bool) -> Measured:
    found = science.run_demos(seeds=science.SEEDS[:1] if quick else science.SEEDS)
    accuracy, auroc = found["recalibrated accuracy"], found["recalibrated auroc"]
    return Measured(
        figure=f"accuracy {accuracy:.3f}, AUROC {auroc:.3f} "
        f"(raw: {found['federated accuracy']:.3f}, {found['federated auroc']:.3f})",
        met=accuracy >= 0.79 and auroc >= 0.80,
    )


def _suite(row: str, name: str, *paths: str, long: bool = False) -> Bar:
    def measure(quick: bool) -> Measured:
        del quick
        missing = [path for path in paths if not (ROOT / path).exists()]
        if missing:
            raise FailedError(f"no such tests: {', '.join(missing)}")
        done = run(python("-m", "pytest", "-q", *paths), strict=False, timeout_s=SUITE_S)
        counts = pytest_counts(done.text)
        return Measured(figure=_words(counts), met=done.status == 0 and counts.get("passed", 0) > 0)

    return Bar(
        row=row,
        name=name,
        wanted="all pass",
        command=f"pytest {' '.join(paths)}",
        measure=measure,
        long=long,
    )


@cache
def fresh_demo(quick: bool) -> dict[str, Any]:
    """Time the demo in a fresh clone."""
    return run(python("-m", "benchmarks.fresh", "demo", "--json", *_quick(quick))).last_json()


@cache
def fresh_tests(quick: bool) -> dict[str, Any]:
    """Run checks and tests, in a fresh clone unless it is to be quick."""
    command = python("-m", "benchmarks.fresh", "tests", "--json", *_quick(quick))
    return run(command, timeout_s=2 * SUITE_S).last_json()


@cache
def science_table(quick: bool) -> tuple[science.Table, str]:
    """Run the science tests."""
    return science.run_science(quick=quick)


@cache
def demo_timing(quick: bool) -> dict[str, Any]:
    """Run the demos."""
    return run(python("-m", "benchmarks.timing", "--json", *_quick(quick))).last_json()


@cache
def footprint(quick: bool) -> dict[str, Any]:
    """Weigh an idle space."""
    return run(python("-m", "benchmarks.footprint", "--json", *_quick(quick))).last_json()


def _quick(quick: bool) -> tuple[str, ...]:
    return QUICK if quick else ()


def _at_most(found: float, most: float, unit: str) -> Measured:
    return Measured(figure=f"{found:.0f} {unit}", met=found <= most)


def _green(facts: dict[str, Any], target: str, *, most_s: float = float("inf")) -> Measured:
    found = facts[target]
    words = _words(found["counts"]) or ("green" if found["green"] else "not green")
    return Measured(
        figure=f"{words}, {found['seconds']:.0f} s",
        met=found["green"] and found["seconds"] <= most_s,
        details="" if found["green"] else found["end"],
    )


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items() if word != "deselected")


def _parts(facts: dict[str, Any], member: str) -> str:
    name = "hub" if member == "hub" else next(each for each in facts["parts"] if each != "hub")
    return "\n".join(
        f"{part['role']:<22} PSS {part['pss']:>4.0f} MB, its own {part['uss']:>4.0f} MB"
        for part in facts["parts"][name]
    )

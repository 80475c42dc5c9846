"""The bars of the area `engine`: house, learning, trust, and the engine's speed and size."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import engine_measures as measures
from benchmarks.bars import Bar
from benchmarks.measuring import median, worst

TRUST = "tests/scenario/trust"
REFUSALS = (
    f"{TRUST}/test_refusals.py",
    "tests/scenario/flare/test_admission.py",
    "tests/unit/gate",
    "tests/behaviour/gate",
)
_CLONE = "git clone . /tmp/fresh && cd /tmp/fresh &&"
_SCIENCE = "CONSILIUM_TEST_DATA=... CONSILIUM_FULL_SCIENCE=1 pytest -s tests/science"


def bars() -> Sequence[Bar]:
    """List the bars in the order of the table that asks for them."""
    return (*_house(), *_learning(), *_trust(), *_timing(), *_size(), *_comparison())


def _house() -> tuple[Bar, ...]:
    return (
        Bar(
            row="1",
            name="`make demo`, fresh clone, empty caches",
            wanted="exit 0, ≤ 300 s",
            command=f"{_CLONE} PIP_CACHE_DIR=/tmp/pip make demo",
            measure=measures.fresh_demo("cold_s", 300, "s"),
        ),
        Bar(
            row="1",
            name="`make demo`, warm",
            wanted="≤ 60 s",
            command="make demo",
            measure=measures.fresh_demo("warm_s", 60, "s"),
        ),
        Bar(
            row="2",
            name="`make check`",
            wanted="green",
            command="make check",
            measure=measures.fresh_target("check"),
        ),
        Bar(
            row="2",
            name="plain tests",
            wanted="green, ≤ 120 s",
            command="make plain",
            measure=measures.fresh_target("plain", most_s=120),
        ),
        Bar(
            row="2",
            name="scenario tests",
            wanted="green",
            command="make scenario",
            measure=measures.fresh_target("scenario"),
            long=True,
        ),
        Bar(
            row="2",
            name="checks and all tests, fresh clone, with installing",
            wanted="≤ 720 s",
            command=f"{_CLONE} make check test",
            measure=measures.fresh_total(720),
            long=True,
        ),
    )


def _learning() -> tuple[Bar, ...]:
    return (
        Bar(
            row="3",
            name="heart disease, FedAvg, mean-site accuracy, raw",
            wanted=".685 ± .05",
            command=_SCIENCE,
            measure=measures.accuracy_near("FedAvg, lr 1e-3", 0.685, 0.05),
        ),
        Bar(
            row="3",
            name="heart disease, FedAdam, mean-site accuracy, raw",
            wanted=".726 ± .03",
            command=_SCIENCE,
            measure=measures.accuracy_near("FedAdam, lr 1e-2", 0.726, 0.03),
        ),
        Bar(
            row="3",
            name="heart disease, recalibrated accuracy",
            wanted="≥ .79",
            command=_SCIENCE,
            measure=measures.recalibrated_least("accuracy", 0.79),
        ),
        Bar(
            row="3",
            name="heart disease, mean AUROC of the three sites with both classes",
            wanted="≥ .80",
            command=_SCIENCE,
            measure=measures.recalibrated_least("auroc", 0.80),
        ),
        Bar(
            row="3",
            name="heart disease by the real engine, recalibrated",
            wanted="accuracy ≥ .79, AUROC ≥ .80",
            command="consilium demo --data .../heart_disease --seed 42 (to 46)",
            measure=measures.real_engine(accuracy=0.79, auroc=0.80),
        ),
    )


def _trust() -> tuple[Bar, ...]:
    return (
        _suite("4", "planted canaries in all that crosses or is kept", f"{TRUST}/test_bytes.py"),
        _suite("5", "refusals at the hospital", *REFUSALS),
        _suite("6", "tampered evidence found", "tests/unit/ledger", "tests/behaviour/ledger"),
        _suite("crashes", "kill -9 of each process", "tests/scenario/crashes", long=True),
    )


def _timing() -> tuple[Bar, ...]:
    command = "python -m benchmarks.timing"
    return (
        Bar(
            row="7",
            name="engine overhead per round beyond the slowest site's work",
            wanted="median ≤ 0.3 s",
            command=command,
            measure=measures.timing("round_overhead_s", judge=median, most_s=0.3),
        ),
        Bar(
            row="7",
            name="command to first round, space up",
            wanted="worst ≤ 5 s",
            command=command,
            measure=measures.timing("command_to_first_round_s", judge=worst, most_s=5.0),
        ),
        Bar(
            row="7",
            name="last round to finished",
            wanted="worst ≤ 3 s",
            command=command,
            measure=measures.timing("last_round_to_finished_s", judge=worst, most_s=3.0),
        ),
    )


def _size() -> tuple[Bar, ...]:
    command = "python -m benchmarks.footprint"
    return (
        Bar(
            row="8",
            name="memory (PSS), hub with its FLARE server",
            wanted="≤ 300 MB",
            command=command,
            measure=measures.memory("hub", 300),
        ),
        Bar(
            row="8",
            name="memory (PSS), node with its FLARE client",
            wanted="≤ 250 MB",
            command=command,
            measure=measures.memory("node", 250),
        ),
        Bar(
            row="8",
            name="base install on the disk",
            wanted="≤ 600 MB",
            command="make demo && du -s --block-size=MB .venv",
            measure=measures.fresh_demo("base_mb", 600, "MB"),
        ),
    )


def _comparison() -> tuple[Bar, ...]:
    return (
        Bar(
            row="9",
            name="the same study by plain FLARE and by us",
            wanted="same model; wall and overhead per round below plain FLARE's",
            command="python -m benchmarks.engine",
            measure=measures.side_by_side,
        ),
    )


def _suite(row: str, name: str, *paths: str, long: bool = False) -> Bar:
    return Bar(
        row=row,
        name=name,
        wanted="all pass",
        command=f"pytest {' '.join(paths)}",
        measure=measures.suite(*paths),
        long=long,
    )

"""The same study run by plain NVIDIA FLARE and by Consilium, side by side in one call.

    python -m benchmarks.engine [--quick] [--json] [--repeats N] [--rounds N] [--features N]

Plain FLARE: provisioned by its own tool, started by its own scripts, its own
FedAvg recipe, default settings, a numpy client. Consilium: a whole space, with
agreements, gates, evidence, evaluation and passport on top of the same engine.
Same rows, same steps, same shuffles; the final models are compared at the end.
Both run on the loopback, each reaches its hub through a counter of bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common_study import CommonStudy, space_plan, write_arrays, write_tables
from benchmarks.measuring import Memory, median, ratio
from benchmarks.our_space import our_space
from benchmarks.outcome import Outcome
from benchmarks.plain_flare import plain_flare

QUICK_ROUNDS = 5
REPEATS = 3
SAME = 1e-9
"""Greatest difference of two weights that counts as the same model."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side's runs, and its memory before the first."""

    name: str
    idle: Memory
    runs: list[Outcome]

    def figure(self, take: Callable[[Outcome], float | list[float]]) -> float:
        """Take the median of a figure over all runs, or over all their rounds."""
        found = [take(run) for run in self.runs]
        flat = [v for each in found for v in (each if isinstance(each, list) else [each])]
        return median(flat)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the comparison."""

    what: str
    unit: str
    plain: float
    ours: float

    @property
    def ratio(self) -> float:
        """Ours over plain."""
        return ratio(self.ours, self.plain)


def compare(plain: Side, ours: Side) -> list[Row]:
    """Put the figures of both sides beside each other."""

    def row(what: str, unit: str, take: Callable[[Outcome], float | list[float]]) -> Row:
        return Row(what=what, unit=unit, plain=plain.figure(take), ours=ours.figure(take))

    def idle(what: str, take: Callable[[Memory], float]) -> Row:
        return Row(what=what, unit="MB", plain=take(plain.idle), ours=take(ours.idle))

    return [
        row("wall, command to result", "s", lambda run: run.wall_s),
        row("command to first round", "s", lambda run: run.first_round_s),
        row("overhead per round", "s", lambda run: run.overheads_s),
        row("last round to result", "s", lambda run: run.last_round_s),
        row("slowest site's work per round", "s", lambda run: run.work_s),
        row("bytes between sites and hub", "kB", lambda run: run.wire_bytes / 1000),
        idle("memory, idle: hub", lambda memory: memory.hub),
        idle("memory, idle: one site", lambda memory: memory.site),
        row("memory, running: hub", "MB", lambda run: run.peak.hub),
        row("memory, running: one site", "MB", lambda run: run.peak.site),
        row("memory, running: all", "MB", lambda run: run.peak.total),
    ]


def difference(plain: Side, ours: Side) -> float:
    """Return the greatest difference between the two final models, weight by weight."""
    return max(
        abs(one - other)
        for left in plain.runs
        for right in ours.runs
        for one, other in zip(left.weights, right.weights, strict=True)
    )


def measure(
    study: CommonStudy, *, repeats: int, tell: Callable[[str], None] = lambda _: None
) -> tuple[Side, Side]:
    """Bring both sides up, run the study on each in turn, and take both down."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        tell("making tables")
        write_tables(study, folder / "tables")
        write_arrays(study, folder / "tables", folder / "arrays")
        plan = space_plan(study, folder / "tables")
        tell("starting both sides")
        with (
            plain_flare(study, folder / "plain", arrays=folder / "arrays") as plain,
            our_space(study, plan, folder / "ours") as ours,
        ):
            plain.wait_ready()
            idle = plain.memory(), ours.memory()
            runs: tuple[list[Outcome], list[Outcome]] = ([], [])
            for number in range(1, repeats + 1):
                tell(f"run {number} of {repeats}: plain FLARE")
                runs[0].append(plain.run())
                tell(f"run {number} of {repeats}: Consilium")
                runs[1].append(ours.run())
    return (
        Side(name="plain FLARE", idle=idle[0], runs=runs[0]),
        Side(name="Consilium", idle=idle[1], runs=runs[1]),
    )


def render(study: CommonStudy, rows: Iterable[Row], *, repeats: int, apart: float) -> str:
    """Write the table for people."""
    lines = [
        f"{study.describe()}; {repeats} run(s), medians",
        f"{'':32} {'plain FLARE':>12} {'Consilium':>12} {'ratio':>8}",
    ]
    for row in rows:
        digits = 3 if row.unit == "s" else 0
        lines.append(
            f"{row.what + ', ' + row.unit:<32.32} {row.plain:>12.{digits}f} "
            f"{row.ours:>12.{digits}f} {row.ratio:>8.2f}"
        )
    same = "the same model" if apart <= SAME else "NOT the same model"
    lines.append(f"{same}: weights differ by {apart:.1e} at most")
    return "\n".join(lines)


def as_record(
    study: CommonStudy, rows: Iterable[Row], *, repeats: int, apart: float
) -> dict[str, Any]:
    """Write the record for programs."""
    return {
        "study": asdict(study),
        "repeats": repeats,
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
        "weights_differ": apart,
        "same_model": apart <= SAME,
    }


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"one run of {QUICK_ROUNDS} rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object as last line")
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--features", type=int, default=CommonStudy.features)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else CommonStudy.rounds)
    repeats = given.repeats or (1 if given.quick else REPEATS)
    study = CommonStudy(rounds=rounds, features=given.features)
    plain, ours = measure(study, repeats=repeats, tell=lambda what: print(what, file=sys.stderr))
    rows, apart = compare(plain, ours), difference(plain, ours)
    print(render(study, rows, repeats=repeats, apart=apart))
    if given.json:
        print(json.dumps(as_record(study, rows, repeats=repeats, apart=apart)))
    sys.exit(0 if apart <= SAME and not math.isnan(apart) else 1)


if __name__ == "__main__":
    main()

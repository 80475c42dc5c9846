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
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.commands import end_cleanly
from benchmarks.common_study import CommonStudy, space_plan, write_arrays, write_tables
from benchmarks.comparison import Side, compare
from benchmarks.our_space import our_space
from benchmarks.outcome import Outcome
from benchmarks.plain_flare import plain_flare

QUICK_ROUNDS = 4
REPEATS = 3


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


def main() -> None:
    """Run the comparison and print it."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"one run of {QUICK_ROUNDS} rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object as last line")
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--features", type=int, default=CommonStudy.features)
    given = parser.parse_args()
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else CommonStudy.rounds)
    repeats = given.repeats or (1 if given.quick else REPEATS)
    study = CommonStudy(rounds=rounds, features=given.features)
    plain, ours = measure(study, repeats=repeats, tell=lambda what: print(what, file=sys.stderr))
    found = compare(plain, ours, title=f"{study.describe()}; {repeats} run(s), medians")
    print(found.render())
    if given.json:
        print(json.dumps(found.as_record()))
    sys.exit(0 if found.is_same_model else 1)


if __name__ == "__main__":
    main()

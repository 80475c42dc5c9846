"""The demo's timing block over several runs: how much the engine costs beyond the work.

    python -m benchmarks.timing [--quick] [--json] [--runs N]

Each run is a `consilium demo` of its own, from an empty folder. Times are those
of the study's events at the lead's node.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.commands import FailedError, end_cleanly, run, tool
from benchmarks.events import Event, end_of_last_round, moment
from benchmarks.measuring import median, ratio, spread

RUNS = 5
DEMO_S = 300.0


def time_demo(folder: Path) -> dict[str, Any]:
    """Run the demo once and return its timing block, with the time after the last round.

    Raises
    ------
    FailedError
        When the demo fails, or its evidence does not verify.
    """
    command = [tool("consilium"), "demo", "--home", str(folder), "--json"]
    record = run(command, folder=folder.parent, timeout_s=DEMO_S).last_json()
    if not record["evidence"]["verified"]:
        raise FailedError("the demo's evidence did not verify")
    events = read_events(folder, study=record["study"])
    completed = [event for event in events if event["kind"] == "completed"]
    if not completed:
        raise FailedError("the study's events have no end")
    closed = [event["facts"] for event in events if event["kind"] == "round_closed"]
    return {
        **record["timing"],
        "last_round_to_finished_s": moment(completed[-1]["time"]) - end_of_last_round(events),
        "work_s": [max(facts["work_s"].values()) for facts in closed],
        "bytes": record["bytes"],
    }


def read_events(home: Path, *, study: str) -> list[Event]:
    """Read a study's events from the database of the node that leads it.

    Raises
    ------
    FailedError
        When no node of the space has them.
    """
    for database in sorted(home.glob("*/node.db")):
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT time, kind, facts FROM study_event WHERE study = ? ORDER BY id", (study,)
            ).fetchall()
        if rows:
            return [{"time": time, "kind": kind, "facts": json.loads(f)} for time, kind, f in rows]
    raise FailedError(f"no node below {home} has events of {study}")


def measure(*, runs: int) -> list[dict[str, Any]]:
    """Run the demo several times, each in a folder of its own."""
    found = []
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="timing-") as name:
            found.append(time_demo(Path(name) / f"space-{number}"))
    return found


def summarise(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Put all runs' figures together."""
    overheads = [each for one in found for each in one["round_overhead_s"]]
    work = [each for one in found for each in one["work_s"]]
    return {
        "runs": len(found),
        "round_overhead_s": overheads,
        "first_rounds_s": [one["round_overhead_s"][0] for one in found],
        "command_to_first_round_s": [one["command_to_first_round_s"] for one in found],
        "last_round_to_finished_s": [one["last_round_to_finished_s"] for one in found],
        "total_s": [one["total_s"] for one in found],
        "overhead_to_work": ratio(median(overheads), median(work)),
    }


def main() -> None:
    """Run the demos and print the figures."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one run")
    parser.add_argument("--json", action="store_true", help="one JSON object as last line")
    parser.add_argument("--runs", type=int, default=0)
    given = parser.parse_args()
    facts = summarise(measure(runs=given.runs or (1 if given.quick else RUNS)))
    for name in (
        "round_overhead_s",
        "first_rounds_s",
        "command_to_first_round_s",
        "last_round_to_finished_s",
        "total_s",
    ):
        print(f"{name:<26} {spread(facts[name])}")
    print(f"{'overhead_to_work':<26} {facts['overhead_to_work']:.1f} times the slowest site's work")
    if given.json:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()

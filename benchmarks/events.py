"""Reading a study's events: when rounds began and ended, and the sites' work.

The times are the hub's, taken by the round loop itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

Event = dict[str, Any]
"""`kind`, `time` and `facts` of one event."""


def read_rounds(
    events: Iterable[Event],
) -> tuple[dict[int, float], float, dict[int, list[float]]]:
    """Return each round's start, the end of the last round, and the sites' work by round."""
    starts: dict[int, float] = {}
    work: dict[int, list[float]] = {}
    end = 0.0
    for event in events:
        facts = event["facts"]
        if event["kind"] == "round_started":
            starts[facts["round"]] = moment(facts["time"])
        elif event["kind"] == "round_closed":
            work[facts["round"]] = [float(each) for each in facts["work_s"].values()]
            end = moment(facts["time"])
    return starts, end, work


def end_of_last_round(events: Iterable[Event]) -> float:
    """Return when the last round was over, in seconds since 1970; 0 when none was."""
    return read_rounds(events)[1]


def moment(text: str) -> float:
    """Read a time as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()

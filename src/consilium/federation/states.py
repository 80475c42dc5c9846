"""The states of a study and the one table that says which follows which.

A study is kept twice: by its lead, who recruits, and by the hub, which runs
it. The hub's record begins at `SUBMITTED`.
"""

from __future__ import annotations

from enum import StrEnum

from consilium.kernel.errors import StateError


class StudyState(StrEnum):
    """Where a study stands."""

    RECRUITING = "RECRUITING"
    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


_ENDS = frozenset({StudyState.FAILED, StudyState.STOPPED})

NEXT: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RECRUITING: _ENDS | {StudyState.SUBMITTED},
    StudyState.SUBMITTED: _ENDS | {StudyState.RUNNING},
    StudyState.RUNNING: _ENDS | {StudyState.COMPLETED},
    StudyState.COMPLETED: frozenset(),
    StudyState.FAILED: frozenset(),
    StudyState.STOPPED: frozenset(),
}

LIVE = frozenset(state for state, after in NEXT.items() if after)
"""States in which somebody still has work to do."""


def check_step(now: StudyState, wanted: StudyState) -> None:
    """Let a study go from `now` to `wanted`, if the table has the step.

    Raises
    ------
    StateError
        `study.cannot_go`.
    """
    if wanted not in NEXT[now]:
        raise StateError("study.cannot_go", now=now, wanted=wanted)

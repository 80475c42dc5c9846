"""What happens to a study's record: each verb is one transaction with its evidence."""

from __future__ import annotations

import sqlalchemy as sa

from consilium.federation.states import StudyState, check_step
from consilium.federation.store import (
    SEGMENTS,
    STUDIES,
    add_event,
    add_study,
    find_study,
    get_study,
    write_text,
)
from consilium.gate.orders import Study, peek_study
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.database import Transaction


def draft_study(
    tx: Transaction, study: StudyId, *, lead: ParticipantId, draft: dict[str, Json], clock: Clock
) -> None:
    """Begin a study at its lead: recruiting starts from this draft, also after a restart."""
    add_study(
        tx,
        study,
        state=StudyState.RECRUITING,
        clock=clock,
        title=str(draft["title"]),
        lead=lead,
        draft=write_text(draft),
    )
    tx.record("study.drafted", study, {"title": str(draft["title"])})
    add_event(tx, study, "recruiting", {}, clock=clock)


def sign_study(tx: Transaction, plan: Study, signed: str, *, clock: Clock) -> None:
    """Keep the lead's signed plan beside its draft."""
    tx.execute(sa.update(STUDIES).where(STUDIES.c.id == plan.study).values(signed=signed))
    tx.record("study.signed", plan.study, {"digest": plan.digest, "sites": len(plan.sites)})
    add_event(tx, plan.study, "signed", {"sites": len(plan.sites)}, clock=clock)


def find_accepted(connection: sa.Connection, plan: Study) -> StudyState | None:
    """Return the state of a submitted study, or None if it is new here.

    Raises
    ------
    StateError
        `study.other_plan` when another plan has its identifier.
    """
    row = find_study(connection, plan.study)
    if row is None:
        return None
    if peek_study(row["signed"]).digest != plan.digest:
        raise StateError("study.other_plan", study=plan.study)
    return StudyState(row["state"])


def accept_study(tx: Transaction, plan: Study, signed: str, *, clock: Clock) -> StudyState:
    """Take a submitted study at the hub, once; return the state that it is in.

    The caller has verified the lead's signature and the starting model.

    Raises
    ------
    StateError
        `study.other_plan`.
    """
    known = find_accepted(tx.connection, plan)
    if known is not None:
        return known
    add_study(
        tx,
        plan.study,
        state=StudyState.SUBMITTED,
        clock=clock,
        title=plan.title,
        lead=plan.lead,
        signed=signed,
    )
    tx.record("study.submitted", plan.study, {"digest": plan.digest, "lead": plan.lead})
    add_event(tx, plan.study, "submitted", {"sites": len(plan.sites)}, clock=clock)
    return StudyState.SUBMITTED


def move_study(
    tx: Transaction, study: StudyId, wanted: StudyState, *, clock: Clock, reason: str = ""
) -> None:
    """Move a study along its table, with evidence.

    Raises
    ------
    StateError
        `study.cannot_go`.
    NotFoundError
        `study.unknown`.
    """
    now = StudyState(get_study(tx.connection, study)["state"])
    check_step(now, wanted)
    tx.execute(
        sa.update(STUDIES)
        .where(STUDIES.c.id == study)
        .values(state=wanted, reason=reason, updated=write_time(clock.now()))
    )
    tx.record(f"study.{wanted.lower()}", study, {"reason": reason} if reason else {})
    add_event(tx, study, wanted.lower(), {"reason": reason} if reason else {}, clock=clock)


def keep_result(tx: Transaction, study: StudyId, result: dict[str, Json]) -> None:
    """Keep a completed study's result record."""
    tx.execute(sa.update(STUDIES).where(STUDIES.c.id == study).values(result=write_text(result)))


def begin_segment(
    tx: Transaction, study: StudyId, *, segment: int, first_round: int, clock: Clock
) -> int:
    """Open the next attempt and return its number, counting from 1."""
    query = sa.select(sa.func.max(SEGMENTS.c.attempt)).where(SEGMENTS.c.study == study)
    attempt = int(tx.execute(query).scalar() or 0) + 1
    tx.execute(
        sa.insert(SEGMENTS).values(
            study=study,
            attempt=attempt,
            segment=segment,
            first_round=first_round,
            job="",
            outcome="",
            started=write_time(clock.now()),
            ended="",
        )
    )
    facts: dict[str, Json] = {"segment": segment, "attempt": attempt, "first_round": first_round}
    tx.record("segment.begun", study, facts)
    add_event(tx, study, "segment_begun", facts, clock=clock)
    return attempt


def name_job(tx: Transaction, study: StudyId, attempt: int, job: str) -> None:
    """Note which engine job runs an attempt."""
    tx.execute(
        sa.update(SEGMENTS)
        .where(SEGMENTS.c.study == study, SEGMENTS.c.attempt == attempt)
        .values(job=job)
    )


def end_segment(
    tx: Transaction, study: StudyId, attempt: int, *, outcome: str, clock: Clock
) -> None:
    """Close an attempt with the word for how it ended."""
    tx.execute(
        sa.update(SEGMENTS)
        .where(SEGMENTS.c.study == study, SEGMENTS.c.attempt == attempt)
        .values(outcome=outcome, ended=write_time(clock.now()))
    )
    tx.record("segment.ended", study, {"attempt": attempt, "outcome": outcome})
    add_event(tx, study, "segment_ended", {"attempt": attempt, "outcome": outcome}, clock=clock)

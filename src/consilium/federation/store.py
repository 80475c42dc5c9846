"""Tables of studies, their segments, rounds and events; queries on them.

One set of tables serves the lead's node and the hub: both keep the same study
from their own side, and neither trusts the engine's records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from consilium.federation.states import StudyState
from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import StudyId
from consilium.ledger.database import Transaction
from consilium.ledger.tables import METADATA

PAGE = 500
"""Events that one listing gives at most, unless asked for more."""

STUDIES = sa.Table(
    "study",
    METADATA,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("lead", sa.String(160), nullable=False),
    sa.Column("draft", sa.Text, nullable=False),
    sa.Column("signed", sa.Text, nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("updated", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
)
SEGMENTS = sa.Table(
    "study_segment",
    METADATA,
    sa.Column("study", sa.String(80), sa.ForeignKey("study.id"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("segment", sa.Integer, nullable=False),
    sa.Column("first_round", sa.Integer, nullable=False),
    sa.Column("job", sa.String(80), nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("started", sa.String(32), nullable=False),
    sa.Column("ended", sa.String(32), nullable=False),
)
EVENTS = sa.Table(
    "study_event",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("study", sa.String(80), sa.ForeignKey("study.id"), nullable=False, index=True),
    sa.Column("time", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
)


def write_text(value: Json) -> str:
    """Write JSON for a text column."""
    return canonical_bytes(value).decode()


def add_study(
    tx: Transaction, study: StudyId, *, state: StudyState, clock: Clock, **columns: str
) -> None:
    """Insert a study in its first state."""
    now = write_time(clock.now())
    row = {"draft": "", "signed": "", "reason": "", "result": ""} | columns
    tx.execute(sa.insert(STUDIES).values(id=study, state=state, created=now, updated=now, **row))


def find_study(connection: sa.Connection, study: StudyId) -> dict[str, Any] | None:
    """Return a study's row, or None."""
    found = connection.execute(sa.select(STUDIES).where(STUDIES.c.id == study)).mappings().first()
    return None if found is None else dict(found)


def get_study(connection: sa.Connection, study: StudyId) -> dict[str, Any]:
    """Return a study's row.

    Raises
    ------
    NotFoundError
        `study.unknown`.
    """
    row = find_study(connection, study)
    if row is None:
        raise NotFoundError("study.unknown", study=study)
    return row


def list_studies(
    connection: sa.Connection, *, states: frozenset[StudyState] | None = None
) -> list[dict[str, Any]]:
    """List studies, oldest first, optionally only those in `states`."""
    query = sa.select(STUDIES).order_by(STUDIES.c.created, STUDIES.c.id)
    if states is not None:
        query = query.where(STUDIES.c.state.in_(sorted(states)))
    return [dict(row) for row in connection.execute(query).mappings()]


def add_event(
    tx: Transaction, study: StudyId, kind: str, facts: Mapping[str, Json], *, clock: Clock
) -> None:
    """Add a line to what people watch: no evidence, only progress."""
    now = write_time(clock.now())
    tx.execute(sa.insert(EVENTS).values(study=study, time=now, kind=kind, facts=write_text(facts)))


def list_events(
    connection: sa.Connection, study: StudyId, *, after: int = 0, limit: int = PAGE
) -> list[dict[str, Any]]:
    """List a study's events with an id above `after`, in order."""
    query = (
        sa.select(EVENTS)
        .where(EVENTS.c.study == study, EVENTS.c.id > after)
        .order_by(EVENTS.c.id)
        .limit(limit)
    )
    return [
        {"id": row.id, "time": row.time, "kind": row.kind, "facts": read_json(row.facts)}
        for row in connection.execute(query)
    ]


def count_rounds(connection: sa.Connection, study: StudyId | None = None) -> dict[str, int]:
    """Count by study how many different rounds were closed, as far as was told."""
    query = sa.select(EVENTS.c.study, sa.func.count()).where(EVENTS.c.kind == "round_closed")
    if study is not None:
        query = query.where(EVENTS.c.study == study)
    found = connection.execute(query.group_by(EVENTS.c.study))
    return {row[0]: int(row[1]) for row in found}


def list_all_events(
    connection: sa.Connection, *, after: int, limit: int = PAGE
) -> list[dict[str, Any]]:
    """List the events of every study with an id above `after`, in order."""
    query = sa.select(EVENTS).where(EVENTS.c.id > after).order_by(EVENTS.c.id).limit(limit)
    return [
        {**row, "facts": read_json(row["facts"])} for row in connection.execute(query).mappings()
    ]


def newest_event(connection: sa.Connection) -> int:
    """Return the id of the event that was added last, 0 if there is none."""
    return int(connection.execute(sa.select(sa.func.max(EVENTS.c.id))).scalar() or 0)


def list_segments(connection: sa.Connection, study: StudyId) -> list[dict[str, Any]]:
    """List a study's segments by attempt."""
    query = sa.select(SEGMENTS).where(SEGMENTS.c.study == study).order_by(SEGMENTS.c.attempt)
    return [dict(row) for row in connection.execute(query).mappings()]

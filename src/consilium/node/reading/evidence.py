"""The evidence log as screens search it, newest first, and the proof that it is whole."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select

from consilium.kernel.errors import InputError
from consilium.ledger.evidence import EvidenceEntry
from consilium.ledger.notes import read_checkpoint
from consilium.ledger.tables import COSIGNATURES
from consilium.ledger.verification import Verdict, verify_log
from consilium.node.reading.shapes import Record, Words
from consilium.node.rooms import Rooms
from consilium.web.paging import Page, PageAsk, Paged, Shape, write_cursor

Filter = Annotated[str, Query(max_length=500)]


class EvidenceRow(Shape):
    """One entry; `digest` is its leaf in the log's tree."""

    seq: int
    time: str
    kind: str
    subject: str
    facts: Record
    digest: str


class Witness(Shape):
    """Who has cosigned the log, and how much of it."""

    participant: str
    size: int
    time: str


class LogEnd(Shape):
    """The log's signed end."""

    origin: str
    size: int
    root: str


class Proof(Shape):
    """Whether the whole log is as it was written; `error` names the first entry that is not."""

    entries: int
    verified: bool
    checkpoint: LogEnd | None
    witnesses: list[Witness]
    error: Words | None


def evidence_reading(rooms: Rooms) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["evidence"])
    log = rooms.connector.database.evidence

    @router.get("/evidence")
    def entries(
        ask: Paged,
        kind: Filter = "",
        subject: Filter = "",
        since: Filter = "",
        until: Filter = "",
        after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    ) -> Page[EvidenceRow]:
        """List entries, the newest first; with `after` the oldest behind that number first."""
        found = log.search(
            kind=kind,
            subject=subject,
            since=since,
            until=until,
            limit=ask.limit + 1,
            behind=_place(ask, after),
            is_falling=after is None,
        )
        shown = found[: ask.limit]
        more = len(found) > ask.limit
        return Page(
            items=[_show(one) for one in shown],
            next=write_cursor((shown[-1].seq,)) if more else None,
        )

    @router.post("/evidence/verify")
    def verify() -> Proof:
        """Prove the whole log from its rows: hashes, places, signed ends."""
        connector = rooms.connector
        url = rooms.settings.url(rooms.home)
        verdict = verify_log(url, key=connector.key.public)
        note = read_checkpoint(log.checkpoint())
        return Proof(
            entries=verdict.entries,
            verified=verdict.verified,
            checkpoint=LogEnd(origin=note.origin, size=note.size, root=note.root.hex()),
            witnesses=_witnesses(rooms),
            error=_error(verdict),
        )

    return router


def _place(ask: PageAsk, after: int | None) -> int | None:
    """Read where the page begins: the cursor's place, else what was asked for."""
    if not ask.after:
        return after
    if len(ask.after) != 1 or not isinstance(ask.after[0], int):
        raise InputError("boundary.bad_cursor")
    return ask.after[0]


def _show(entry: EvidenceEntry) -> EvidenceRow:
    return EvidenceRow(
        seq=entry.seq,
        time=entry.time,
        kind=entry.kind,
        subject=entry.subject,
        facts=dict(entry.facts),
        digest=entry.leaf,
    )


def _witnesses(rooms: Rooms) -> list[Witness]:
    """List each witness with the largest end that it has cosigned."""
    kept = COSIGNATURES
    query = select(kept.c.witness, kept.c.size, kept.c.received).order_by(kept.c.size)
    with rooms.connector.database.read() as connection:
        rows: list[Any] = list(connection.execute(query))
    latest = {row.witness: row for row in rows}
    return [
        Witness(participant=row.witness, size=row.size, time=row.received)
        for row in latest.values()
    ]


def _error(verdict: Verdict) -> Words | None:
    if verdict.verified or not verdict.reason_code:
        return None
    en, zh = (verdict.text(language) for language in ("en", "zh"))
    return Words(code=verdict.reason_code, en=en, zh=zh)

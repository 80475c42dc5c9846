"""The hub as witness: it keeps the last signed checkpoint of every member's evidence.

A hospital that cut or rewrote its log would have to show a checkpoint that fits
the one kept here, and cannot. The hub learns a size and a hash, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, delete, insert, select

from consilium.hub.store import HUB_CHECKPOINTS
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import Database, Transaction
from consilium.ledger.keys import PublicKey
from consilium.ledger.notes import Checkpoint, verify_checkpoint

KEPT = 16
"""Checkpoints that are kept of each member; the last is what counts."""
_LONGEST = 4096


class Shown(BaseModel):
    """A checkpoint as its owner signed it (C2SP note)."""

    model_config = ConfigDict(extra="forbid")
    checkpoint: str = Field(max_length=_LONGEST)


class Witness:
    """Takes checkpoints and remembers them.

    Parameters
    ----------
    database : Database
        The hub's.
    key_of : callable
        Gives a member's present key.
    clock : Clock
        Says when a checkpoint came.
    """

    def __init__(
        self, database: Database, *, key_of: Callable[[ParticipantId], PublicKey], clock: Clock
    ) -> None:
        self._database = database
        self._key_of = key_of
        self._clock = clock

    def take(self, member: ParticipantId, text: str) -> dict[str, Any]:
        """Keep a member's checkpoint if its log has only grown.

        Raises
        ------
        InputError
            `ledger.not_a_checkpoint`.
        DeniedError
            `hub.other_log` if it is not the member's own log.
        IntegrityError
            `ledger.bad_signature`; `hub.log_shrank` if it is smaller than the
            last one, or differs at the same size. That too becomes evidence.
        """
        shown = verify_checkpoint(text, self._key_of(member))
        if shown.origin != member:
            raise DeniedError("hub.other_log", member=member)
        with self._database.read() as connection:
            if self._last(connection, member) == (shown.size, shown.root.hex()):
                return {"size": shown.size}
        with self._database.write() as tx:
            last = self._last(tx.connection, member)
            if last is None or shown.size > last[0]:
                self._keep(tx, member, shown)
                return {"size": shown.size}
            facts: dict[str, Json] = {
                "kept": last[0],
                "shown": shown.size,
                "root": shown.root.hex(),
            }
            tx.record("witness.refused", member, facts)
        raise IntegrityError("hub.log_shrank", member=member, kept=last[0], shown=shown.size)

    def last(self, member: ParticipantId) -> dict[str, Any]:
        """Give a member the last checkpoint that the hub had of it.

        Raises
        ------
        NotFoundError
            `hub.no_checkpoint`.
        """
        table = HUB_CHECKPOINTS
        query = select(table).where(table.c.member == member).order_by(table.c.size.desc())
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).first()
        if row is None:
            raise NotFoundError("hub.no_checkpoint", member=member)
        return {"checkpoint": row.note, "size": row.size, "received": row.received}

    def _last(self, connection: Connection, member: ParticipantId) -> tuple[int, str] | None:
        table = HUB_CHECKPOINTS
        query = select(table.c.size, table.c.root).where(table.c.member == member)
        row = connection.execute(query.order_by(table.c.size.desc()).limit(1)).first()
        return (row.size, row.root) if row is not None else None

    def _keep(self, tx: Transaction, member: ParticipantId, shown: Checkpoint) -> None:
        table = HUB_CHECKPOINTS
        root = shown.root.hex()
        row = {"member": member, "size": shown.size, "root": root, "note": shown.text}
        tx.execute(insert(table), {**row, "received": write_time(self._clock.now())})
        older = (
            select(table.c.size)
            .where(table.c.member == member)
            .order_by(table.c.size.desc())
            .offset(KEPT)
            .limit(1)
        )
        edge = tx.execute(older).scalar()
        if edge is not None:
            tx.execute(delete(table).where(table.c.member == member, table.c.size <= edge))
        tx.record("witness.received", member, {"size": shown.size, "root": root})


def witness_router(witness: Witness, *, sender: Callable[..., Any]) -> APIRouter:
    """Make the routes; `sender` is the dependency that tells which member asks."""
    router = APIRouter(prefix="/witness", tags=["witness"])
    member = Depends(sender)

    @router.post("/checkpoints")
    def take(shown: Shown, who: ParticipantId = member) -> dict[str, Any]:
        return witness.take(who, shown.checkpoint)

    @router.get("/checkpoints")
    def last(who: ParticipantId = member) -> dict[str, Any]:
        return witness.last(who)

    return router

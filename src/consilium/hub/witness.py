"""The hub as witness of its members' evidence, and its own log for them to witness.

A hospital that cut or rewrote its log would have to show a checkpoint that
fits the one kept here, and cannot. The hub learns a size and hashes, nothing
else; what it cosigned the hospital keeps too. The hub's own log is open to its
members as C2SP tiles, without entries, and its checkpoints are cosigned by them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, delete, insert, select

from consilium.hub.store import HUB_CHECKPOINTS
from consilium.kernel.canonical import Json
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.database import Database, Transaction
from consilium.ledger.keys import PublicKey
from consilium.ledger.notes import Checkpoint
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import LONGEST_NOTE, LONGEST_PROOF, Shown, Witness

KEPT = 16
"""Checkpoints that are kept of each member; the last is what counts."""


class ShownModel(BaseModel):
    """A checkpoint as its owner signed it (C2SP note), and what proves that it only grew."""

    model_config = ConfigDict(extra="forbid")
    checkpoint: str = Field(max_length=LONGEST_NOTE)
    old: int = Field(default=0, ge=0)
    proof: list[str] = Field(default_factory=list, max_length=LONGEST_PROOF)


class Cosigned(BaseModel):
    """A member's cosignature of the hub's checkpoint of this size."""

    model_config = ConfigDict(extra="forbid")
    size: int = Field(ge=0)
    cosignature: str = Field(max_length=LONGEST_NOTE)


class HubMemory:
    """Keeps the last checkpoints of every member, each with its entry of evidence."""

    def last(self, connection: Connection, origin: str) -> str | None:
        """Return the note that was cosigned last."""
        found = _find_last(connection, origin)
        return str(found.note) if found is not None else None

    def keep(self, tx: Transaction, checkpoint: Checkpoint, *, received: str) -> None:
        """Keep a larger one beside those before it."""
        table, member = HUB_CHECKPOINTS, checkpoint.origin
        facts: dict[str, Json] = {"size": checkpoint.size, "root": checkpoint.root.hex()}
        row = {"member": member, "note": checkpoint.text, "received": received}
        tx.execute(insert(table), row | facts)
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
        tx.record("witness.received", member, facts)


def last_witnessed(database: Database, member: ParticipantId) -> dict[str, Any]:
    """Give the last checkpoint that the hub had of a member.

    Raises
    ------
    NotFoundError
        `hub.no_checkpoint`.
    """
    with database.read() as connection:
        row = _find_last(connection, member)
    if row is None:
        raise NotFoundError("hub.no_checkpoint", member=member)
    return {"checkpoint": row.note, "size": row.size, "received": row.received}


def witness_router(
    witness: Witness, database: Database, *, sender: Callable[..., Any]
) -> APIRouter:
    """Make the routes; `sender` is the dependency that tells which member asks."""
    router = APIRouter(prefix="/witness", tags=["witness"])
    member = Depends(sender)

    @router.post("/checkpoints")
    def take(shown: ShownModel, who: ParticipantId = member) -> dict[str, Any]:
        return witness.take(who, Shown.from_document(shown.model_dump())).as_document()

    @router.get("/checkpoints")
    def last(who: ParticipantId = member) -> dict[str, Any]:
        return last_witnessed(database, who)

    return router


def log_router(
    tiles: LogTiles,
    cosignatures: Cosignatures,
    *,
    key_of: Callable[[ParticipantId], PublicKey],
    sender: Callable[..., Any],
) -> APIRouter:
    """Make the routes to the hub's own log: checkpoint, hash tiles, proof, cosignatures.

    Entry bundles are not served: what the hub's log says of one member is not
    another member's business. The auditor gets entries in an export.
    """
    router = APIRouter(prefix="/log", tags=["log"])
    member = Depends(sender)

    @router.get("/checkpoint")
    def checkpoint(who: ParticipantId = member) -> Response:  # noqa: ARG001 - members only
        note = tiles.checkpoint().text
        return Response(note, media_type="text/plain; charset=utf-8")

    @router.get("/tile/{path:path}")
    def tile(path: str, who: ParticipantId = member) -> Response:  # noqa: ARG001 - members only
        if path.startswith("entries"):
            raise NotFoundError("ledger.no_tile", path=path[:80])
        data = tiles.read(f"tile/{path}")
        return Response(data, media_type="application/octet-stream")

    @router.get("/proof")
    def proof(old: int, who: ParticipantId = member) -> dict[str, Any]:  # noqa: ARG001
        found = tiles.checkpoint()
        old = min(max(old, 0), found.size)
        steps = tiles.consistency(old, found.size)
        return Shown(checkpoint=found.text, old=old, proof=steps).as_document()

    @router.post("/cosignatures", status_code=204)
    def keep(told: Cosigned, who: ParticipantId = member) -> None:
        cosignatures.keep(who, size=told.size, line=told.cosignature, key=key_of(who))

    return router


def _find_last(connection: Connection, member: str) -> Any:
    table = HUB_CHECKPOINTS
    query = select(table).where(table.c.member == member).order_by(table.c.size.desc())
    return connection.execute(query.limit(1)).first()

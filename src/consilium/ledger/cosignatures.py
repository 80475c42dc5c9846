"""What others have cosigned of our own log: asked for, checked, kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError, NotFoundError, PeerError
from consilium.ledger.cosigning import verify_cosignature
from consilium.ledger.database import Database
from consilium.ledger.keys import PublicKey
from consilium.ledger.tables import COSIGNATURES, EVIDENCE_CHECKPOINTS
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import Shown, log_shrank

KEPT = 64
"""Cosignatures that are kept of each witness; the newest are what an auditor asks for."""

Ask = Callable[[dict[str, Json]], Mapping[str, Any]]
"""Shows a witness a document of `Shown`, and returns its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedCheckpoint:
    """A checkpoint of our log with what witnesses signed below it.

    Parameters
    ----------
    note : str
        The checkpoint, with one line more for each witness.
    size : int
        Number of entries.
    witnesses : mapping of str to PublicKey
        Whose lines stand there, and the keys that they were checked with.
    """

    note: str
    size: int
    witnesses: Mapping[str, PublicKey]


class Cosignatures:
    """The cosignatures of one log.

    Parameters
    ----------
    database : Database
        Whose log.
    tiles : LogTiles
        Its tiles, for the proofs that witnesses want.
    clock : Clock
        Says when a cosignature came.
    """

    def __init__(self, database: Database, tiles: LogTiles, *, clock: Clock) -> None:
        self._database = database
        self._tiles = tiles
        self._clock = clock

    def request(self, witness: str, *, key: PublicKey, ask: Ask) -> bool:
        """Have our present checkpoint cosigned; say whether that was still to do.

        Raises
        ------
        PeerError
            `ledger.no_cosignature` if the answer is none.
        IntegrityError
            `ledger.bad_signature`; `ledger.log_shrank` if the witness has
            cosigned more than our log holds.
        ConsiliumError
            What `ask` raises.
        """
        checkpoint = self._tiles.checkpoint()
        old = self.last_size(witness)
        if old == checkpoint.size and old:
            return False
        for _ in range(2):
            proof = self._tiles.consistency(old, checkpoint.size)
            shown = Shown(checkpoint=checkpoint.text, old=old, proof=proof)
            answer = ask(shown.as_document())
            line, kept = answer.get("cosignature"), answer.get("kept")
            if isinstance(line, str):
                self.keep(witness, size=checkpoint.size, line=line, key=key)
                return True
            if not isinstance(kept, int) or isinstance(kept, bool) or kept < 0:
                break
            if kept > checkpoint.size:
                raise log_shrank(checkpoint, kept=kept)
            old = kept
        raise PeerError("ledger.no_cosignature", witness=witness)

    def keep(self, witness: str, *, size: int, line: str, key: PublicKey) -> None:
        """Keep a cosignature of a checkpoint that we handed out.

        Raises
        ------
        NotFoundError
            `ledger.no_checkpoint`.
        InputError, IntegrityError
            `ledger.not_a_checkpoint`, `ledger.bad_signature`.
        """
        with self._database.read() as connection:
            known = EVIDENCE_CHECKPOINTS
            query = select(known.c.note).where(known.c.size == size)
            note = connection.execute(query).scalar_one_or_none()
        if note is None:
            raise NotFoundError("ledger.no_checkpoint", size=size)
        if line.count("\n") != 1 or not line.endswith("\n"):
            raise InputError("ledger.not_a_checkpoint")
        verify_cosignature(note + line, witness, key)
        row = {"witness": witness, "size": size, "key": key.text, "line": line}
        table = COSIGNATURES
        mine = table.c.witness == witness
        with self._database.write() as tx:
            tx.execute(delete(table).where(mine, table.c.size == size))
            tx.execute(insert(table), row | {"received": write_time(self._clock.now())})
            newest = select(table.c.size).where(mine).order_by(table.c.size.desc())
            edge = tx.execute(newest.offset(KEPT).limit(1)).scalar()
            if edge is not None:
                tx.execute(delete(table).where(mine, table.c.size <= edge))

    def last_size(self, witness: str) -> int:
        """Return the largest size that a witness has cosigned; 0 if none."""
        query = select(func.max(COSIGNATURES.c.size)).where(COSIGNATURES.c.witness == witness)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one() or 0

    def best(self, *, least: int) -> CosignedCheckpoint:
        """Return the newest cosigned checkpoint of at least so many entries.

        If there is none, the present one without cosignatures.
        """
        table, notes = COSIGNATURES, EVIDENCE_CHECKPOINTS
        newest = select(func.max(table.c.size)).where(table.c.size >= least)
        with self._database.read() as connection:
            size = connection.execute(newest).scalar_one()
            note = connection.execute(select(notes.c.note).where(notes.c.size == size)).scalar()
            lines = select(table).where(table.c.size == size).order_by(table.c.witness)
            rows = connection.execute(lines).all()
        if note is None:
            found = self._tiles.checkpoint()
            return CosignedCheckpoint(note=found.text, size=found.size, witnesses={})
        return CosignedCheckpoint(
            note=note + "".join(row.line for row in rows),
            size=size,
            witnesses={row.witness: PublicKey.from_text(row.key) for row in rows},
        )

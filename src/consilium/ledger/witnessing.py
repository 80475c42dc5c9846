"""Being a witness: to cosign another's log only while it grows and never changes.

A log's owner shows a checkpoint together with a proof that the checkpoint
which the witness cosigned last is the beginning of it (C2SP tlog-witness). The
witness checks, remembers the new one and cosigns it. Whoever shows a log that
is smaller, or another one, is refused; both signed checkpoints become evidence
at the witness, and together they prove the fork to anybody.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import ConsiliumError, DeniedError, InputError, IntegrityError
from consilium.ledger.algorithms import HASH_BYTES
from consilium.ledger.cosigning import cosign
from consilium.ledger.database import Database, Transaction
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.notes import Checkpoint, read_checkpoint, verify_checkpoint
from consilium.ledger.proofs import Proof, verify_consistency
from consilium.ledger.tables import WITNESSED_LOGS

LONGEST_NOTE = 4096
"""Letters of a checkpoint that a witness takes."""
LONGEST_PROOF = 64
"""Hashes of a consistency proof; one of 2^63 entries needs no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a log's owner shows a witness.

    Parameters
    ----------
    checkpoint : str
        The signed note.
    old : int
        The size that the proof begins with: the last that this witness cosigned, or 0.
    proof : tuple of bytes
        RFC 9162 consistency proof from `old` to the checkpoint's size.
    """

    checkpoint: str
    old: int = 0
    proof: Proof = ()

    def as_document(self) -> dict[str, Json]:
        """Give the form that travels."""
        proof = [base64.b64encode(each).decode("ascii") for each in self.proof]
        return {"checkpoint": self.checkpoint, "old": self.old, "proof": proof}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Shown:
        """Read what `as_document` wrote.

        Raises
        ------
        InputError
            `ledger.not_a_checkpoint`.
        """
        note, old, proof = (document.get(name) for name in ("checkpoint", "old", "proof"))
        whole = isinstance(old, int) and not isinstance(old, bool) and old >= 0
        if not isinstance(note, str) or len(note) > LONGEST_NOTE or not whole:
            raise InputError("ledger.not_a_checkpoint")
        if not isinstance(proof, list) or len(proof) > LONGEST_PROOF:
            raise InputError("ledger.not_a_checkpoint")
        return cls(checkpoint=note, old=int(str(old)), proof=tuple(map(_read_hash, proof)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a witness answers.

    Either its cosignature of the checkpoint, of `size` entries; or, without
    one, the size that the proof has to begin with.
    """

    size: int
    cosignature: str = ""

    def as_document(self) -> dict[str, Json]:
        """Give the form that travels."""
        if self.cosignature:
            return {"size": self.size, "cosignature": self.cosignature}
        return {"kept": self.size}


class Memory(Protocol):
    """Where a witness keeps the last checkpoint of each log."""

    def last(self, connection: Connection, origin: str) -> str | None:
        """Return the note that was cosigned last."""
        ...

    def keep(self, tx: Transaction, checkpoint: Checkpoint, *, received: str) -> None:
        """Remember a larger one in its place."""
        ...


class LogMemory:
    """One row a log, without an entry of evidence.

    The entry would make this node's own log grow, which others witness, whose
    logs would grow by that: two witnesses of one another would never be done.
    """

    def last(self, connection: Connection, origin: str) -> str | None:
        """Return the note that was cosigned last."""
        query = select(WITNESSED_LOGS.c.note).where(WITNESSED_LOGS.c.origin == origin)
        return connection.execute(query).scalar_one_or_none()

    def keep(self, tx: Transaction, checkpoint: Checkpoint, *, received: str) -> None:
        """Remember a larger one in its place."""
        tx.execute(delete(WITNESSED_LOGS).where(WITNESSED_LOGS.c.origin == checkpoint.origin))
        row = {"origin": checkpoint.origin, "size": checkpoint.size, "received": received}
        note = {"root": checkpoint.root.hex(), "note": checkpoint.text}
        tx.execute(insert(WITNESSED_LOGS), row | note)


class Witness:
    """Checks and cosigns the logs of others.

    Parameters
    ----------
    database : Database
        The witness's own.
    me, key : str, SigningKey
        Who cosigns.
    key_of : callable
        Gives the present key of a log's owner.
    memory : Memory
        Keeps the last checkpoints.
    clock : Clock
        Says when.
    """

    def __init__(
        self,
        database: Database,
        *,
        me: str,
        key: SigningKey,
        key_of: Callable[[str], PublicKey],
        memory: Memory,
        clock: Clock,
    ) -> None:
        self._database = database
        self._me = me
        self._key = key
        self._key_of = key_of
        self._memory = memory
        self._clock = clock

    def last_size(self, origin: str) -> int:
        """Return the size of the checkpoint that was cosigned last; 0 if there is none."""
        with self._database.read() as connection:
            last = self._last(connection, origin)
        return last.size if last is not None else 0

    def take(self, origin: str, shown: Shown) -> Answer:
        """Cosign a checkpoint if its log has only grown.

        Raises
        ------
        InputError
            `ledger.not_a_checkpoint`.
        DeniedError
            `ledger.other_log_shown` if it is not the owner's own log.
        IntegrityError
            `ledger.bad_signature`; `ledger.log_shrank` if it is smaller than
            the last one, or differs at the same size; `ledger.not_consistent`
            if the proof fails. The last two become evidence.
        """
        checkpoint = verify_checkpoint(shown.checkpoint, self._key_of(origin))
        if checkpoint.origin != origin:
            raise DeniedError("ledger.other_log_shown", member=origin)
        with self._database.read() as connection:
            last = self._last(connection, origin)
        if last is None or (last.size, last.root) != (checkpoint.size, checkpoint.root):
            kept = last.size if last is not None else 0
            if checkpoint.size > kept and shown.old != kept:
                return Answer(size=kept)
            self._remember(checkpoint, shown)
        line = cosign(self._key, self._me, checkpoint.text, moment=self._clock.now())
        return Answer(size=checkpoint.size, cosignature=line)

    def _remember(self, checkpoint: Checkpoint, shown: Shown) -> None:
        with self._database.write() as tx:
            last = self._last(tx.connection, checkpoint.origin)
            refusal = _find_fault(last, checkpoint, shown)
            if refusal is None:
                self._memory.keep(tx, checkpoint, received=write_time(self._clock.now()))
                return
            facts: dict[str, Json] = {
                "code": refusal.code,
                "kept": last.size if last is not None else 0,
                "shown": checkpoint.size,
                "kept_note": last.text if last is not None else "",
                "shown_note": checkpoint.text,
            }
            tx.record("witness.refused", checkpoint.origin, facts)
        raise refusal

    def _last(self, connection: Connection, origin: str) -> Checkpoint | None:
        note = self._memory.last(connection, origin)
        return read_checkpoint(note) if note is not None else None


def _find_fault(
    last: Checkpoint | None, checkpoint: Checkpoint, shown: Shown
) -> ConsiliumError | None:
    """Say what is wrong with a checkpoint after the last one."""
    if last is None:
        return None
    if (last.size, last.root) == (checkpoint.size, checkpoint.root):
        return None
    if checkpoint.size <= last.size or checkpoint.tree != last.tree:
        return log_shrank(checkpoint, kept=last.size)
    roots = (last.root, checkpoint.root)
    try:
        verify_consistency(
            last.size, checkpoint.size, proof=shown.proof, roots=roots, tree=last.tree
        )
    except IntegrityError as error:
        return error
    return None


def log_shrank(checkpoint: Checkpoint, *, kept: int) -> IntegrityError:
    """Say that a log was longer, or another one, when a witness last saw it."""
    return IntegrityError(
        "ledger.log_shrank", member=checkpoint.origin, kept=kept, shown=checkpoint.size
    )


def _read_hash(text: object) -> bytes:
    try:
        found = base64.b64decode(str(text), validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError("ledger.not_a_checkpoint") from error
    if len(found) != HASH_BYTES:
        raise InputError("ledger.not_a_checkpoint")
    return found

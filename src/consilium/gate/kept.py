"""What a hospital keeps of a study between its rounds: personal models, local arrays.

It belongs to a round, so a round that is repeated after a crash starts from
the same bytes as the first time. It never leaves, and it goes with the study.
"""

from __future__ import annotations

import sqlalchemy as sa

from consilium.gate.admission import Asked
from consilium.gate.leases import Round
from consilium.gate.replies import EVALUATE, TRAIN
from consilium.gate.store import KEPT
from consilium.gate.updates import LARGEST_UPDATE
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.ledger.database import Transaction
from consilium.ledger.files import BlobStore
from consilium.models.weights import unpack_arrays

LATEST = 4
"""Rounds that are kept: an attempt begins again at most one or two rounds back."""


class Kept:
    """Keeps and finds what stays here between rounds.

    Parameters
    ----------
    blobs : BlobStore
        Holds the files by digest, in a room of their own.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs.room("kept")

    def find(self, connection: sa.Connection, asked: Asked, wanted: Round) -> bytes:
        """Return what was kept after the last round before the wanted one; nothing at first.

        Raises
        ------
        DeniedError
            `gate.kept_lost` when rounds were kept, but none so early.
        """
        last = wanted.round if wanted.kind == EVALUATE else wanted.round - 1
        rows = connection.execute(
            sa.select(KEPT.c.round, KEPT.c.digest)
            .where(KEPT.c.agreement == asked.place.agreement, KEPT.c.study == asked.study.study)
            .order_by(KEPT.c.round.desc())
        ).all()
        for number, digest in rows:
            if number <= last:
                return self._blobs.read(Digest(digest))
        if rows and last >= 1 and len(rows) >= LATEST:
            raise DeniedError("gate.kept_lost", study=asked.study.study, round=wanted.round)
        return b""

    def keep(self, tx: Transaction, asked: Asked, done: Round, data: bytes) -> None:
        """Keep a round's file in the transaction that lets its update out.

        Raises
        ------
        DeniedError
            `gate.update_too_large`, `gate.update_unreadable`.
        """
        if not data or done.kind != TRAIN:
            return
        _check(data)
        self._sweep(tx.connection)
        place = {"agreement": asked.place.agreement, "study": asked.study.study}
        mine = sa.and_(*(KEPT.c[name] == value for name, value in place.items()))
        # What was kept of this round or later belongs to an attempt that is over.
        tx.execute(sa.delete(KEPT).where(mine, KEPT.c.round >= done.round))
        tx.execute(sa.delete(KEPT).where(mine, KEPT.c.round <= done.round - LATEST))
        tx.execute(sa.insert(KEPT).values(**place, round=done.round, digest=self._blobs.put(data)))

    def _sweep(self, connection: sa.Connection) -> None:
        """Remove the files of rows that went in an earlier transaction."""
        self._blobs.keep_only([Digest(one) for one in connection.scalars(sa.select(KEPT.c.digest))])


def _check(data: bytes) -> None:
    if len(data) > LARGEST_UPDATE:
        raise DeniedError("gate.update_too_large", bytes=len(data), largest=LARGEST_UPDATE)
    try:
        unpack_arrays(data)
    except (InputError, IntegrityError) as error:
        raise DeniedError("gate.update_unreadable") from error

"""The durable memory of sums: what a restart of the node must not forget."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from consilium.federation.secure.plan import SumPlan
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import DeniedError
from consilium.ledger.database import Database, Transaction
from consilium.ledger.tables import METADATA

SUMS = sa.Table(
    "secure_sum",
    METADATA,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("segment", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("plan", sa.String(80), nullable=False),
    sa.Column("encoded", sa.String(80), nullable=False),
    sa.Column("survivors", sa.String(80), nullable=False),
)
"""Sums that this hospital joined. `plan` is the sum's fingerprint; `encoded`, the
fingerprint of the update before its masks, and `survivors`, that of the set, are
empty until a survivor set is signed."""


class StoredMemory:
    """A site's memory of sums in its node's database, each step with its evidence.

    Parameters
    ----------
    database : Database
        The node's.

    Discloses
    ---------
    Nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_round(self, plan: SumPlan) -> None:
        """Note that a round of an attempt is joined; `secure.round_again`."""
        with self._database.write() as tx:
            if tx.execute(sa.select(SUMS.c.plan).where(_is(plan))).first() is not None:
                raise DeniedError("secure.round_again", round=plan.round, attempt=plan.attempt)
            row = {"plan": plan.digest, "encoded": "", "survivors": ""}
            tx.execute(sa.insert(SUMS).values(**_key(plan), **row))
            _record(tx, "sum.joined", plan, sites=len(plan.sites), threshold=plan.threshold)

    def check_update(self, plan: SumPlan, update: Digest) -> None:
        """Return if the update is not used up; `secure.update_again`."""
        query = sa.select(SUMS.c.round).where(
            SUMS.c.study == plan.study,
            SUMS.c.round != plan.round,
            SUMS.c.encoded == update,
            SUMS.c.survivors != "",
        )
        with self._database.read() as connection:
            if connection.execute(query).first() is not None:
                raise DeniedError("secure.update_again", round=plan.round)

    def keep_set(self, plan: SumPlan, update: Digest, *, survivors: Digest, number: int) -> None:
        """Note the one survivor set of a round; `secure.other_survivors`."""
        signed = sa.select(SUMS.c.survivors).where(
            SUMS.c.study == plan.study, SUMS.c.round == plan.round, SUMS.c.survivors != ""
        )
        with self._database.write() as tx:
            if {*tx.execute(signed).scalars()} - {survivors}:
                raise DeniedError("secure.other_survivors", round=plan.round)
            kept = sa.update(SUMS).where(_is(plan))
            tx.execute(kept.values(encoded=update, survivors=survivors))
            _record(tx, "sum.confirmed", plan, survivors=number, set=survivors)

    def note_revealed(self, plan: SumPlan, *, seeds: int, keys: int) -> None:
        """Write the evidence of what is about to be revealed."""
        with self._database.write() as tx:
            _record(tx, "sum.revealed", plan, seeds=seeds, keys=keys)


def _key(plan: SumPlan) -> dict[str, Any]:
    study, segment, attempt, number = plan.key
    return {"study": study, "segment": segment, "attempt": attempt, "round": number}


def _is(plan: SumPlan) -> sa.ColumnElement[bool]:
    return sa.and_(*(SUMS.c[name] == value for name, value in _key(plan).items()))


def _record(tx: Transaction, kind: str, plan: SumPlan, **facts: Json) -> None:
    named: dict[str, Json] = {"sum": plan.digest, "model": plan.model}
    tx.record(kind, plan.study, {**_key(plan), **named, **facts})

"""Budgets: what an agreement still allows, claimed in the transaction that uses it.

A claim is written first and judged afterwards by the agreement's own policy;
when the policy says no, the transaction is rolled back and the claim with it.
Writers take turns, so of many who claim the last place exactly one gets it.
Nothing that was claimed is ever given back.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from consilium.gate.privacy import Purse, Remaining, charge_epsilon, find_remaining
from consilium.gate.replies import EVALUATE, TRAIN
from consilium.gate.store import ROUNDS, STUDIES, find_admission
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import AgreementId, StudyId
from consilium.ledger.database import Transaction

__all__ = [
    "Purse",
    "Remaining",
    "Showing",
    "charge_epsilon",
    "claim_round",
    "claim_study",
    "find_remaining",
    "spent_rounds",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """One model shown to the data: for which round, as which round's model, in which attempt."""

    agreement: AgreementId
    study: StudyId
    kind: str
    round: int
    model: Digest
    model_round: int
    attempt: int


def claim_study(
    tx: Transaction, *, agreement: AgreementId, study: StudyId, digest: Digest, now: str
) -> int:
    """Claim a study's place under an agreement and return it, counted from 1.

    A study counts once: further segments and attempts find its place again.

    Raises
    ------
    DeniedError
        `gate.other_plan` when another plan of that name has the place.
    """
    row = find_admission(tx.connection, agreement=agreement, study=study)
    if row is not None and row["digest"] != digest:
        raise DeniedError("gate.other_plan", study=study)
    if row is not None:
        return int(row["place"])
    taken = sa.select(sa.func.count()).where(STUDIES.c.agreement == agreement)
    place = int(tx.execute(taken).scalar_one()) + 1
    fresh = {"agreement": agreement, "study": study, "digest": digest, "place": place}
    tx.execute(sa.insert(STUDIES).values(**fresh, layout="", admitted=now))
    return place


def claim_round(tx: Transaction, showing: Showing, *, now: str) -> int:
    """Claim a round and return how many the agreement has now spent.

    The same model in the same round counts once, however often a task is
    repeated. Another model in it (a round that was done again after a crash)
    counts as a further round: each model is one more look at the data.
    """
    key = {
        "agreement": showing.agreement,
        "study": showing.study,
        "kind": showing.kind,
        "round": showing.round,
        "model": showing.model,
    }
    same = sa.and_(*(ROUNDS.c[name] == value for name, value in key.items()))
    seen = tx.execute(sa.update(ROUNDS).where(same).values(attempt=showing.attempt, claimed=now))
    if seen.rowcount == 0:
        fresh = {"model_round": showing.model_round, "attempt": showing.attempt, "claimed": now}
        tx.execute(sa.insert(ROUNDS).values(**key, **fresh))
    return spent_rounds(tx.connection, showing.agreement)


def spent_rounds(
    connection: sa.Connection, agreement: AgreementId, *, besides: StudyId | None = None
) -> int:
    """Count the rounds spent under an agreement, optionally by all studies but one.

    Each study may evaluate one model for nothing; every further one costs a round.
    """
    query = (
        sa.select(ROUNDS.c.study, ROUNDS.c.kind, sa.func.count())
        .where(ROUNDS.c.agreement == agreement)
        .group_by(ROUNDS.c.study, ROUNDS.c.kind)
    )
    free = {TRAIN: 0, EVALUATE: 1}
    rows = connection.execute(query).all()
    return sum(max(0, number - free[kind]) for study, kind, number in rows if study != besides)

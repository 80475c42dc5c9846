"""Leases: the right to open one dataset's arrays once, for one round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

import sqlalchemy as sa

from consilium.gate.admission import Asked, House, Standing, check_newest, check_terms
from consilium.gate.budgets import Showing, claim_round
from consilium.gate.orders import MOST_ROUNDS
from consilium.gate.replies import EVALUATE, TRAIN, countersigned_round
from consilium.gate.store import (
    LEASES,
    count_leases,
    find_admission,
    find_last_shown,
    find_shown_model,
)
from consilium.gate.training import charge_look
from consilium.kernel.canonical import Digest, Json, is_digest
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import LeaseId, new_urn
from consilium.ledger.database import Transaction
from consilium.readers.schema import Schema

OUT = "out"
USED = "used"
REFUSED = "refused"
MOST_REPEATS = 64
"""Leases for one model in one round, all attempts together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An open, read-only array file and what a site worker may know about it.

    `facts` holds `participant`, `columns` (the columns of `x` in order, each
    with `name`, `kind`, `unit` and `categories`), `n_train`, `n_test`,
    `public`, `min_cases` (the smallest count that may leave), `deadline` (a
    time) and `secret`, which noise and the lots of clipped steps are drawn from
    in this one task. No path, key or address. `kept` is what this site kept after its last
    round before this one: a safetensors file, or nothing.
    """

    id: LeaseId
    file: BinaryIO
    facts: Mapping[str, Json]
    kept: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The one task that a lease is for."""

    kind: str
    round: int
    model: Digest

    @property
    def model_round(self) -> int:
        """Which round's model the task brings."""
        return countersigned_round(self.kind, self.round)


def grant_lease(
    tx: Transaction, asked: Asked, standing: Standing, wanted: Round, *, house: House
) -> tuple[LeaseId, str]:
    """Claim the round and write the lease; return its number and its deadline.

    Plan: (1) the order is the newest admitted; (2) the round is one of the
    plan's and the model may be shown in it; (3) the round is claimed, its
    privacy loss is paid, and the agreement's terms still allow everything; (4)
    the lease is written.

    Raises
    ------
    DeniedError
        With the rule that says no; the claim is rolled back with the transaction.
    """
    now = house.clock.now()
    # 1. Order.
    check_newest(tx.connection, asked)
    # 2. Round and model.
    check_round(asked, wanted)
    _check_model(tx.connection, asked, wanted)
    # 3. Budget and terms.
    showing = Showing(
        agreement=standing.agreement.id,
        study=asked.study.study,
        kind=wanted.kind,
        round=wanted.round,
        model=wanted.model,
        model_round=wanted.model_round,
        attempt=asked.order.attempt,
    )
    spent = claim_round(tx, showing, now=write_time(now))
    place = _place(tx.connection, asked, standing)
    loss = charge_look(
        tx, asked.study, agreement=standing.agreement, kind=wanted.kind, clock=house.clock
    )
    check_terms(
        asked, standing, house=house, place=place, rounds=spent, loss=loss, kind=wanted.kind
    )
    # 4. Lease.
    _check_repeats(tx.connection, showing)
    lease = LeaseId(new_urn())
    deadline = write_time(now + timedelta(seconds=asked.study.deadline_s))
    row = {
        "id": lease,
        "agreement": standing.agreement.id,
        "study": asked.study.study,
        "attempt": asked.order.attempt,
        "segment": asked.order.segment,
        "kind": wanted.kind,
        "round": wanted.round,
        "model": wanted.model,
        "state": OUT,
        "granted": write_time(now),
        "deadline": deadline,
    }
    tx.execute(sa.insert(LEASES).values(**row))
    return lease, deadline


def describe_data(
    standing: Standing, *, house: House, min_cases: int, deadline: str
) -> dict[str, Json]:
    """Say what a site worker may know about the data that it gets.

    Discloses
    ---------
    To the job process on this machine: column names, categories and counts.
    """
    dataset = standing.dataset
    columns: list[Json] = [
        {
            "name": feature.name,
            "kind": feature.kind,
            "unit": feature.unit,
            "categories": list(feature.categories),
        }
        for feature in Schema.from_record(dataset.schema).columns
    ]
    return {
        "participant": house.me,
        "columns": columns,
        "n_train": dataset.n_train,
        "n_test": dataset.n_test,
        "public": dataset.public,
        "min_cases": 1 if dataset.public else min_cases,
        "deadline": deadline,
    }


def end_lease(tx: Transaction, lease: LeaseId, *, state: str) -> bool:
    """Take a lease back; False when somebody else has done so already."""
    query = sa.update(LEASES).where(LEASES.c.id == lease, LEASES.c.state == OUT)
    return tx.execute(query.values(state=state)).rowcount == 1


def read_round(kind: str, number: int, model: Digest) -> Round:
    """Read what a job process says its task is; nothing else of it is repeated anywhere.

    Raises
    ------
    DeniedError
        `gate.task_unreadable`.
    """
    if kind not in (TRAIN, EVALUATE) or not 1 <= number <= MOST_ROUNDS or not is_digest(model):
        raise DeniedError("gate.task_unreadable")
    return Round(kind=kind, round=number, model=model)


def check_round(asked: Asked, wanted: Round) -> None:
    """Return if a round is one of the plan's that this order may still ask for.

    Raises
    ------
    DeniedError
        `gate.no_such_round`.
    """
    study, order = asked.study, asked.order
    first = order.first_round if wanted.kind == TRAIN else study.rounds
    if not first <= wanted.round <= study.rounds:
        raise DeniedError("gate.no_such_round", study=study.study, rounds=study.rounds)


def _check_model(connection: sa.Connection, asked: Asked, wanted: Round) -> None:
    """Refuse what one attempt never brings in good faith.

    That is a round before one that was here already, a second model for one
    round, and any but the order's start at the start.
    """
    study, order = asked.study, asked.order
    last = find_last_shown(
        connection, agreement=asked.place.agreement, study=study.study, attempt=order.attempt
    )
    if wanted.model_round < last:
        raise DeniedError("gate.round_passed", study=study.study, round=wanted.round)
    if wanted.model_round == order.first_round - 1:
        if wanted.model != order.start:
            raise DeniedError("gate.other_model", study=study.study, round=wanted.round)
        return
    seen = find_shown_model(
        connection,
        agreement=asked.place.agreement,
        study=study.study,
        model_round=wanted.model_round,
    )
    if seen and seen["attempt"] == order.attempt and seen["model"] != wanted.model:
        raise DeniedError("gate.other_model", study=study.study, round=wanted.round)


def _check_repeats(connection: sa.Connection, showing: Showing) -> None:
    """Let a task be repeated, as after a crash, but not for ever: each time is an entry."""
    leases = count_leases(
        connection,
        agreement=showing.agreement,
        study=showing.study,
        task=(showing.kind, showing.round, showing.model),
    )
    if leases >= MOST_REPEATS:
        raise DeniedError("gate.task_repeated", study=showing.study, round=showing.round)


def _place(connection: sa.Connection, asked: Asked, standing: Standing) -> int:
    row = find_admission(connection, agreement=standing.agreement.id, study=asked.study.study)
    if row is None:
        raise DeniedError("gate.not_admitted", study=asked.study.study, attempt=asked.order.attempt)
    return int(row["place"])

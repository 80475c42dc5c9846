"""Release: what may leave the hospital, and under whose name.

Everything that a job wants to send passes here. It is judged, packed anew from
what was judged, signed, and written into the evidence log; only then are there
bytes to send.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from consilium.gate.admission import Asked, House, Standing, read_asked
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.leases import OUT, Round
from consilium.gate.replies import TRAIN, Answer, pack_reply
from consilium.gate.store import ORDERS, STUDIES, find_admission, find_lease
from consilium.gate.sums import Masked, SumPlace, Sums
from consilium.gate.updates import (
    check_layout,
    largest_update,
    layout_of,
    plan_layout,
    read_layout,
    read_update,
    write_layout,
)
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.clock import read_time
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import LeaseId
from consilium.ledger.database import Transaction
from consilium.ledger.keys import SigningKey
from consilium.models.weights import Arrays, pack_arrays

LONGEST_WORK_S = 1e7


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A lease that is out, and the order it was granted under."""

    id: LeaseId
    asked: Asked
    round: Round


def find_leased(connection: sa.Connection, lease: LeaseId, *, house: House) -> Leased:
    """Return a lease that is out and in time.

    Raises
    ------
    DeniedError
        `gate.no_lease`, `gate.lease_used`, `gate.lease_over`.
    """
    row = find_lease(connection, lease)
    if row is None:
        raise DeniedError("gate.no_lease")
    if row["state"] != OUT:
        raise DeniedError("gate.lease_used", round=row["round"])
    if house.clock.now() > read_time(row["deadline"]):
        raise DeniedError("gate.lease_over", round=row["round"])
    query = sa.select(ORDERS.c.body).where(
        ORDERS.c.agreement == row["agreement"],
        ORDERS.c.study == row["study"],
        ORDERS.c.attempt == row["attempt"],
        ORDERS.c.segment == row["segment"],
    )
    asked = read_asked(connection.execute(query).scalar_one().encode(), house=house)
    wanted = Round(kind=row["kind"], round=row["round"], model=Digest(row["model"]))
    return Leased(id=lease, asked=asked, round=wanted)


def judge_update(leased: Leased, update: bytes) -> Arrays:
    """Return the arrays that may leave: the plan's for training, none for an evaluation.

    Raises
    ------
    DeniedError
        As `read_update` and `check_layout` say.

    Discloses
    ---------
    The arrays it returns.
    """
    layout = plan_layout(leased.asked.study) if leased.round.kind == TRAIN else {}
    arrays = read_update(update, largest=largest_update(layout))
    if layout is not None:
        check_layout(arrays, layout)
    return arrays


def judge_facts(
    leased: Leased, facts: Mapping[str, Json], *, standing: Standing, min_cases: int
) -> dict[str, Any]:
    """Return the facts that may leave. They always hold `n` and `work_s`.

    Raises
    ------
    DeniedError
        As `check_facts` says; `gate.fact_missing` without `n` or `work_s`.

    Discloses
    ---------
    The facts it returns.
    """
    dataset = standing.dataset
    rule = CountRule(
        smallest=0 if dataset.public else min_cases, largest=dataset.n_train + dataset.n_test
    )
    checked: dict[str, Any] = check_facts(facts, rule=rule)
    cases = dataset.n_train if leased.round.kind == TRAIN else dataset.n_test
    work_s = checked.get("work_s")
    if "n" not in checked or not isinstance(work_s, int | float):
        raise DeniedError("gate.fact_missing")
    if checked["n"] > cases or not 0 <= work_s <= LONGEST_WORK_S:
        raise DeniedError("gate.count_impossible", place="n, work_s")
    return checked


def pin_layout(tx: Transaction, leased: Leased, standing: Standing, arrays: Arrays) -> None:
    """Hold every update of a study here to the layout of the first one.

    Raises
    ------
    DeniedError
        `gate.update_other_arrays`.
    """
    if leased.round.kind != TRAIN:
        return
    agreement, study = standing.agreement.id, leased.asked.study.study
    row = find_admission(tx.connection, agreement=agreement, study=study)
    if row is not None and row["layout"]:
        check_layout(arrays, read_layout(row["layout"]))
        return
    same = sa.update(STUDIES).where(STUDIES.c.agreement == agreement, STUDIES.c.study == study)
    tx.execute(same.values(layout=write_layout(layout_of(arrays))))


def needs_masks(leased: Leased) -> bool:
    """Say whether what the lease is for may leave under masks only."""
    return leased.asked.study.secure is not None and leased.round.kind == TRAIN


def place_of(asked: Asked, wanted: Round) -> SumPlace:
    """Say which secure sum a round of an order is."""
    return SumPlace(study=asked.study, order=asked.order, round=wanted.round, model=wanted.model)


def mask_answer(
    leased: Leased, arrays: Arrays, facts: dict[str, Any], *, sums: Sums
) -> tuple[Masked, dict[str, Any]]:
    """Put judged arrays under masks; of the facts only the seconds are left.

    The number of cases goes into the sum, where nobody reads it alone.

    Raises
    ------
    DeniedError, InputError, IntegrityError, StateError
        As `Sums.mask`.

    Discloses
    ---------
    The masked arrays it returns, and how long the work took.
    """
    masked = sums.mask(place_of(leased.asked, leased.round), arrays, cases=int(facts["n"]))
    return masked, {"n": 0, "work_s": facts["work_s"]}


def sign_answer(
    leased: Leased,
    arrays: Arrays,
    facts: dict[str, Any],
    *,
    house: House,
    key: SigningKey,
    masked: str = "",
) -> bytes:
    """Write the reply's bytes from what was judged, and from nothing else.

    `masked` is this hospital's statement for the sum when `arrays` are masked.

    Discloses
    ---------
    The arrays and facts given, under this hospital's signature.
    """
    rest = {name: value for name, value in facts.items() if name not in ("n", "work_s")}
    answer = Answer(
        study=leased.asked.study.study,
        segment=leased.asked.order.segment,
        round=leased.round.round,
        kind=leased.round.kind,
        participant=house.me,
        n=facts["n"],
        model_in=leased.round.model,
        facts=rest,
        work_s=float(facts["work_s"]),
        masked=masked,
    )
    return pack_reply(key, answer, update=pack_arrays(arrays))

"""The privacy accountant: what may still be learnt of a dataset's patients, and who pays.

Every computation that draws noise pays its loss here before the noise is drawn,
in the transaction that lets it happen: once out of the agreement's budget and
once out of the dataset's, whatever kind of computation it is. Losses add up
(basic composition, Dwork and Roth 2014, theorem 3.16), which holds for any
sequence of computations, also for one that reacts to earlier answers. Nothing
is ever given back, not even for an answer that was never sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import sqlalchemy as sa

from consilium.dataspace.evaluation import evaluate
from consilium.dataspace.records import Agreement, Dataset
from consilium.dataspace.store import find_agreement, find_dataset
from consilium.dataspace.vocabulary import DELTA, EPSILON, OPERANDS
from consilium.gate.store import CHARGES
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import DeniedError, InputError
from consilium.kernel.identifiers import AgreementId, DatasetId
from consilium.ledger.database import Transaction

USES = ("training", "statistics", "evaluation", "catalogue")
"""Kinds of computation that pay out of the same budgets."""

_EPSILON_UNIT = Decimal("1e-6")
_DELTA_UNIT = Decimal("1e-12")
_GREATEST = 1e6
_ELSEWHERE = OPERANDS.keys() - {EPSILON, DELTA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """One budget: what it allows and what is spent of it. A limit of None is no limit."""

    epsilon: float | None
    delta: float | None
    spent_epsilon: float
    spent_delta: float

    @property
    def left_epsilon(self) -> float | None:
        """What is left of epsilon, or None where nothing limits it."""
        return _left(self.epsilon, self.spent_epsilon)

    @property
    def left_delta(self) -> float | None:
        """What is left of delta, or None where nothing limits it."""
        return _left(self.delta, self.spent_delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What an agreement and its dataset have left; the tighter of the two holds."""

    agreement: Purse
    dataset: Purse

    @property
    def epsilon(self) -> float:
        """The most epsilon that another computation may cost."""
        return min(_or_all(self.agreement.left_epsilon), _or_all(self.dataset.left_epsilon))

    @property
    def delta(self) -> float:
        """The most delta that another computation may cost."""
        return min(_or_all(self.agreement.left_delta), _or_all(self.dataset.left_delta))


@dataclass(frozen=True, slots=True)
class _Loss:
    """A privacy loss in exact units."""

    epsilon: int
    delta: int

    @property
    def plain(self) -> tuple[Decimal, Decimal]:
        return self.epsilon * _EPSILON_UNIT, self.delta * _DELTA_UNIT


def charge_epsilon(
    tx: Transaction,
    *,
    agreement: AgreementId,
    dataset: DatasetId,
    epsilon: float,
    delta: float = 0.0,
    use: str,
    reference: str,
    clock: Clock,
) -> Remaining:
    """Pay for a computation before its noise is drawn, and tell what is left.

    The loss is written first and judged afterwards, so of many who charge the
    last of a budget at once only as many pass as it holds; a refusal must roll
    the transaction back, which it does when the error leaves its block.

    Parameters
    ----------
    tx : Transaction
        The one in which the computation is allowed.
    agreement : AgreementId
        Under which it is asked for; one that this hospital gave.
    dataset : DatasetId
        The agreement's.
    epsilon, delta : float
        The loss; `epsilon` above 0, `delta` from 0 to below 1. Rounded up to
        millionths and to units of 1e-12.
    use : str
        One of `USES`.
    reference : str
        Names the computation. The same one asked for again, at the same price,
        is not charged twice: then the same answer must be given.
    clock : Clock
        For the entry's time.

    Raises
    ------
    DeniedError
        `gate.epsilon_used_up` when the agreement's or the dataset's budget
        would be exceeded; `gate.charged_otherwise` when the reference was
        charged at another price; `gate.no_agreement`, `gate.other_dataset`.
    InputError
        `gate.bad_charge`.

    Discloses
    ---------
    Nothing.
    """
    loss = _read_loss(epsilon, delta, use)
    given, source = _find_ground(tx.connection, agreement, dataset)
    key = {"agreement": agreement, "purpose": use, "reference": reference}
    row = {"dataset": dataset, "epsilon": loss.epsilon, "delta": loss.delta}
    known = _find_charge(tx.connection, key)
    if known is not None:
        if any(known[name] != value for name, value in row.items()):
            raise DeniedError("gate.charged_otherwise", use=use)
        return _remaining(tx.connection, given, source)
    tx.execute(sa.insert(CHARGES).values(**key, **row, charged=write_time(clock.now())))
    _check_agreement(tx.connection, given)
    _check_dataset(tx.connection, source)
    told: dict[str, Json] = {"agreement": agreement, "use": use, "reference": reference}
    told |= {"epsilon_millionths": loss.epsilon, "delta_e12": loss.delta}
    tx.record("budget.charged", dataset, told)
    return _remaining(tx.connection, given, source)


def find_remaining(
    connection: sa.Connection, *, agreement: AgreementId, dataset: DatasetId
) -> Remaining:
    """Tell what is left under an agreement of ours, and of its dataset.

    Raises
    ------
    DeniedError
        `gate.no_agreement`, `gate.other_dataset`.

    Discloses
    ---------
    Nothing.
    """
    return _remaining(connection, *_find_ground(connection, agreement, dataset))


def purse_of_dataset(connection: sa.Connection, dataset: Dataset) -> Purse:
    """Tell a dataset's budget and what all agreements have spent of it together."""
    epsilon, delta = _spent(connection, CHARGES.c.dataset == dataset.id).plain
    return Purse(
        epsilon=dataset.budget.epsilon,
        delta=dataset.budget.delta,
        spent_epsilon=float(epsilon),
        spent_delta=float(delta),
    )


def purse_of_agreement(connection: sa.Connection, agreement: Agreement) -> Purse:
    """Tell an agreement's budget and what was spent under it."""
    epsilon, delta = _spent(connection, CHARGES.c.agreement == agreement.id).plain
    terms = agreement.terms
    return Purse(
        epsilon=terms.epsilon,
        delta=None if terms.epsilon is None else terms.delta or 0.0,
        spent_epsilon=float(epsilon),
        spent_delta=float(delta),
    )


def _read_loss(epsilon: float, delta: float, use: str) -> _Loss:
    is_possible = math.isfinite(epsilon) and 0 < epsilon <= _GREATEST and 0 <= delta < 1
    if use not in USES or not is_possible:
        raise InputError("gate.bad_charge")
    return _Loss(_units(epsilon, _EPSILON_UNIT), _units(delta, _DELTA_UNIT))


def _units(amount: float, unit: Decimal) -> int:
    """Turn an amount into whole units, rounded up; `0.1` means a tenth exactly."""
    return int((Decimal(repr(float(amount))) / unit).to_integral_value(ROUND_CEILING))


def _find_ground(
    connection: sa.Connection, agreement: AgreementId, dataset: DatasetId
) -> tuple[Agreement, Dataset]:
    given = find_agreement(connection, agreement)
    if given is None:
        raise DeniedError("gate.no_agreement", agreement=agreement)
    source = find_dataset(connection, dataset)
    if source is None or given.dataset != dataset:
        raise DeniedError("gate.other_dataset", agreement=agreement)
    return given, source


def _find_charge(connection: sa.Connection, key: dict[str, str]) -> sa.RowMapping | None:
    same = sa.and_(*(CHARGES.c[name] == value for name, value in key.items()))
    return connection.execute(sa.select(CHARGES).where(same)).mappings().first()


def _spent(connection: sa.Connection, which: sa.ColumnElement[bool]) -> _Loss:
    sums = (sa.func.coalesce(sa.func.sum(CHARGES.c[name]), 0) for name in ("epsilon", "delta"))
    epsilon, delta = connection.execute(sa.select(*sums).where(which)).one()
    return _Loss(int(epsilon), int(delta))


def _check_agreement(connection: sa.Connection, agreement: Agreement) -> None:
    epsilon, delta = _spent(connection, CHARGES.c.agreement == agreement.id).plain
    facts = {EPSILON: epsilon, DELTA: delta}
    decision = evaluate(agreement.policy, facts, later=_ELSEWHERE)
    if not decision.allowed:
        raise DeniedError("gate.epsilon_used_up", rule=decision.rule, budget=agreement.id)


def _check_dataset(connection: sa.Connection, dataset: Dataset) -> None:
    epsilon, delta = _spent(connection, CHARGES.c.dataset == dataset.id).plain
    for rule, spent, limit in (
        (EPSILON, epsilon, dataset.budget.epsilon),
        (DELTA, delta, dataset.budget.delta),
    ):
        if spent > Decimal(repr(float(limit))):
            raise DeniedError("gate.epsilon_used_up", rule=rule, budget=dataset.id)


def _remaining(connection: sa.Connection, agreement: Agreement, dataset: Dataset) -> Remaining:
    return Remaining(
        agreement=purse_of_agreement(connection, agreement),
        dataset=purse_of_dataset(connection, dataset),
    )


def _left(limit: float | None, spent: float) -> float | None:
    if limit is None:
        return None
    return float(max(Decimal(0), Decimal(repr(float(limit))) - Decimal(repr(spent))))


def _or_all(left: float | None) -> float:
    return math.inf if left is None else left

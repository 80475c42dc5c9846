"""Training with noise at this hospital: what a plan costs here, and paying for it.

The lead's plan says how much noise is drawn and what the study costs. Nothing
of it is believed: the recipe must be one whose installed code draws noise, its
settings must say the same as the plan, and the loss is computed here, over all
rounds, before any data are opened. It is charged whole with the first lease of
the study. A round that is done again with another model is one more look and
is charged on top; nothing comes back when a study ends early.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from decimal import Decimal

import sqlalchemy as sa

from consilium.dataspace.records import Agreement, Dataset
from consilium.dataspace.vocabulary import UNBOUNDED
from consilium.gate.accounting import MOST_DELTA, epsilon_of
from consilium.gate.orders import NoisePlan, Study
from consilium.gate.privacy import charge_epsilon, purse_of_agreement
from consilium.gate.replies import EVALUATE, TRAIN
from consilium.gate.store import CHARGES, ROUNDS
from consilium.kernel.canonical import Digest, Json, canonical_bytes
from consilium.kernel.clock import Clock
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import AgreementId
from consilium.ledger.database import Transaction
from consilium.ledger.keys import SigningKey

SAME = {"clip": "clip", "noise": "noise", "rate": "rate", "local_steps": "steps"}
"""Recipe settings that must say what the plan says, by the plan's name for it."""
FIRST = {TRAIN: "training", EVALUATE: "evaluation"}
_TOLD = frozenset({"n", "work_s"})
_JUDGED = "federated"

Loss = tuple[Decimal | float, Decimal | float]
"""Epsilon and delta, as terms judge them."""


def check_noise(study: Study, dataset: Dataset, *, noisy: Collection[str]) -> None:
    """Refuse a plan whose noise is not drawn, not enough, or not what it says.

    Plan: (1) the recipe is one that draws noise; (2) its settings are the
    plan's; (3) delta is small for this hospital's cases; (4) all rounds cost no
    more than the plan says.

    Parameters
    ----------
    noisy : collection of str
        Installed recipes that draw noise.

    Raises
    ------
    DeniedError
        `gate.recipe_draws_no_noise`, `gate.noise_differs`,
        `gate.delta_too_large`, `gate.costs_more`.

    Discloses
    ---------
    By which of them a plan is refused; nothing of the data.
    """
    plan = study.privacy
    if plan is None:
        return
    # 1. Recipe.
    if study.recipe.name not in noisy:
        raise DeniedError("gate.recipe_draws_no_noise", recipe=study.recipe.name)
    # 2. Settings.
    for setting, name in SAME.items():
        if study.recipe.settings.get(setting) != getattr(plan, name):
            raise DeniedError("gate.noise_differs", setting=setting)
    # 3. Delta.
    if plan.delta * dataset.n_train > MOST_DELTA:
        raise DeniedError("gate.delta_too_large")
    # 4. Price.
    if cost_of(plan, looks=study.rounds) > plan.epsilon:
        raise DeniedError("gate.costs_more", study=study.study)


def cost_of(plan: NoisePlan, *, looks: int) -> float:
    """Return the epsilon of so many rounds of training together, at the plan's delta."""
    return epsilon_of(rate=plan.rate, noise=plan.noise, steps=plan.steps * looks, delta=plan.delta)


def planned_loss(connection: sa.Connection, study: Study, agreement: Agreement) -> Loss:
    """Return what the agreement will have spent when this study ends as planned.

    A study without noise, or whose figures are exact, has no bound.
    """
    plan = study.privacy
    if not study.has_bound or plan is None:
        return UNBOUNDED, 0
    spent = purse_of_agreement(connection, agreement)
    ahead = not _is_charged(connection, agreement.id, study)
    epsilon, delta = (plan.epsilon, plan.delta) if ahead else (0.0, 0.0)
    return _sum(spent.spent_epsilon, epsilon), _sum(spent.spent_delta, delta)


def charge_look(
    tx: Transaction, study: Study, *, agreement: Agreement, kind: str, clock: Clock
) -> Loss:
    """Pay for the look that was just claimed; return what the agreement has spent then.

    The first one of a study pays for all its rounds. Patients who judge the
    model are never trained on, so noisy figures at the same epsilon cost nothing
    on top (parallel composition); a second model judged is charged.

    Raises
    ------
    DeniedError
        `gate.epsilon_used_up`; the transaction must be rolled back.
    """
    plan = study.privacy
    if plan is None:
        return UNBOUNDED, 0
    looks = _count_looks(tx.connection, agreement.id, study, kind)
    planned = study.rounds if kind == TRAIN else 1
    reference, price = str(study.study), (plan.epsilon, plan.delta)
    if looks > planned:
        reference += f"#{kind}-{looks}"
        price = (_one_more(plan, looks) if kind == TRAIN else plan.epsilon, 0.0)
    if kind == TRAIN or study.has_bound:
        charge_epsilon(
            tx,
            agreement=agreement.id,
            dataset=agreement.dataset,
            epsilon=price[0],
            delta=price[1],
            use=FIRST[TRAIN],
            reference=reference,
            clock=clock,
        )
    if not study.has_bound:
        return UNBOUNDED, 0
    spent = purse_of_agreement(tx.connection, agreement)
    return _sum(spent.spent_epsilon, 0.0), _sum(spent.spent_delta, 0.0)


def check_told(study: Study, *, kind: str, facts: Mapping[str, Json]) -> None:
    """Refuse exact figures of patients beside a noisy update, and rows without noise.

    Raises
    ------
    DeniedError
        `gate.fact_exact`.
    """
    if study.privacy is None:
        return
    is_exact = not facts.keys() <= _TOLD if kind == TRAIN else _has_other_figures(facts)
    if is_exact and (kind == TRAIN or study.has_bound):
        raise DeniedError("gate.fact_exact")


def secret_of(key: SigningKey, study: Study, *, kind: str, number: int, model: Digest) -> str:
    """Return the secret that one task's noise is drawn from, as 64 hexadecimal digits.

    The plan's seed is known to everybody, and noise that can be drawn again by
    others hides nothing. So it comes from this hospital's key: the same task
    brings the same noise and the same bytes, any other task other noise.
    """
    task: Json = ["consilium noise", study.digest, kind, number, model]
    return hashlib.sha256(key.sign(canonical_bytes(task))).hexdigest()


def _has_other_figures(facts: Mapping[str, Json]) -> bool:
    """Say whether a row besides the shared model's says anything."""
    rows = facts.get("rows")
    if not isinstance(rows, dict):
        return True
    others = [row for name, row in rows.items() if name != _JUDGED and isinstance(row, dict)]
    figures = [figure for row in others for figure in row.values()]
    return any(not isinstance(one, dict) or one.get("value") is not None for one in figures)


def _one_more(plan: NoisePlan, looks: int) -> float:
    """Return by how much the loss grows with the last of so many rounds."""
    return max(1e-6, cost_of(plan, looks=looks) - cost_of(plan, looks=looks - 1))


def _count_looks(connection: sa.Connection, agreement: AgreementId, study: Study, kind: str) -> int:
    query = sa.select(sa.func.count()).where(
        ROUNDS.c.agreement == agreement, ROUNDS.c.study == study.study, ROUNDS.c.kind == kind
    )
    return int(connection.execute(query).scalar_one())


def _is_charged(connection: sa.Connection, agreement: AgreementId, study: Study) -> bool:
    query = sa.select(CHARGES.c.epsilon).where(
        CHARGES.c.agreement == agreement,
        CHARGES.c.purpose == FIRST[TRAIN],
        CHARGES.c.reference == study.study,
    )
    return connection.execute(query).first() is not None


def _sum(one: float, other: float) -> Decimal:
    return Decimal(repr(float(one))) + Decimal(repr(float(other)))

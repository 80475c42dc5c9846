"""Admission: may this segment run here? Asked before any job process exists.

Everything is refused that is not wholly in order. The two halves are used
twice: `open_order` judges what is written in the order and can never change,
`check_standing` what can change from one round to the next, so that a lease
asks the second one anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from consilium.dataspace import vocabulary as term
from consilium.dataspace.expiry import check_time
from consilium.dataspace.machines import FINALIZED, STARTED
from consilium.dataspace.policy import evaluate
from consilium.dataspace.records import Agreement, Dataset
from consilium.dataspace.revoked import find_revocation
from consilium.dataspace.store import find_agreement, find_dataset, find_transfer
from consilium.gate.budgets import spent_rounds
from consilium.gate.fit import check_fit
from consilium.gate.orders import Invitation, Order, Study, peek_study, verify_study
from consilium.gate.replies import EVALUATE, TRAIN, check_countersigned
from consilium.gate.store import find_newest_order, find_shown_model
from consilium.gate.training import Loss, check_noise
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import Clock, read_time
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey


def nowhere(_participant: ParticipantId) -> str:
    """Know no member's place, so that a term about places refuses everybody."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What this hospital is to its own gate.

    `location_of` gives "" for an unknown place; `noisy` names the installed
    recipes that draw noise.
    """

    me: ParticipantId
    key: PublicKey
    clock: Clock
    installed: Mapping[str, Digest]
    location_of: Callable[[ParticipantId], str] = nowhere
    noisy: frozenset[str] = frozenset()


OUTPUT_OF: Mapping[str, str] = {TRAIN: term.MODEL, EVALUATE: term.METRICS}
"""What kind of result each task gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An order as read, the plan in it, and this hospital's place in the plan.

    `location` is the country or region of the study's lead, empty if unknown.
    """

    order: Order
    study: Study
    place: Invitation
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an order stands on here: the agreement and the dataset it names."""

    agreement: Agreement
    dataset: Dataset


def read_asked(data: bytes, *, house: House) -> Asked:
    """Read an order and find this hospital in its plan. Believes nothing yet.

    Raises
    ------
    DeniedError
        `gate.order_unreadable`, `gate.not_invited`, `gate.other_key`.
    """
    try:
        order = Order.from_json(data)
        study = peek_study(order.signed_study)
    except InputError as error:
        field = error.facts.get("field", "signed_study")
        raise DeniedError("gate.order_unreadable", field=field) from error
    place = study.find_site(house.me)
    if place is None:
        raise DeniedError("gate.not_invited", participant=house.me)
    if place.key != house.key.text:
        raise DeniedError("gate.other_key", participant=house.me)
    return Asked(order=order, study=study, place=place, location=house.location_of(study.lead))


def check_standing(connection: sa.Connection, asked: Asked, *, house: House) -> Standing:
    """Judge what may have changed since: agreement, transfer, dataset, time, recipe.

    Plan: (1) the agreement is in force, not revoked, between these two, under these keys;
    (2) a transfer for exactly this plan is started; (3) the dataset is the
    agreed one and still here; (4) neither agreement, approvals nor plan have run
    out; (5) the recipe is installed with the plan's digest.

    Raises
    ------
    DeniedError
        With the rule that says no.
    """
    study, place = asked.study, asked.place
    # 1. Agreement.
    agreement = find_agreement(connection, place.agreement)
    if agreement is None or agreement.provider != house.me:
        raise DeniedError("gate.no_agreement", agreement=place.agreement)
    check_not_revoked(connection, agreement)
    if agreement.state != FINALIZED:
        raise DeniedError(
            "gate.agreement_not_in_force", agreement=place.agreement, state=agreement.state
        )
    if agreement.consumer != study.lead:
        raise DeniedError("gate.other_consumer", agreement=place.agreement, lead=study.lead)
    if agreement.provider_key != house.key.text:
        raise DeniedError("gate.other_key", participant=house.me)
    # 2. Transfer.
    transfer = find_transfer(connection, agreement=agreement.id, study=study.study)
    if transfer is None:
        raise DeniedError("gate.no_transfer", study=study.study)
    if transfer.study_digest != study.digest:
        raise DeniedError("gate.other_plan", study=study.study)
    if transfer.state != STARTED:
        raise DeniedError(
            "gate.transfer_not_started",
            study=study.study,
            state=transfer.state,
            ended_by=transfer.code,
        )
    # 3. Dataset.
    dataset = find_dataset(connection, agreement.dataset)
    if dataset is None or place.dataset != agreement.dataset:
        raise DeniedError("gate.other_dataset", agreement=agreement.id)
    # 4. Time: of the agreement, which is one of its terms; of the dataset's approvals; of the plan.
    check_time(agreement, dataset, now=house.clock.now())
    if house.clock.now() > read_time(study.expires):
        raise DeniedError("gate.study_expired", study=study.study)
    # 5. Recipe.
    _check_recipe(study, house)
    return Standing(agreement=agreement, dataset=dataset)


def check_not_revoked(connection: sa.Connection, agreement: Agreement) -> None:
    """Return if neither side has revoked an agreement.

    Raises
    ------
    DeniedError
        `gate.agreement_revoked`.
    """
    mark = find_revocation(connection, agreement.id, role=agreement.role)
    if mark is not None:
        raise DeniedError(
            "gate.agreement_revoked", agreement=agreement.id, by=mark.by, time=mark.time
        )


def check_order(
    connection: sa.Connection, asked: Asked, standing: Standing, *, house: House
) -> None:
    """Judge what the order says, once: signer, start, sequence, schema.

    Plan: (1) the lead signed the plan with the key of the agreement; (2) the
    segment starts from the signed start or from a countersigned round; (3) that
    does not contradict what this hospital was shown itself; (4) no newer order
    has been admitted; (5) the dataset has the columns that the plan needs; (6)
    its noise is drawn by the installed recipe, and costs no more than it says.

    Raises
    ------
    DeniedError
        With the rule that says no.
    """
    order, study = asked.order, asked.study
    # 1. Signer.
    try:
        verify_study(order.signed_study, key=PublicKey.from_text(standing.agreement.consumer_key))
    except IntegrityError as error:
        raise DeniedError("gate.not_signed_by_lead", study=study.study, lead=study.lead) from error
    # 2. Start.
    check_countersigned(order, study)
    # 3. Own memory.
    seen = find_shown_model(
        connection,
        agreement=asked.place.agreement,
        study=study.study,
        model_round=order.first_round - 1,
    )
    if seen is not None and seen["model"] != order.start:
        raise DeniedError("gate.contradicts_shown", study=study.study, round=order.first_round - 1)
    # 4. Sequence.
    check_newest(connection, asked, or_equal=True)
    # 5. Columns.
    check_fit(study, standing.dataset.schema, lacks=asked.place.lacks)
    # 6. Noise.
    check_noise(study, standing.dataset, noisy=house.noisy)


def check_newest(connection: sa.Connection, asked: Asked, *, or_equal: bool = False) -> None:
    """Refuse an order that a newer one has replaced, or that was changed since.

    With `or_equal` an order newer than all admitted ones passes too.

    Raises
    ------
    DeniedError
        `gate.stale_order`, `gate.order_changed`, `gate.not_admitted`.
    """
    order, study = asked.order, asked.study
    newest = find_newest_order(connection, agreement=asked.place.agreement, study=study.study)
    here = (order.attempt, order.segment)
    if newest is None or (newest["attempt"], newest["segment"]) < here:
        if or_equal:
            return
        raise DeniedError("gate.not_admitted", study=study.study, attempt=order.attempt)
    if (newest["attempt"], newest["segment"]) > here:
        raise DeniedError("gate.stale_order", study=study.study, attempt=order.attempt)
    if newest["digest"] != order.digest:
        raise DeniedError("gate.order_changed", study=study.study, attempt=order.attempt)


def check_terms(
    asked: Asked,
    standing: Standing,
    *,
    house: House,
    place: int,
    rounds: int,
    loss: Loss,
    kind: str = TRAIN,
) -> None:
    """Ask the agreement's policy. All terms are judged there and nowhere else.

    What a study without noise sends is exact, so its privacy loss has no bound,
    and an agreement with a budget refuses it. It is aggregated securely if its
    plan says so; then this gate lets out no update without masks.

    Parameters
    ----------
    place : int
        Which study of the agreement this is, counted from 1.
    rounds : int
        Rounds spent or asked for under the agreement, this use included.
    loss : pair of float or Decimal
        Epsilon and delta spent under the agreement, this use included.
    kind : str, optional
        `train` or `evaluate`: an update is a model, an evaluation is metrics.

    Raises
    ------
    DeniedError
        With the term's own code. A refusal for a small cohort hides the count.
    """
    facts = {
        term.PURPOSE: asked.study.purpose,
        term.TIME: house.clock.now(),
        term.COUNT: place,
        term.MAX_ROUNDS: rounds,
        term.MIN_COHORT: standing.dataset.n_train,
        term.RECIPIENT: asked.study.lead,
        term.ALGORITHM: asked.study.recipe.digest,
        term.MIN_PARTICIPANTS: asked.study.quorum,
        term.OUTPUT: OUTPUT_OF[kind],
        term.EPSILON: loss[0],
        term.DELTA: loss[1],
        term.SECURE: asked.study.secure is not None,
        term.SPATIAL: asked.location,
    }
    evaluate(standing.agreement.policy, facts).require()


def planned_rounds(connection: sa.Connection, asked: Asked, standing: Standing) -> int:
    """Return what the agreement will have spent when this study ends as planned."""
    others = spent_rounds(connection, standing.agreement.id, besides=asked.study.study)
    return others + asked.study.rounds


def _check_recipe(study: Study, house: House) -> None:
    recipe = study.recipe
    if recipe.name not in house.installed:
        raise DeniedError("gate.recipe_not_installed", study=study.study)
    if house.installed[recipe.name] != recipe.digest:
        raise DeniedError(
            "gate.recipe_differs", study=study.study, installed=house.installed[recipe.name]
        )

"""What the hub would like to be more than was agreed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from attacks import attack
from hostile_space import HostileSpace, leaves, other_model
from studies_rehearsal import in_days

from consilium.dataspace.transfer import request_transfer
from consilium.dataspace.wire.builders import BASE, data_address, transfer_request
from consilium.gate.orders import ArrayNeed, FieldNeed, Invitation, Study, sign_study
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import AgreementId, DatasetId, StudyId, new_urn, participant_id

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plan(space: HostileSpace) -> Study:
    """Give a plan whose transfer is started at the hospitals."""
    return space.fresh()


@pytest.fixture(scope="module")
def tight(space: HostileSpace) -> Study:
    """Give the one study that an agreement allows, with four rounds in all."""
    plan = space.fresh_tight()
    space.admitted(plan)
    return plan


def refuse(space: HostileSpace, wider: Study, *, rule: str) -> None:
    """Bring a plan under the hub's own signature, and see it refused."""
    order = space.order(wider, signed=sign_study(space.own_key, wider))
    with leaves(space.south, "admission.refused", rule=rule), pytest.raises(DeniedError):
        space.gate(space.south).admit(order.as_json())


@attack(
    "W1",
    "adds rounds to a plan",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_with_more_rounds_is_another_plan(space: HostileSpace, plan: Study) -> None:
    refuse(space, replace(plan, rounds=plan.rounds + 1), rule="gate.other_plan")


@attack(
    "W2",
    "changes the purpose of a plan",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_for_another_purpose_is_another_plan(space: HostileSpace, plan: Study) -> None:
    refuse(space, replace(plan, purpose="advertising"), rule="gate.other_plan")


@attack(
    "W3",
    "changes the recipe's settings",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_with_other_settings_is_another_plan(space: HostileSpace, plan: Study) -> None:
    recipe = replace(plan.recipe, settings={**plan.recipe.settings, "local_steps": 10_000})
    refuse(space, replace(plan, recipe=recipe), rule="gate.other_plan")


@attack(
    "W4",
    "puts another dataset of the hospital into a plan",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_on_another_dataset_is_another_plan(space: HostileSpace, plan: Study) -> None:
    sites = tuple(replace(site, dataset=DatasetId(new_urn())) for site in plan.sites)
    refuse(space, replace(plan, sites=sites), rule="gate.other_plan")


@attack(
    "W5",
    "adds a site of its own, which would see the models and countersign",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_with_a_further_site_is_another_plan(space: HostileSpace, plan: Study) -> None:
    own = Invitation(
        participant=participant_id("example.org", "ghost"),
        agreement=AgreementId(new_urn()),
        dataset=DatasetId(new_urn()),
        key=space.own_key.public.text,
    )
    refuse(space, replace(plan, sites=(*plan.sites, own)), rule="gate.other_plan")


@attack(
    "W6",
    "lets a plan end later",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_that_ends_later_is_another_plan(space: HostileSpace, plan: Study) -> None:
    refuse(space, replace(plan, expires=in_days(200)), rule="gate.other_plan")


@attack(
    "W7",
    "raises or lowers the quorum of a plan",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_with_another_quorum_is_another_plan(space: HostileSpace, plan: Study) -> None:
    refuse(space, replace(plan, quorum=3), rule="gate.other_plan")


@attack(
    "W8",
    "asks for further columns, or for a larger model",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
@pytest.mark.parametrize(
    "changes",
    [
        {"features": (FieldNeed(name="age", kind="number"), FieldNeed(name="name", kind="number"))},
        {"layout": (ArrayNeed(name="weight", shape=(1_000_000,)),)},
    ],
)
def test_a_plan_for_more_columns_is_another_plan(
    space: HostileSpace, plan: Study, changes: dict[str, Any]
) -> None:
    refuse(space, replace(plan, **changes), rule="gate.other_plan")


@attack(
    "W9",
    "puts a key of its own in the hospital's place in a plan",
    refused_by="gate.other_key",
    evidence="admission.refused",
)
def test_a_plan_that_pins_another_key_for_us_is_refused(space: HostileSpace, plan: Study) -> None:
    sites = tuple(
        replace(site, key=space.own_key.public.text) if site.participant == space.south.me else site
        for site in plan.sites
    )
    refuse(space, replace(plan, sites=sites), rule="gate.other_key")


@attack(
    "W10",
    "makes itself the lead of a plan",
    refused_by="gate.other_consumer",
    evidence="admission.refused",
)
def test_a_plan_of_another_lead_is_refused(space: HostileSpace, plan: Study) -> None:
    own = replace(plan, lead=participant_id("example.org", "hub"))
    refuse(space, own, rule="gate.other_consumer")


@attack(
    "W11",
    "signs the lead's very plan itself",
    refused_by="gate.not_signed_by_lead",
    evidence="admission.refused",
)
def test_the_plan_itself_under_another_signature_is_refused(
    space: HostileSpace, plan: Study
) -> None:
    refuse(space, plan, rule="gate.not_signed_by_lead")


@attack(
    "W12",
    "runs another signed study under the transfer of this one",
    refused_by="gate.no_transfer",
    evidence="admission.refused",
)
def test_another_study_needs_a_transfer_of_its_own(space: HostileSpace, plan: Study) -> None:
    other = replace(plan, study=StudyId(new_urn()))
    order = space.order(other)
    with (
        leaves(space.south, "admission.refused", rule="gate.no_transfer"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(order.as_json())


@attack(
    "W13",
    "asks a hospital for a study of which it is no part",
    refused_by="gate.not_invited",
    evidence="admission.refused",
)
def test_a_study_of_others_is_refused(space: HostileSpace, plan: Study) -> None:
    sites = tuple(site for site in plan.sites if site.participant != space.south.me)
    refuse(space, replace(plan, sites=sites), rule="gate.not_invited")


@attack(
    "W14",
    "skips the first rounds of a plan",
    refused_by="gate.start_not_countersigned",
    evidence="admission.refused",
)
def test_an_order_that_skips_rounds_is_refused(space: HostileSpace, plan: Study) -> None:
    order = space.order(plan, first_round=2)
    with (
        leaves(space.south, "admission.refused", rule="gate.start_not_countersigned"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(order.as_json())


@attack(
    "W15",
    "asks for a round beyond the plan",
    refused_by="gate.no_such_round",
    evidence="lease.refused",
)
def test_there_is_no_round_after_the_last(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    with (
        leaves(space.south, "lease.refused", rule="gate.no_such_round"),
        pytest.raises(DeniedError),
    ):
        space.work(space.south, order, round=plan.rounds + 1)


@attack(
    "W16",
    "repeats rounds with ever other models, for ever further looks at the data",
    refused_by="dataspace.too_many_rounds",
    evidence="lease.refused",
)
def test_each_further_model_costs_a_round_until_none_is_left(
    space: HostileSpace, tight: Study
) -> None:
    looks, refusal = 0, None
    while refusal is None and looks < 20:
        try:
            order = space.admitted(tight, attempt=looks + 1)
            space.work(space.south, order)
            model = other_model(space.start_model(), by=looks + 1)
            space.work(space.south, order, round=2, model=model)
            looks += 1
        except DeniedError as error:
            refusal = error.code
    assert refusal == "dataspace.too_many_rounds"
    assert looks == 3, "the start and three other models are the four rounds that were agreed"
    [told] = space.south.database.evidence.entries(kind="lease.refused", subject=tight.study)
    assert told.facts["code"] == refusal


@attack(
    "W17",
    "opens more studies under an agreement than were agreed",
    refused_by="dataspace.count_used_up",
    evidence="admission.refused",
)
@pytest.mark.usefixtures("tight")
def test_no_study_beyond_the_agreed_count_is_admitted(space: HostileSpace) -> None:
    second = space.fresh_tight()
    with (
        leaves(space.south, "admission.refused", code="dataspace.count_used_up"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(space.order(second).as_json())


@attack(
    "W18",
    "brings a hospital a wider plan as a transfer, in the lead's name",
    refused_by="dataspace.bad_token token-signature",
    evidence="request.unproven",
)
def test_a_transfer_is_opened_by_the_lead_alone(space: HostileSpace, plan: Study) -> None:
    wider = replace(plan, study=StudyId(new_urn()), rounds=100)
    [place] = [site for site in plan.sites if site.participant == space.south.me]
    message = transfer_request(
        new_urn(),
        agreement=place.agreement,
        callback=f"https://hub{BASE}",
        address=data_address("https://hub", {}),
        study=sign_study(space.own_key, wider),
    )
    asked = space.forge(
        space.own_key,
        issuer=space.north.me,
        to=space.south,
        path="/transfers/request",
        document=message,
    )
    with leaves(space.south, "request.unproven", rule="token-signature"):
        assert space.bring(space.south, asked).status == 401


@attack(
    "W19",
    "has a member that is in league with it ask under another member's agreement",
    refused_by="dataspace.no_agreement",
    evidence="request.refused",
)
def test_another_members_agreement_serves_nobody_else(space: HostileSpace, plan: Study) -> None:
    [place] = [site for site in plan.sites if site.participant == space.south.me]
    message = transfer_request(
        new_urn(),
        agreement=place.agreement,
        callback=f"https://hub{BASE}",
        address=data_address("https://hub", {}),
        study=sign_study(space.west.key, replace(plan, lead=space.west.me)),
    )
    asked = space.forge(
        space.west.key,
        issuer=space.west.me,
        to=space.south,
        path="/transfers/request",
        document=message,
    )
    with leaves(space.south, "request.refused", code="dataspace.no_agreement"):
        assert space.bring(space.south, asked).status == 404


@attack(
    "W20",
    "gains the lead for a plan beyond the agreement",
    refused_by="dataspace.too_many_rounds",
    evidence="request.refused",
)
def test_not_even_the_lead_can_go_beyond_the_agreement(space: HostileSpace, plan: Study) -> None:
    wider = replace(plan, study=StudyId(new_urn()), rounds=20_000)
    [place] = [site for site in plan.sites if site.participant == space.south.me]
    with pytest.raises(DeniedError):
        request_transfer(
            space.north.connector,
            place.agreement,
            signed_study=sign_study(space.north.key, wider),
            endpoint="https://x",
        )
    message = transfer_request(
        new_urn(),
        agreement=place.agreement,
        callback=f"https://hub{BASE}",
        address=data_address("https://hub", {}),
        study=sign_study(space.north.key, wider),
    )
    asked = space.forge(
        space.north.key,
        issuer=space.north.me,
        to=space.south,
        path="/transfers/request",
        document=message,
    )
    with leaves(space.south, "request.refused", code="dataspace.too_many_rounds"):
        assert space.bring(space.south, asked).status == 400

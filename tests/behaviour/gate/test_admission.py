"""Every order that is not wholly in order is refused, before anybody looks at the data."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DatabaseError

from consilium.dataspace.tables import AGREEMENTS, DATASETS, TRANSFERS
from consilium.gate.orders import FieldNeed, Order, RecipeRef
from consilium.kernel.canonical import digest_of, read_json
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId
from consilium.ledger.keys import SigningKey

World = Any
MakeWorld = Callable[..., World]
CANARY = "77310001"


def refuse(world: World, order: bytes, code: str) -> None:
    """Require a refusal: with its code, with evidence, without a look, without a trace."""
    with pytest.raises(DeniedError) as refusal:
        world.gate.admit(order)
    assert refusal.value.code == code
    assert world.blobs.looks == 0
    assert world.evidence("admission.granted") == []
    entry = world.evidence("admission.refused")[-1]
    assert entry.facts["code"] == code
    assert entry.facts["order"] == digest_of(order)
    assert entry.facts["reason"] == refusal.value.public
    assert CANARY not in str(entry.facts) + refusal.value.public + refusal.value.detail
    assert_nothing_runs(world, order)


def assert_nothing_runs(world: World, order: bytes) -> None:
    with pytest.raises(DeniedError):
        world.gate.lease(order, kind="train", round=1, model=world.study.start)
    assert world.blobs.looks == 0
    assert world.evidence("lease.granted") == []
    assert world.evidence("lease.refused") != []


def test_an_order_that_is_wholly_in_order_is_admitted_with_evidence(world: World) -> None:
    order = world.order()
    world.gate.admit(order)
    [entry] = world.evidence("admission.granted")
    assert entry.subject == world.study.study
    assert entry.facts["plan"] == world.study.digest
    assert entry.facts["agreement"] == "urn:uuid:agreement-south"
    assert entry.facts["public"] is False
    assert world.blobs.looks == 0


def test_the_same_order_may_be_asked_about_twice(world: World) -> None:
    world.gate.admit(world.order())
    world.gate.admit(world.order())
    assert len(world.evidence("admission.granted")) == 2


@pytest.mark.parametrize("order", [b"", b"{}", b"null", b"\x00" * 100, b'{"segment":1}'])
def test_what_is_no_order_is_refused(world: World, order: bytes) -> None:
    refuse(world, order, "gate.order_unreadable")


def test_an_order_with_a_foreign_field_is_refused_without_repeating_it(world: World) -> None:
    plain = dict(read_json(world.order()))  # type: ignore[arg-type]
    order = str(plain | {CANARY: CANARY}).replace("'", '"').replace("()", "[]").encode()
    refuse(world, order, "gate.order_unreadable")


def test_a_study_that_does_not_invite_this_hospital_is_refused(world: World) -> None:
    study = replace(world.study, sites=(world.study.sites[0], world.study.sites[2]))
    refuse(world, world.order(study=study), "gate.not_invited")


def test_a_study_for_another_key_of_this_hospital_is_refused(
    world: World, keys: dict[str, SigningKey]
) -> None:
    north, south, west = world.study.sites
    other = replace(south, key=keys["stranger"].public.text)
    study = replace(world.study, sites=(north, other, west))
    refuse(world, world.order(study=study), "gate.other_key")


def test_a_study_without_an_agreement_is_refused(world: World) -> None:
    north, south, west = world.study.sites
    other = replace(south, agreement=AgreementId("urn:uuid:none"))
    study = replace(world.study, sites=(north, other, west))
    refuse(world, world.order(study=study), "gate.no_agreement")


@pytest.mark.parametrize("state", ["REQUESTED", "AGREED", "VERIFIED", "TERMINATED"])
def test_an_agreement_that_is_not_finalised_is_refused(world: World, state: str) -> None:
    world.set_agreement(state)
    refuse(world, world.order(), "gate.agreement_not_in_force")


def test_an_agreement_that_another_hospital_gave_is_refused(world: World) -> None:
    world.write(AGREEMENTS, provider="did:web:example.org:west")
    refuse(world, world.order(), "gate.no_agreement")


def test_an_agreement_under_another_key_of_ours_is_refused(
    world: World, keys: dict[str, SigningKey]
) -> None:
    world.write(AGREEMENTS, provider_key=keys["stranger"].public.text)
    refuse(world, world.order(), "gate.other_key")


def test_a_lead_that_did_not_make_the_agreement_is_refused(world: World) -> None:
    study = replace(world.study, lead=ParticipantId("did:web:example.org:west"))
    world.set_transfer(study_digest=study.digest)
    refuse(world, world.order(study=study, signer="west"), "gate.other_consumer")


@pytest.mark.parametrize("signer", ["west", "south", "stranger"])
def test_a_plan_that_somebody_else_signed_is_refused(world: World, signer: str) -> None:
    refuse(world, world.order(signer=signer), "gate.not_signed_by_lead")


def test_a_lead_whose_key_is_not_the_pinned_one_is_refused(
    world: World, keys: dict[str, SigningKey]
) -> None:
    world.write(AGREEMENTS, consumer_key=keys["stranger"].public.text)
    refuse(world, world.order(), "gate.not_signed_by_lead")


def test_a_study_without_a_transfer_is_refused(world: World) -> None:
    with world.database.write() as tx:
        tx.execute(delete(TRANSFERS))
    refuse(world, world.order(), "gate.no_transfer")


@pytest.mark.parametrize("state", ["REQUESTED", "SUSPENDED", "COMPLETED", "TERMINATED"])
def test_a_transfer_that_is_not_started_is_refused(world: World, state: str) -> None:
    world.set_transfer(state=state)
    refuse(world, world.order(), "gate.transfer_not_started")


def test_a_plan_widened_to_more_rounds_is_another_plan(world: World) -> None:
    study = replace(world.study, rounds=4)
    refuse(world, world.order(study=study), "gate.other_plan")


def test_another_dataset_than_the_agreed_one_is_refused(world: World) -> None:
    north, south, west = world.study.sites
    other = replace(south, dataset=DatasetId("urn:uuid:dataset-other"))
    study = replace(world.study, sites=(north, other, west))
    world.set_transfer(study_digest=study.digest)
    refuse(world, world.order(study=study), "gate.other_dataset")


def test_a_dataset_that_is_gone_is_refused(world: World) -> None:
    with world.database.write() as tx:
        tx.execute(delete(DATASETS))
    refuse(world, world.order(), "gate.other_dataset")


def test_a_study_after_its_own_end_is_refused(world: World) -> None:
    world.set_terms(not_after="2027-01-01T00:00:00Z")
    world.clock.advance(timedelta(days=60))
    refuse(world, world.order(), "gate.study_expired")


def test_a_study_after_the_end_of_its_agreement_is_refused(world: World) -> None:
    world.clock.advance(timedelta(days=30))
    refuse(world, world.order(), "dataspace.outside_time")


def test_another_purpose_is_refused(world: World) -> None:
    study = replace(world.study, purpose="marketing")
    world.set_transfer(study_digest=study.digest)
    refuse(world, world.order(study=study), "dataspace.wrong_purpose")


def test_a_recipe_that_is_not_installed_is_refused(world: World) -> None:
    world.installed = {}
    world.reopen()
    refuse(world, world.order(), "gate.recipe_not_installed")


def test_a_recipe_with_a_changed_digest_is_refused(world: World) -> None:
    changed = RecipeRef(name="tabular-logistic", version="1.0.0", digest=digest_of(b"changed"))
    study = replace(world.study, recipe=changed)
    world.set_transfer(study_digest=study.digest)
    refuse(world, world.order(study=study), "gate.recipe_differs")


def test_an_installed_recipe_that_the_agreement_does_not_allow_is_refused(world: World) -> None:
    world.set_terms(algorithms=(digest_of(b"another recipe"),))
    refuse(world, world.order(), "dataspace.wrong_algorithm")


def test_more_rounds_than_the_agreement_allows_are_refused(world: World) -> None:
    world.set_terms(max_rounds=2)
    refuse(world, world.order(), "dataspace.too_many_rounds")


def test_a_recipient_that_the_agreement_does_not_allow_is_refused(world: World) -> None:
    world.set_terms(recipients=(ParticipantId("did:web:example.org:west"),))
    refuse(world, world.order(), "dataspace.wrong_recipient")


def test_a_cohort_below_the_minimum_is_refused_and_its_size_hidden(make_world: MakeWorld) -> None:
    world = make_world(n_train=19)
    refuse(world, world.order(), "dataspace.cohort_too_small")
    assert "19" not in world.evidence("admission.refused")[-1].facts["reason"]


@pytest.mark.parametrize(
    ("need", "code"),
    [
        (FieldNeed(name="height", kind="number"), "gate.no_such_column"),
        (FieldNeed(name="age", kind="number", unit="mo"), "gate.column_differs"),
        (FieldNeed(name="age", kind="category", categories=("old",)), "gate.column_differs"),
        (FieldNeed(name="sex", kind="category", categories=("f",)), "gate.column_differs"),
    ],
)
def test_a_dataset_without_the_columns_that_are_needed_is_refused(
    world: World, need: FieldNeed, code: str
) -> None:
    study = replace(world.study, features=(need,))
    world.set_transfer(study_digest=study.digest)
    refuse(world, world.order(study=study), code)


def test_a_dataset_with_another_label_is_refused(world: World) -> None:
    study = replace(world.study, label="death")
    world.set_transfer(study_digest=study.digest)
    refuse(world, world.order(study=study), "gate.no_such_column")


def test_columns_beyond_those_needed_and_fewer_categories_do_no_harm(world: World) -> None:
    wider = FieldNeed(name="sex", kind="category", categories=("m", "f", "other"))
    study = replace(world.study, features=(wider,))
    world.set_transfer(study_digest=study.digest)
    world.gate.admit(world.order(study=study))


def test_another_starting_model_is_refused(world: World) -> None:
    refuse(world, world.order(start=digest_of(b"another")), "gate.other_start")


def test_forged_too_few_or_moved_countersignatures_are_refused(world: World) -> None:
    later = digest_of(b"round 1")
    for signed in (
        (),
        world.countersign(1, later, "west"),
        world.countersign(1, later, "west", "west"),
        world.countersign(1, later, "west", "stranger"),
        world.countersign(2, later, "west", "north"),
        world.countersign(1, digest_of(b"other"), "west", "north"),
    ):
        order = world.order(first_round=2, start=later, countersigned=signed)
        refuse(world, order, "gate.start_not_countersigned")


def test_a_countersigned_round_may_start_a_segment(world: World) -> None:
    later = digest_of(b"round 1")
    signed = world.countersign(1, later, "west", "north")
    world.gate.admit(world.order(attempt=2, first_round=2, start=later, countersigned=signed))


def test_a_start_that_contradicts_what_this_hospital_was_shown_is_refused(world: World) -> None:
    world.gate.admit(world.order())
    world.train()
    shown = digest_of(b"round 1 as shown here")
    world.gate.lease(world.order(), kind="train", round=2, model=shown).file.close()
    other = digest_of(b"round 1 as shown elsewhere")
    signed = world.countersign(1, other, "west", "north")
    order = world.order(attempt=2, first_round=2, start=other, countersigned=signed)
    with pytest.raises(DeniedError) as refusal:
        world.gate.admit(order)
    assert refusal.value.code == "gate.contradicts_shown"


def test_an_older_or_changed_order_is_refused_once_a_newer_one_is_admitted(world: World) -> None:
    world.gate.admit(world.order(attempt=2))
    for order, code in (
        (world.order(attempt=1), "gate.stale_order"),
        (world.order(attempt=2, segment=2), None),
        (world.order(attempt=2, segment=1), "gate.stale_order"),
    ):
        if code is None:
            world.gate.admit(order)
            continue
        with pytest.raises(DeniedError) as refusal:
            world.gate.admit(order)
        assert refusal.value.code == code
    changed = Order.from_json(world.order(attempt=2, segment=2))
    signed = world.countersign(1, digest_of(b"m"), "west", "north")
    changed = replace(changed, first_round=2, start=digest_of(b"m"), countersigned=signed)
    with pytest.raises(DeniedError) as refusal:
        world.gate.admit(changed.as_json())
    assert refusal.value.code == "gate.order_changed"


def test_another_lead_cannot_take_the_name_of_a_study(world: World) -> None:
    world.gate.admit(world.order())
    study = replace(world.study, title="Same name, other plan")
    world.set_transfer(study_digest=study.digest)
    with pytest.raises(DeniedError) as refusal:
        world.gate.admit(world.order(study=study, attempt=2))
    assert refusal.value.code == "gate.other_plan"


def test_nothing_is_admitted_when_the_evidence_cannot_be_written(world: World) -> None:
    world.break_evidence()
    with pytest.raises(DatabaseError):
        world.gate.admit(world.order())
    world.mend_evidence()
    assert_nothing_runs(world, world.order())

"""Recruiting: asking each hospital on its own, agreeing once, opening and closing a study."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dataspace_rehearsal import START, Hospital, Space, terms
from studies_rehearsal import (
    CLOCK,
    RECIPES,
    StudySpace,
    make_draft,
    new_study,
    transfers_of,
    wait_until,
)

from consilium.dataspace.decisions import ScriptDecide, refuse
from consilium.dataspace.machines import REQUESTED
from consilium.dataspace.records import Agreement, Negotiation, Role, Transfer
from consilium.dataspace.store import list_agreements
from consilium.dataspace.transfer import terminate
from consilium.federation.proposal import Wish, make_proposal, read_draft
from consilium.federation.recruitment import (
    agree,
    close_study,
    find_listing,
    open_study,
    recruit,
)
from consilium.gate.orders import Study, sign_study
from consilium.kernel.errors import ConsiliumError, DeniedError, NotFoundError, PeerError
from consilium.ledger.keys import SigningKey

ENDPOINT = "https://hub.example.org/studies"


class Diary(list[tuple[str, dict[str, Any]]]):
    """What recruiting said, in order."""

    def __call__(self, kind: str, facts: dict[str, Any]) -> None:
        self.append((kind, facts))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [facts for said, facts in self if said == kind]


def wish(hospital: Hospital, dataset: str = "heart") -> Wish:
    return Wish(participant=hospital.me, dataset=dataset)


def make_agreement(north: Hospital, south: Hospital, **options: Any) -> Agreement:
    return agree(north.connector, find_listing(north.connector, wish(south)), **options)


def make_plan(north: Hospital, *sites: Hospital) -> tuple[Study, str]:
    recruits = recruit(north.connector, [wish(site) for site in sites], say=Diary())
    proposal = make_proposal(
        new_study(),
        read_draft(make_draft(*sites), recipes=RECIPES),
        space="example.org",
        lead=north.me,
        sites=[one.invitation for one in recruits],
        schema={"features": [{"name": "age", "kind": "number"}], "label": "outcome"},
        not_after=CLOCK.now() + timedelta(days=100),
        recipes=RECIPES,
        clock=CLOCK,
    )
    return proposal.plan, sign_study(north.key, proposal.plan)


def test_hospitals_are_returned_in_the_order_of_the_wishes(
    north: Hospital, south: Hospital, west: Hospital
) -> None:
    diary = Diary()
    recruits = recruit(north.connector, [wish(west), wish(south)], say=diary)
    assert [one.invitation.participant for one in recruits] == [west.me, south.me]
    assert {facts["participant"] for facts in diary.of("agreed")} == {south.me, west.me}
    for one, hospital in zip(recruits, (west, south), strict=True):
        assert one.invitation.key == hospital.key.public.text
        assert hospital.agreement(one.invitation.agreement).state == "FINALIZED"


def test_a_dataset_is_found_by_name_or_by_identifier(north: Hospital, south: Hospital) -> None:
    by_name = find_listing(north.connector, wish(south))
    assert find_listing(north.connector, wish(south, by_name.dataset)) == by_name
    with pytest.raises(NotFoundError) as caught:
        find_listing(north.connector, wish(south, "lungs"))
    assert caught.value.code == "study.no_offer"
    assert find_listing(north.connector, wish(south), offer=by_name.offer) == by_name
    with pytest.raises(NotFoundError) as caught:
        find_listing(north.connector, wish(south), offer="urn:uuid:another")
    assert caught.value.code == "dataspace.no_offer"


def test_one_hospital_that_fails_does_not_hold_up_the_others(
    world: StudySpace, north: Hospital, south: Hospital
) -> None:
    absent = world.space.add("absent")
    del world.space.doors[absent.me]
    diary = Diary()
    recruits = recruit(
        north.connector, [wish(absent), wish(south, "lungs"), wish(south)], say=diary
    )
    assert [one.invitation.participant for one in recruits] == [south.me]
    codes = sorted(facts["code"] for facts in diary.of("declined"))
    assert codes == ["dataspace.unreachable", "study.no_offer"]
    assert all(facts["en"] and facts["zh"] for facts in diary.of("declined"))


def test_a_standing_agreement_is_used_again(north: Hospital, south: Hospital) -> None:
    first = make_agreement(north, south)
    assert make_agreement(north, south) == first
    assert south.kinds().count("agreement.finalized") == 1


def test_a_hospital_that_lets_a_person_decide_is_named_and_asked_once(
    world: StudySpace, north: Hospital
) -> None:
    slow = world.add("slow", decide=ScriptDecide({}))
    world.add_data(slow)
    for _ in range(2):
        with pytest.raises(PeerError) as caught:
            make_agreement(north, slow, answer_s=0.5)
        assert caught.value.code == "study.peer_decides"
        assert slow.me in caught.value.public
    assert slow.kinds().count("negotiation.requested") == 1


def test_a_refused_negotiation_is_told_with_its_rule(world: StudySpace, north: Hospital) -> None:
    verdict = refuse("dataspace.wrong_purpose", "purpose")
    script = {(Negotiation, Role.PROVIDER, REQUESTED): verdict}
    stern = world.add("stern", decide=ScriptDecide(script))
    world.add_data(stern)
    with pytest.raises(DeniedError) as caught:
        make_agreement(north, stern)
    assert (caught.value.code, caught.value.rule) == (
        "study.negotiation_failed",
        "dataspace.wrong_purpose",
    )


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Space, Hospital, Hospital]]:
    """Two hospitals on a clock that the test moves."""
    space = Space(tmp_path / "held")
    space.folder.mkdir()
    north, south = space.add("north"), space.add("south")
    south.register()
    for hospital in (north, south):
        hospital.outbox.start()
    yield space, north, south
    space.close()


def test_an_agreement_that_has_ended_is_not_used(held: tuple[Space, Hospital, Hospital]) -> None:
    space, north, south = held
    listing = find_listing(north.connector, wish(south))
    agree(north.connector, listing)
    space.held.advance(timedelta(days=300))
    assert space.held.now() > START + timedelta(days=299)
    with pytest.raises(NotFoundError) as caught:
        agree(north.connector, listing)
    assert caught.value.code == "dataspace.no_dataset"


def test_an_agreement_on_other_terms_is_not_used(held: tuple[Space, Hospital, Hospital]) -> None:
    _space, north, south = held
    listing = find_listing(north.connector, wish(south))
    first = agree(north.connector, listing)
    wider = replace(listing, terms=terms("north", count=9))
    second = agree(north.connector, wider)
    assert second.id != first.id
    assert second.terms == first.terms  # what the hospital offers, not what we would like


def test_an_agreement_with_a_key_that_is_no_longer_shown_is_not_used(
    held: tuple[Space, Hospital, Hospital],
) -> None:
    space, north, south = held
    listing = find_listing(north.connector, wish(south))
    agree(north.connector, listing)
    space.keys[south.me] = SigningKey.generate().public
    with pytest.raises(ConsiliumError):
        agree(north.connector, listing)
    with north.database.read() as connection:
        assert len(list_agreements(connection, role=Role.CONSUMER)) == 1


def test_a_study_is_opened_once_however_often_it_is_asked_for(
    north: Hospital, south: Hospital, west: Hospital
) -> None:
    plan, signed = make_plan(north, south, west)
    for _ in range(2):
        diary = Diary()
        opened = open_study(north.connector, plan, signed, endpoint=ENDPOINT, say=diary)
        assert opened == [site.agreement for site in plan.sites]
        assert len(diary.of("opened")) == 2
    for site in (south, west):
        (theirs,) = transfers_of(site, plan, role=Role.PROVIDER).values()
        assert (theirs.state, theirs.study_digest) == ("STARTED", plan.digest)
        assert theirs.data_address["endpoint"] == ENDPOINT


def states(hospital: Hospital, plan: Study, *, role: Role) -> list[str]:
    return [one.state for one in transfers_of(hospital, plan, role=role).values()]


def test_a_study_is_completed_at_every_hospital_and_closing_again_does_nothing(
    north: Hospital, south: Hospital, west: Hospital
) -> None:
    plan, signed = make_plan(north, south, west)
    open_study(north.connector, plan, signed, endpoint=ENDPOINT, say=Diary())
    for _ in range(2):
        close_study(north.connector, plan)
        close_study(north.connector, plan, code="stopped", reason="too late")
        assert states(north, plan, role=Role.CONSUMER) == ["COMPLETED"] * 2
    for site in (south, west):
        wait_until(lambda site=site: states(site, plan, role=Role.PROVIDER) == ["COMPLETED"])


def test_a_hospital_that_never_started_its_transfer_does_not_hinder_the_end(
    world: StudySpace, north: Hospital, south: Hospital
) -> None:
    slow = world.add("slow")
    world.add_data(slow)
    plan, signed = make_plan(north, south, slow)
    door = world.space.doors.pop(slow.me)
    diary = Diary()
    began = time.monotonic()
    opened = open_study(north.connector, plan, signed, endpoint=ENDPOINT, say=diary, answer_s=0.5)
    assert time.monotonic() - began < 10
    assert len(opened) == 1
    (declined,) = diary.of("declined")
    assert (declined["participant"], declined["code"]) == (slow.me, "study.peer_silent")
    close_study(north.connector, plan)
    ours = transfers_of(north, plan, role=Role.CONSUMER)
    assert (ours[south.me].state, ours[slow.me].state) == ("COMPLETED", "TERMINATED")
    world.space.doors[slow.me] = door


def test_a_transfer_that_the_hospital_has_ended_stays_as_it_ended_it(
    north: Hospital, south: Hospital, west: Hospital
) -> None:
    plan, signed = make_plan(north, south, west)
    open_study(north.connector, plan, signed, endpoint=ENDPOINT, say=Diary())
    (theirs,) = transfers_of(south, plan, role=Role.PROVIDER).values()
    terminate(south.connector, theirs.pid, code="revoked", reason="by its steward")
    wait_until(
        lambda: transfers_of(north, plan, role=Role.CONSUMER)[south.me].state == "TERMINATED"
    )
    close_study(north.connector, plan)
    ours = transfers_of(north, plan, role=Role.CONSUMER)
    assert (ours[south.me].code, ours[west.me].state) == ("revoked", "COMPLETED")
    diary = Diary()
    opened = open_study(north.connector, plan, signed, endpoint=ENDPOINT, say=diary)
    assert opened == []
    told = {facts["participant"]: facts["en"] for facts in diary.of("declined")}
    assert "did not agree: revoked" in told[south.me]
    assert "did not agree: completed" in told[west.me]


def test_a_hospital_that_refuses_a_study_is_named_with_its_code(
    world: StudySpace, north: Hospital, south: Hospital
) -> None:
    east = world.add("east")
    world.add_data(east)
    plan, signed = make_plan(north, south, east)
    script = {(Transfer, Role.PROVIDER, REQUESTED): refuse("house.closed", "holiday")}
    east.decide = ScriptDecide(script)
    world.restart(east)
    diary = Diary()
    opened = open_study(north.connector, plan, signed, endpoint=ENDPOINT, say=diary)
    assert len(opened) == 1
    (declined,) = diary.of("declined")
    assert declined["participant"] == east.me
    assert "did not agree: house.closed" in declined["en"]

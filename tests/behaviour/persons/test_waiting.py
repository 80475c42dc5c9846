"""A negotiation and a transfer that wait for persons, from the request to both sides' end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dataspace_rehearsal import START, Hospital, Space, sign_claims, study_claims, terms
from persons_bench import CHEAP, PASSWORD

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.kernel.errors import ConsiliumError
from consilium.node.waiting import PersonsDecide, Waiting, describe, settle_item
from consilium.persons.accounts import add_person, grant_role
from consilium.persons.passwords import hash_password
from consilium.persons.records import Grant, Person, QueueItem, Ruling
from consilium.persons.records import Role as Office
from consilium.persons.settings import PERSON, TWO_PERSONS, ApprovalSettings
from consilium.persons.store import get_item, list_items

YES, NO = Ruling.PROCEED, Ruling.REFUSE


class World(Space):
    """A space of two, in which the south lets persons decide as its settings say."""

    def enter(self, **rules: str) -> World:
        settings = ApprovalSettings(**rules)
        self.north = self.add("north")
        self.south = self.add(
            "south",
            decide=PersonsDecide(settings),
            waiting=Waiting(settings=settings, clock=self.clock),
        )
        self.south.register(terms=terms("north"))
        return self

    def ask(self) -> Negotiation:
        (listing,) = request_catalog(self.north.connector, self.south.me)
        asked = negotiation.request_agreement(
            self.north.connector, self.south.me, dataset=listing.dataset, offer=listing.offer
        )
        self.settle()
        return self.north.negotiation(asked.pid)

    def open_study(self, asked: Negotiation) -> Transfer:
        agreed = self.north.agreement(asked.agreement, role=Role.CONSUMER)
        claims = study_claims(self.north, self.south, agreed)
        opened = transfer.request_transfer(
            self.north.connector,
            agreed.id,
            signed_study=sign_claims(self.north, claims),
            endpoint="https://hub.example.org/studies",
        )
        self.settle()
        return self.north.transfer(opened.pid)

    def steward(self, name: str = "steward") -> Person:
        secret, by = hash_password(PASSWORD, name=name, cost=CHEAP), "test"
        grant = Grant(role=Office.STEWARD)
        with self.south.database.write() as tx:
            person = add_person(tx, name=name, secret=secret, by=by, clock=self.clock)
            return grant_role(tx, person, grant, by=by, clock=self.clock)

    def items(self) -> list[QueueItem]:
        with self.south.database.read() as connection:
            return list_items(connection)

    def decide(self, item: QueueItem, by: Person, ruling: Ruling = YES) -> QueueItem:
        told = "as the committee said"
        found = settle_item(self.south.connector, item.id, by=by, ruling=ruling, reason=told)
        self.settle()
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.close()


def refusal(world: World, item: QueueItem, by: Person, ruling: Ruling = YES) -> str:
    with pytest.raises(ConsiliumError) as refused:
        world.decide(item, by, ruling)
    return refused.value.code


def kinds(hospital: Hospital) -> list[str]:
    return hospital.kinds()


def test_without_a_setting_the_policy_decides_and_nobody_is_asked(world: World) -> None:
    asked = world.enter().ask()
    assert asked.state == "FINALIZED"
    assert world.open_study(asked).state == "STARTED"
    assert "queue.asked" not in kinds(world.south)


def test_a_request_waits_until_a_steward_lets_it_proceed(world: World) -> None:
    asked = world.enter(agreements=PERSON).ask()
    (item,) = world.items()
    assert asked.state == "REQUESTED"
    assert (item.kind, item.role, item.organisation) == ("agreement", "steward", world.north.me)
    assert item.due == "2026-11-26T08:00:00.000000Z"
    assert START.day == 23
    steward = world.steward()
    assert world.decide(item, steward).settled_by == steward.id
    assert world.north.negotiation(asked.pid).state == "FINALIZED"
    assert world.items() == []
    told = kinds(world.south)
    assert told.index("queue.asked") < told.index("queue.settled") < told.index("agreement.agreed")


def test_the_steward_sees_who_asks_for_what_on_which_terms(world: World) -> None:
    world.enter(agreements=PERSON).ask()
    with world.south.database.read() as connection:
        about = describe(connection, world.items()[0])
    assert about["peer"] == world.north.me
    assert about["terms"]["purposes"] == ("research",)


def test_a_refusal_ends_the_negotiation_and_the_counterpart_learns_the_reason(
    world: World,
) -> None:
    asked = world.enter(agreements=PERSON).ask()
    world.decide(world.items()[0], world.steward(), NO)
    ended = world.north.negotiation(asked.pid)
    assert (ended.state, ended.code) == ("TERMINATED", "persons.refused")
    assert ended.reason == "as the committee said"


def test_two_persons_are_two_before_anything_is_agreed(world: World) -> None:
    asked = world.enter(agreements=TWO_PERSONS).ask()
    (item,) = world.items()
    first, second = world.steward("first"), world.steward("second")
    assert world.decide(item, first).is_open
    assert world.north.negotiation(asked.pid).state == "REQUESTED"
    assert refusal(world, item, first) == "persons.said_already"
    world.decide(item, second)
    assert world.north.negotiation(asked.pid).state == "FINALIZED"


def test_an_item_is_settled_once(world: World) -> None:
    world.enter(agreements=PERSON).ask()
    (item,) = world.items()
    steward = world.steward()
    world.decide(item, steward)
    assert refusal(world, item, steward, NO) == "persons.item_settled"
    assert kinds(world.south).count("agreement.agreed") == 1


def test_an_item_lapses_when_the_counterpart_gives_up(world: World) -> None:
    asked = world.enter(agreements=PERSON).ask()
    (item,) = world.items()
    negotiation.terminate(world.north.connector, asked.pid, code="own.reason", reason="no need")
    world.settle()
    assert refusal(world, item, world.steward()) == "persons.item_lapsed"
    with world.south.database.read() as connection:
        assert get_item(connection, item.id).ruling == "lapse"
    assert "agreement.agreed" not in kinds(world.south)


def test_whoever_is_not_in_charge_moves_nothing(world: World) -> None:
    asked = world.enter(agreements=PERSON).ask()
    (item,) = world.items()
    secret = hash_password(PASSWORD, name="doctor", cost=CHEAP)
    with world.south.database.write() as tx:
        doctor = add_person(tx, name="doctor", secret=secret, by="test", clock=world.clock)
    assert refusal(world, item, doctor) == "persons.not_in_charge"
    assert world.north.negotiation(asked.pid).state == "REQUESTED"
    assert len(world.items()) == 1


def test_a_study_waits_under_an_agreement_that_did_not(world: World) -> None:
    asked = world.enter(studies=PERSON).ask()
    opened = world.open_study(asked)
    (item,) = world.items()
    assert (opened.state, item.kind, item.study) == ("REQUESTED", "study", opened.study)
    with world.south.database.read() as connection:
        assert describe(connection, item)["agreement"] == asked.agreement
    world.decide(item, world.steward())
    assert world.north.transfer(opened.pid).state == "STARTED"


def test_a_refused_study_is_terminated_on_both_sides(world: World) -> None:
    opened = world.open_study(world.enter(studies=PERSON).ask())
    world.decide(world.items()[0], world.steward(), NO)
    ended = world.north.transfer(opened.pid)
    assert (ended.state, ended.reason) == ("TERMINATED", "as the committee said")


def test_what_the_policy_refuses_is_not_put_before_a_person(world: World) -> None:
    world.enter(agreements=PERSON)
    dataset = world.south.register("late", terms=terms("north", not_after="2026-11-24T00:00:00Z"))
    (listing,) = [
        one
        for one in request_catalog(world.north.connector, world.south.me)
        if one.dataset == dataset.id
    ]
    asked = negotiation.request_agreement(
        world.north.connector, world.south.me, dataset=listing.dataset, offer=listing.offer
    )
    world.held.advance(START.replace(day=25) - START)
    world.settle()
    assert world.north.negotiation(asked.pid).state == "TERMINATED"
    assert world.items() == []

"""Offers from the provider's side, and terms that go back and forth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, participant, terms

from consilium.dataspace import negotiation
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import QueueDecide, ScriptDecide
from consilium.dataspace.policy import offer_for, policy_of
from consilium.dataspace.ports import Verdict
from consilium.dataspace.records import Negotiation, Process, Role
from consilium.dataspace.store import list_history, save
from consilium.dataspace.wire import builders
from consilium.kernel.canonical import digest_json, read_json
from consilium.kernel.errors import DeniedError, NotFoundError, StateError
from consilium.ledger.database import Transaction

BASE = builders.BASE
OFFERS = f"{BASE}/negotiations/offers"


def ask(north: Hospital, south: Hospital, **wishes: Any) -> Negotiation:
    (listing,) = request_catalog(north.connector, south.me)
    return negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer, **wishes
    )


def waiting(hospital: Hospital) -> list[tuple[str, str]]:
    """Let a hospital note what waits for a person."""
    found: list[tuple[str, str]] = []

    def note(tx: Transaction, process: Process, verdict: Verdict) -> None:
        found.append((process.state, verdict.code))

    hospital.connector = replace(hospital.connector, waiting=note)
    return found


@pytest.fixture
def slow(space: Space) -> tuple[Hospital, Hospital]:
    """Give two hospitals in which people decide everything."""
    return space.add("north", decide=ScriptDecide({})), space.add("south", decide=ScriptDecide({}))


def own_offer(south: Hospital, *, provider: str = "urn:uuid:p1", **changes: Any) -> Any:
    """Write a first offer by hand, on south's dataset."""
    dataset = south.register()
    offer = offer_for(policy_of(dataset.terms, offer=dataset.offer), target=dataset.id)
    return builders.contract_offer(provider, offer=offer | changes, callback="https://x/cb")


def test_a_provider_offers_and_a_person_accepts(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    noted = waiting(north)
    offered = negotiation.offer_agreement(south.connector, north.me, dataset="heart")
    space.settle()
    theirs = south.negotiation(offered.pid)
    ours = north.negotiation(theirs.peer_pid)
    assert (theirs.state, ours.state, ours.role) == ("OFFERED", "OFFERED", Role.CONSUMER)
    assert noted == [("OFFERED", "dataspace.offer_not_asked_for")]
    negotiation.take(north.connector, ours.pid, to="ACCEPTED")
    space.settle()
    assert north.negotiation(ours.pid).state == south.negotiation(offered.pid).state == "FINALIZED"
    kept = north.agreement(north.negotiation(ours.pid).agreement, role=Role.CONSUMER)
    assert kept.policy == south.agreement(kept.id).policy
    steps = ["negotiation.offered", "negotiation.accepted", "agreement.agreed"]
    steps += ["agreement.verified", "agreement.finalized"]
    assert north.kinds() == steps
    assert south.kinds()[2:] == steps


def test_terms_of_a_persons_own_are_agreed_to_when_they_are_accepted(
    space: Space, north: Hospital, south: Hospital
) -> None:
    dataset = south.register()
    wider = replace(dataset.terms, count=7)
    offered = negotiation.offer_agreement(south.connector, north.me, dataset="heart", terms=wider)
    space.settle()
    theirs = south.negotiation(offered.pid)
    assert theirs.offer != dataset.offer
    negotiation.proceed(north.connector, theirs.peer_pid)
    space.settle()
    done = south.negotiation(offered.pid)
    assert (done.state, south.agreement(done.agreement).terms.count) == ("FINALIZED", 7)


def test_terms_go_back_and_forth_and_all_of_it_is_in_the_evidence(
    space: Space, slow: tuple[Hospital, Hospital]
) -> None:
    north, south = slow
    south.register()
    asked = ask(north, south, terms=terms("north", count=9))
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    turns = [(south, theirs, 2), (north, asked.pid, 5), (south, theirs, 4)]
    for who, pid, number in turns:
        negotiation.counter(who.connector, pid, terms=terms("north", count=number))
        space.settle()
    steps = [(north, asked.pid), (south, theirs), (north, asked.pid), (south, theirs)]
    for who, pid in steps:
        negotiation.proceed(who.connector, pid)
        space.settle()
    done = south.negotiation(theirs)
    assert (done.state, south.agreement(done.agreement).terms.count) == ("FINALIZED", 4)
    for hospital, pid in ((north, asked.pid), (south, theirs)):
        _check_chain(hospital, pid)


def _check_chain(hospital: Hospital, pid: Any) -> None:
    entries = [
        entry
        for entry in hospital.database.evidence.entries(limit=1000)
        if entry.kind in {"negotiation.requested", "negotiation.offered"}
    ]
    assert [entry.facts["offered_by"] for entry in entries] == [
        "consumer",
        "provider",
        "consumer",
        "provider",
    ]
    assert len({entry.facts["offer"] for entry in entries}) == 4
    for before, after in pairwise(entries):
        assert after.facts["answers"] == before.facts["policy"]
    with hospital.database.read() as connection:
        history = list_history(connection, pid)
    offers = [moved.policy for moved in history if moved.policy][:4]
    assert [digest_json(policy) for policy in offers if policy] == [
        entry.facts["policy"] for entry in entries
    ]
    states = ["REQUESTED", "OFFERED", "REQUESTED", "OFFERED", "ACCEPTED"]
    assert [moved.state for moved in history] == [*states, "AGREED", "VERIFIED", "FINALIZED"]


def test_the_policy_accepts_an_offer_of_what_was_asked_for(space: Space) -> None:
    north, south = space.add("north"), space.add("south", decide=ScriptDecide({}))
    south.register()
    wished = terms("north", count=1)
    asked = ask(north, south, terms=wished)
    space.settle()
    negotiation.counter(
        south.connector, north.negotiation(asked.pid).peer_pid, terms=terms("north", count=1)
    )
    space.settle()
    assert north.negotiation(asked.pid).state == "ACCEPTED"


def test_the_policy_agrees_to_what_a_person_has_offered_and_to_nothing_near_it(
    space: Space,
) -> None:
    north, south = space.add("north", decide=ScriptDecide({})), space.add("south")
    south.register()
    offered = negotiation.offer_agreement(
        south.connector, north.me, dataset="heart", terms=terms("north", count=5)
    )
    space.settle()
    ours = south.negotiation(offered.pid).peer_pid
    negotiation.counter(north.connector, ours, terms=terms("north", count=6))
    space.settle()
    ended = north.negotiation(ours)
    assert (ended.state, ended.code) == ("TERMINATED", "dataspace.offer_not_published")


def test_what_was_published_may_still_be_asked_for_after_another_offer(space: Space) -> None:
    north, south = space.add("north", decide=ScriptDecide({})), space.add("south")
    dataset = south.register()
    offered = negotiation.offer_agreement(
        south.connector, north.me, dataset="heart", terms=terms("north", count=1)
    )
    space.settle()
    theirs = south.negotiation(offered.pid)
    published = offer_for(policy_of(dataset.terms, offer=dataset.offer), target=dataset.id)
    message = builders.with_pids(
        builders.contract_counter_request(published),
        provider=theirs.pid,
        consumer=theirs.peer_pid,
    )
    status, told = north.post(south, f"{BASE}/negotiations/{theirs.pid}/request", message)
    assert (status, told["state"]) == (200, "REQUESTED")
    assert south.negotiation(offered.pid).state == "AGREED"


def test_an_offer_that_comes_again_opens_one_negotiation(north: Hospital, south: Hospital) -> None:
    message = own_offer(south)
    first, second = (south.post(north, OFFERS, message) for _ in range(2))
    assert first[0] == second[0] == 201
    assert first[1]["consumerPid"] == second[1]["consumerPid"]
    assert north.kinds().count("negotiation.offered") == 1
    other = message | {"offer": message["offer"] | {"prohibition": [{"action": "use"}]}}
    status, error = south.post(north, OFFERS, other)
    assert (status, error["code"]) == (400, "dataspace.pid_reused")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"profile": "https://example.org/other"}, "dataspace.unknown_term"),
        ({"assignee": participant("west")}, "dataspace.wrong_recipient"),
        ({"assigner": participant("west")}, "dataspace.wrong_recipient"),
        ({"prohibition": [{"action": "use"}]}, "dataspace.bad_terms"),
        ({"permission": [{"action": "sell"}]}, "dataspace.unknown_term"),
    ],
)
def test_an_offer_that_we_could_not_use_is_refused(
    north: Hospital, south: Hospital, changes: Any, code: str
) -> None:
    status, error = south.post(north, OFFERS, own_offer(south, **changes))
    assert (status, error["@type"], error["code"]) == (400, "ContractNegotiationError", code)
    assert "negotiation.offered" not in north.kinds()


def test_an_offer_to_others_is_not_for_us(
    space: Space, south: Hospital, stranger: Hospital
) -> None:
    status, error = south.post(stranger, OFFERS, own_offer(south))
    assert (status, error["code"]) == (400, "dataspace.wrong_recipient")
    with pytest.raises(DeniedError):
        negotiation.offer_agreement(south.connector, stranger.me, dataset="heart")
    with pytest.raises(NotFoundError):
        negotiation.offer_agreement(south.connector, stranger.me, dataset="nothing")


def test_a_counter_offer_cannot_change_the_dataset_or_bring_unknown_terms(
    space: Space, slow: tuple[Hospital, Hospital]
) -> None:
    north, south = slow
    south.register()
    other = south.register("other")
    offered = negotiation.offer_agreement(south.connector, north.me, dataset="heart")
    space.settle()
    theirs = south.negotiation(offered.pid)
    path = f"{BASE}/negotiations/{theirs.pid}/request"
    fine = offer_for(policy_of(terms("north"), offer=other.offer), target=theirs.dataset)
    for changes, code in (
        ({"target": other.id}, "dataspace.other_target"),
        ({"profile": "x"}, "dataspace.unknown_term"),
    ):
        message = builders.with_pids(
            builders.contract_counter_request(fine | changes),
            provider=theirs.pid,
            consumer=theirs.peer_pid,
        )
        status, error = north.post(south, path, message)
        assert (status, error["code"]) == (400, code)
        assert (error["providerPid"], error["consumerPid"]) == (theirs.pid, theirs.peer_pid)
        assert south.negotiation(offered.pid) == theirs


def test_our_own_offer_cannot_be_accepted_by_us(
    space: Space, slow: tuple[Hospital, Hospital]
) -> None:
    north, south = slow
    south.register()
    asked = ask(north, south)
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    with pytest.raises(StateError):
        negotiation.take(north.connector, asked.pid, to="ACCEPTED")
    message = builders.with_pids(
        builders.negotiation_accepted(), provider=theirs, consumer=asked.pid
    )
    status, error = north.post(south, f"{BASE}/negotiations/{theirs}/events", message)
    assert (status, error["code"]) == (400, "dataspace.bad_step")
    assert south.negotiation(theirs).state == "REQUESTED"


def test_a_late_first_request_finds_its_negotiation_after_a_counter_offer(
    space: Space, slow: tuple[Hospital, Hospital]
) -> None:
    north, south = slow
    south.register()
    asked = ask(north, south)
    space.settle()
    (sent,) = [one for one in north.transport.sent if one.path.endswith("/negotiations/request")]
    theirs = north.negotiation(asked.pid).peer_pid
    negotiation.counter(south.connector, theirs, terms=terms("north", count=1))
    space.settle()
    status, told = north.post(south, sent.path, read_json(sent.body))
    assert (status, told["providerPid"], told["state"]) == (201, theirs, "OFFERED")


def test_an_agreement_that_differs_from_the_accepted_offer_ends_the_negotiation(
    space: Space, slow: tuple[Hospital, Hospital]
) -> None:
    north, south = slow
    dataset = south.register()
    offered = negotiation.offer_agreement(south.connector, north.me, dataset="heart")
    space.settle()
    ours = south.negotiation(offered.pid).peer_pid
    negotiation.proceed(north.connector, ours)
    space.settle()
    wider = offer_for(policy_of(terms("north", count=99), offer=dataset.offer), target=dataset.id)
    process = replace(south.negotiation(offered.pid), policy=wider)
    with south.database.write() as tx:
        save(tx, process)
    negotiation.proceed(south.connector, offered.pid)
    space.settle()
    assert north.negotiation(ours).state == south.negotiation(offered.pid).state == "TERMINATED"
    assert south.negotiation(offered.pid).code == "dataspace.agreement_differs"
    assert "process.taken_back" in south.kinds()


def test_a_person_decides_what_binds_and_nothing_else(space: Space) -> None:
    north, south = space.add("north"), space.add("south", decide=QueueDecide())
    south.register()
    noted = waiting(south)
    asked = ask(north, south)
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    assert noted == [("REQUESTED", "dataspace.person_decides")]
    negotiation.proceed(south.connector, theirs)
    space.settle()
    assert north.negotiation(asked.pid).state == "FINALIZED"
    ask(north, south, terms=terms("north", count=99))
    space.settle()
    assert noted[1:] == [("REQUESTED", "dataspace.offer_not_published")]


def test_waiting_is_told_in_the_transaction_that_made_it_wait(space: Space) -> None:
    north, south = space.add("north"), space.add("south", decide=QueueDecide())
    south.register()

    def fail(tx: Transaction, process: Process, verdict: Verdict) -> None:
        raise StateError("dataspace.bad_step", now="", wanted="", sender="x")

    south.connector = replace(south.connector, waiting=fail)
    asked = ask(north, south)
    space.settle()
    assert "negotiation.requested" not in south.kinds()
    assert north.negotiation(asked.pid).state == "TERMINATED"

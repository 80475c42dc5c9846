"""A transfer pauses and goes on, from either side; and steps that cross on the way."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims, unreachable

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import PROCEED, PolicyDecide
from consilium.dataspace.ports import Question, Verdict, WireReply, WireRequest
from consilium.dataspace.records import Role, Transfer
from consilium.dataspace.store import list_undelivered
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.tokens import make_answer
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.errors import PeerError, StateError

BASE = builders.BASE
PAUSE = timedelta(seconds=31)


class Lenient:
    """The policy, but a held transfer may be resumed by the other side."""

    def __call__(self, question: Question) -> Verdict:
        if isinstance(question.process, Transfer) and question.process.state == "SUSPENDED":
            return PROCEED
        return PolicyDecide()(question)


class Started:
    """One started transfer and both sides of it."""

    def __init__(self, space: Space, north: Hospital, south: Hospital) -> None:
        self.space, self.north, self.south = space, north, south
        south.register()
        (listing,) = request_catalog(north.connector, south.me)
        asked = negotiation.request_agreement(
            north.connector, south.me, dataset=listing.dataset, offer=listing.offer
        )
        space.settle()
        agreed = north.negotiation(asked.pid).agreement
        self.agreement = north.agreement(agreed, role=Role.CONSUMER)
        self.open("urn:uuid:first")

    def open(self, study: str) -> None:
        """Go on with the transfer of another study."""
        claims = study_claims(self.north, self.south, self.agreement, study=study)
        opened = transfer.request_transfer(
            self.north.connector,
            self.agreement.id,
            signed_study=sign_claims(self.north, claims),
            endpoint="grpc://hub:1",
        )
        self.space.settle()
        ours = self.north.transfer(opened.pid)
        self.pids = {"north": ours.pid, "south": ours.peer_pid}

    def of(self, who: Hospital) -> Transfer:
        return who.transfer(self.pids[who.name])

    def states(self) -> tuple[str, str]:
        return self.of(self.north).state, self.of(self.south).state

    def suspend(self, who: Hospital) -> None:
        pid = self.of(who).pid
        transfer.suspend(who.connector, pid, code="local.hold", reason="ethics")

    def start(self, who: Hospital) -> None:
        transfer.start(who.connector, self.of(who).pid)

    def complete(self, who: Hospital) -> None:
        transfer.complete(who.connector, self.of(who).pid)

    def terminate(self, who: Hospital) -> None:
        transfer.terminate(who.connector, self.of(who).pid, code="local.end", reason="")

    def send(self, sender: Hospital, receiver: Hospital, suffix: str, message: Any) -> Any:
        """Send a message by hand, as a peer of another house would: without numbers."""
        ours, theirs = self.pids["north"], self.pids["south"]
        path = f"{BASE}/transfers/{self.pids[receiver.name]}/{suffix}"
        return sender.post(
            receiver, path, builders.with_pids(message, provider=theirs, consumer=ours)
        )


@pytest.fixture
def begun(space: Space, north: Hospital, south: Hospital) -> Started:
    return Started(space, north, south)


@pytest.mark.parametrize("name", ["north", "south"])
def test_either_side_suspends_and_resumes(begun: Started, space: Space, name: str) -> None:
    who = space.hospitals[name]
    for _ in range(2):
        begun.suspend(who)
        space.settle()
        assert begun.states() == ("SUSPENDED", "SUSPENDED")
        assert begun.of(begun.north).holder == begun.of(begun.south).holder == begun.of(who).role
        begun.start(who)
        space.settle()
        assert begun.states() == ("STARTED", "STARTED")
        assert begun.of(begun.north).holder == begun.of(begun.south).holder == ""
    for hospital in (begun.north, begun.south):
        kinds = hospital.kinds()
        assert (kinds.count("transfer.suspended"), kinds.count("transfer.started")) == (2, 3)


@pytest.mark.parametrize("name", ["north", "south"])
def test_who_did_not_suspend_may_ask_but_not_resume(
    begun: Started, space: Space, name: str
) -> None:
    holder = space.hospitals[name]
    other = space.hospitals[{"north": "south", "south": "north"}[name]]
    begun.suspend(holder)
    space.settle()
    begun.start(other)
    space.settle()
    assert begun.states() == ("SUSPENDED", "SUSPENDED")
    assert begun.of(other).holder == begun.of(holder).role
    assert other.kinds()[-1] == "process.taken_back"
    (entry,) = holder.database.evidence.entries(kind="request.refused")
    assert entry.facts["code"] == "dataspace.held"
    begun.start(holder)
    space.settle()
    assert begun.states() == ("STARTED", "STARTED")


def test_a_holder_may_let_the_other_side_resume(space: Space) -> None:
    begun = Started(space, space.add("north"), space.add("south", decide=Lenient()))
    begun.suspend(begun.south)
    space.settle()
    begun.start(begun.north)
    space.settle()
    assert begun.states() == ("STARTED", "STARTED")


@pytest.mark.parametrize("name", ["north", "south"])
def test_a_suspended_transfer_can_be_ended_by_either_side(
    begun: Started, space: Space, name: str
) -> None:
    begun.suspend(begun.south)
    space.settle()
    with pytest.raises(StateError):
        begun.complete(space.hospitals[name])
    begun.terminate(space.hospitals[name])
    space.settle()
    assert begun.states() == ("TERMINATED", "TERMINATED")


STEPS = {"suspend": "SUSPENDED", "complete": "COMPLETED", "terminate": "TERMINATED"}
HEAVIER = ["TERMINATED", "COMPLETED", "SUSPENDED"]


def test_when_both_sides_step_at_once_the_heavier_step_stands_on_both(
    begun: Started, space: Space
) -> None:
    for northern, southern, first in product(STEPS, STEPS, ("north", "south")):
        begun.open(f"urn:uuid:{northern}-{southern}-{first}")
        getattr(begun, northern)(begun.north)
        getattr(begun, southern)(begun.south)
        space.hospitals[first].outbox.deliver_due()
        for _ in range(3):
            space.settle()
            space.held.advance(PAUSE)
        expected = min(STEPS[northern], STEPS[southern], key=HEAVIER.index)
        assert begun.states() == (expected, expected), (northern, southern, first)
        holder = begun.of(begun.north).holder
        assert holder == begun.of(begun.south).holder
        if northern == southern == "suspend":
            assert holder == Role.PROVIDER


def test_a_late_copy_of_a_step_that_was_undone_since_changes_nothing(
    begun: Started, space: Space
) -> None:
    kept: list[WireRequest] = []

    def keep(request: WireRequest) -> WireReply:
        kept.append(request)
        raise PeerError("dataspace.unreachable", peer="north")

    space.doors[begun.north.me] = keep
    begun.suspend(begun.south)
    begun.south.outbox.deliver_due()
    space.doors[begun.north.me] = begun.north.answer
    space.held.advance(PAUSE)
    space.settle()
    begun.start(begun.south)
    space.settle()
    assert begun.states() == ("STARTED", "STARTED")
    (late,) = kept
    reply = begun.north.answer(late)
    assert reply.status == 200
    assert begun.states() == ("STARTED", "STARTED")


def test_a_second_step_waits_until_the_first_has_arrived(begun: Started, space: Space) -> None:
    begun.south.transport.before = unreachable
    begun.suspend(begun.south)
    begun.south.outbox.deliver_due()
    with pytest.raises(StateError) as refused:
        begun.start(begun.south)
    assert refused.value.code == "dataspace.under_way"
    with begun.south.database.read() as connection:
        (left,) = list_undelivered(connection, begun.of(begun.south).pid)
    assert (left.wanted, left.tries, left.error) == ("SUSPENDED", 1, "dataspace.unreachable")
    begun.terminate(begun.south)
    begun.south.transport.before = lambda _request: None
    space.held.advance(PAUSE)
    space.settle()
    assert begun.states() == ("TERMINATED", "TERMINATED")


def test_a_peer_of_another_house_needs_no_numbers(begun: Started) -> None:
    north, south = begun.north, begun.south
    for _ in range(2):
        pause = builders.transfer_suspension("x", "y")
        assert begun.send(north, south, "suspension", pause)[0] == 200
        assert begun.send(north, south, "suspension", pause)[0] == 400
        assert begun.of(south).state == "SUSPENDED"
        assert begun.send(north, south, "start", builders.transfer_start())[0] == 200
        assert begun.of(south).state == "STARTED"
    assert begun.send(north, south, "completion", builders.transfer_completion())[0] == 200
    status, error = begun.send(north, south, "start", builders.transfer_start())
    assert (status, error["@type"]) == (400, "TransferError")


def test_a_peer_that_claims_to_have_seen_nothing_gains_nothing(begun: Started) -> None:
    north, south = begun.north, begun.south
    begun.suspend(south)
    begun.space.settle()
    lie = builders.transfer_completion() | {"consilium:number": 2, "consilium:seen": 0}
    assert begun.send(north, south, "completion", lie)[0] == 200
    assert begun.of(south).state == "SUSPENDED"


def test_a_refused_suspension_ends_the_transfer_on_both_sides(begun: Started, space: Space) -> None:
    north = begun.north

    def refuse(request: WireRequest) -> WireReply:
        if not request.path.endswith("/suspension"):
            return north.answer(request)
        error = builders.error("TransferError", code="their.rule", reason="we never pause")
        body = canonical_bytes(error)
        token = make_answer(
            north.key, issuer=north.me, request=request.token, status=400, body=body
        )
        return WireReply(status=400, body=body, token=token)

    space.doors[north.me] = refuse
    begun.suspend(begun.south)
    space.settle()
    assert begun.states() == ("TERMINATED", "TERMINATED")
    assert begun.of(north).code == begun.of(begun.south).code == "their.rule"
    assert begun.south.kinds()[-2:] == ["process.taken_back", "transfer.terminated"]

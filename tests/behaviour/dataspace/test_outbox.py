"""Messages arrive although peers are away, answers are lost and processes die."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from dataspace_rehearsal import (
    Hospital,
    Space,
    sign_claims,
    study_claims,
    unreachable,
)

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import ScriptDecide
from consilium.dataspace.machines import COMPLETED, FINALIZED, STARTED, TERMINATED
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.dataspace.settings import DataspaceSettings
from consilium.dataspace.steps import abandon
from consilium.dataspace.wire import builders
from consilium.kernel.errors import PeerError

WAITS = timedelta(seconds=31)


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def ask(north: Hospital, south: Hospital) -> Negotiation:
    (listing,) = request_catalog(north.connector, south.me)
    return negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )


def settle_with_waits(space: Space) -> None:
    for _ in range(8):
        space.settle()
        space.held.advance(WAITS)


def test_a_message_waits_for_a_peer_that_is_away(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    asked = ask(north, south)
    north.transport.before = unreachable
    assert north.outbox.deliver_due() == 1
    assert north.outbox.deliver_due() == 0, "it is not tried again at once"
    assert north.negotiation(asked.pid).state == "REQUESTED"
    north.transport.before = lambda _request: None
    settle_with_waits(space)
    assert north.negotiation(asked.pid).state == FINALIZED


def test_the_waits_between_tries_grow_to_a_limit(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    ask(north, south)
    north.transport.before = unreachable
    tries = 0
    for _ in range(600):
        tries += north.outbox.deliver_due()
        space.held.advance(timedelta(seconds=1))
    assert 20 <= tries <= 30


def test_an_answer_that_was_lost_does_no_harm(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    asked = ask(north, south)
    for hospital in (north, south):
        hospital.transport.after = _lose_every_first_answer()
    settle_with_waits(space)
    assert north.negotiation(asked.pid).state == FINALIZED
    assert south.kinds().count("negotiation.requested") == 1
    assert south.kinds().count("agreement.finalized") == 1


def _lose_every_first_answer() -> Callable[[WireRequest], None]:
    known: set[str] = set()

    def lose(request: WireRequest) -> None:
        if request.method == "POST" and request.path not in known:
            known.add(request.path)
            raise PeerError("dataspace.unreachable", peer="somebody")

    return lose


def test_an_answer_of_somebody_in_between_changes_nothing(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    asked = ask(north, south)
    door = space.doors[south.me]
    space.doors[south.me] = lambda _request: WireReply(status=201, body=b'{"providerPid": "x"}')
    north.outbox.deliver_due()
    assert north.negotiation(asked.pid).peer_pid == ""
    space.doors[south.me] = lambda _request: WireReply(status=404, body=b"{}")
    space.held.advance(WAITS)
    north.outbox.deliver_due()
    assert north.negotiation(asked.pid).state == "REQUESTED"
    space.doors[south.me] = door
    settle_with_waits(space)
    assert north.negotiation(asked.pid).state == FINALIZED


def test_an_altered_answer_changes_nothing(space: Space, north: Hospital, south: Hospital) -> None:
    south.register()
    asked = ask(north, south)

    def alter(request: WireRequest) -> WireReply:
        reply = south.answer(request)
        return WireReply(status=400, body=reply.body, token=reply.token)

    space.doors[south.me] = alter
    north.outbox.deliver_due()
    assert north.negotiation(asked.pid).state == "REQUESTED"
    space.doors[south.me] = south.answer
    settle_with_waits(space)
    assert north.negotiation(asked.pid).state == FINALIZED


def test_after_the_deadline_the_process_is_given_up_with_evidence(space: Space) -> None:
    north = space.add("north", settings=DataspaceSettings(patience_s=60))
    south = space.add("south")
    south.register()
    asked = ask(north, south)
    north.transport.before = unreachable
    for _ in range(10):
        north.outbox.deliver_due()
        space.held.advance(WAITS)
    ended = north.negotiation(asked.pid)
    assert (ended.state, ended.code) == (TERMINATED, "dataspace.gave_up")
    assert north.outbox.deliver_due() == 0
    assert north.kinds() == [
        "negotiation.requested",
        "process.abandoned",
        "negotiation.terminated",
    ]


def test_a_side_that_was_given_up_learns_of_it(space: Space) -> None:
    north = space.add("north")
    south = space.add("south", settings=DataspaceSettings(patience_s=60))
    south.register()
    asked = ask(north, south)
    north.outbox.deliver_due()
    south.outbox.deliver_due()
    assert north.negotiation(asked.pid).state == "VERIFIED"
    space.doors[south.me] = lambda _request: WireReply(status=503, body=b"")
    theirs = north.negotiation(asked.pid).peer_pid
    with south.database.write() as tx:
        process = south.negotiation(theirs)
        abandon(tx, process, connector=south.connector, code="dataspace.gave_up", reason="")
    north.outbox.deliver_due()
    space.doors[south.me] = south.answer
    settle_with_waits(space)
    ended = north.negotiation(asked.pid)
    assert (ended.state, ended.code) == (TERMINATED, "dataspace.peer_terminated")


def test_a_refused_request_ends_with_the_peers_reason(space: Space) -> None:
    north, south = space.add("north"), space.add("south")
    south.register()
    asked = ask(north, south)
    space.held.advance(timedelta(days=365))
    space.settle()
    assert north.kinds() == [
        "negotiation.requested",
        "process.abandoned",
        "negotiation.terminated",
    ]
    ended = north.negotiation(asked.pid)
    assert (ended.state, ended.code) == (TERMINATED, "dataspace.no_dataset")


def _run(space: Space, north: Hospital, south: Hospital) -> tuple[str, str]:
    """Go all the way, starting again whatever was lost; give both final states."""
    asked = ask(north, south)
    settle_with_waits(space)
    agreement = north.agreement(north.negotiation(asked.pid).agreement, role=Role.CONSUMER)
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint="grpc://hub:1"
    )
    settle_with_waits(space)
    assert north.transfer(opened.pid).state == STARTED
    transfer.complete(north.connector, opened.pid)
    settle_with_waits(space)
    ours = north.transfer(opened.pid)
    return ours.state, south.transfer(ours.peer_pid).state


class Saboteur:
    """Kills one hospital at one moment of one delivery, once."""

    def __init__(self, space: Space, victim: Hospital, *, at: int, moment: str) -> None:
        self.space, self.victim, self.at, self.moment = space, victim, at, moment
        self.count = 0
        self.struck = False
        self.place()

    def place(self) -> None:
        setattr(self.victim.transport, self.moment, self.strike)

    def strike(self, request: WireRequest) -> None:
        if request.method != "POST" or "catalog" in request.path or self.struck:
            return
        self.count += 1
        if self.count == self.at:
            self.struck = True
            raise Killed


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("name", "at"),
    [*(("north", at) for at in range(1, 5)), *(("south", at) for at in range(1, 4))],
)
def test_a_sender_killed_at_any_step_loses_no_agreement_and_starts_nothing_twice(
    space: Space, north: Hospital, south: Hospital, name: str, at: int, moment: str
) -> None:
    south.register()
    victim = space.hospitals[name]
    saboteur = Saboteur(space, victim, at=at, moment=moment)
    deliver = Space.settle

    def settle(self: Space, *, most: int = 50) -> None:
        try:
            deliver(self, most=most)
        except Killed:
            victim.crash()
            deliver(self, most=most)

    space.settle = settle.__get__(space)  # type: ignore[method-assign]
    assert _run(space, north, south) == (COMPLETED, COMPLETED)
    assert saboteur.struck
    _each_step_once(north, south)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_receiver_killed_before_it_answers_loses_nothing(
    space: Space, north: Hospital, south: Hospital, at: int
) -> None:
    south.register()
    count = 0

    def door(hospital: Hospital) -> Callable[[WireRequest], WireReply]:
        def take(request: WireRequest) -> WireReply:
            nonlocal count
            reply = hospital.answer(request)
            if request.method == "POST" and "catalog" not in request.path:
                count += 1
                if count == at:
                    hospital.crash()
                    raise PeerError("dataspace.unreachable", peer=hospital.name)
            return reply

        return take

    for hospital in (north, south):
        space.doors[hospital.me] = door(hospital)
    assert _run(space, north, south) == (COMPLETED, COMPLETED)
    assert count > at
    _each_step_once(north, south)


def _each_step_once(north: Hospital, south: Hospital) -> None:
    steps = {"negotiation.requested", "agreement.agreed", "agreement.verified"}
    steps |= {"agreement.finalized", "transfer.requested", "transfer.started"}
    steps |= {"transfer.completed"}
    for hospital in (north, south):
        kinds = hospital.kinds()
        assert {kind for kind in kinds if kinds.count(kind) == 1} >= steps


def test_the_background_outbox_delivers_as_soon_as_something_is_committed(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    for hospital in (north, south):
        hospital.outbox.start()
    asked = ask(north, south)
    done = north.connector.wait_for(Negotiation, asked.pid, timeout_s=20)
    assert done.state == FINALIZED
    agreement = north.agreement(done.agreement, role=Role.CONSUMER)
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint="grpc://hub:1"
    )
    begun = north.connector.wait_for(Transfer, opened.pid, states={STARTED}, timeout_s=20)
    assert begun.state == STARTED


def test_one_silent_peer_does_not_hold_up_the_others(space: Space) -> None:
    north = space.add("north")
    south, silent = space.add("south"), space.add("silent")
    south.register()
    silent.register()
    asked_silent, asked = ask(north, silent), ask(north, south)
    release = threading.Event()

    def hang(request: WireRequest) -> WireReply:
        release.wait(20)
        return silent.answer(request)

    space.doors[silent.me] = hang
    for hospital in (north, south):
        hospital.outbox.start()
    assert north.connector.wait_for(Negotiation, asked.pid, timeout_s=20).state == FINALIZED
    assert north.negotiation(asked_silent.pid).state == "REQUESTED"
    release.set()


def test_waiting_for_a_state_ends_in_time(space: Space) -> None:
    north = space.add("north")
    south = space.add("south", decide=ScriptDecide({}))
    south.register()
    asked = ask(north, south)
    assert north.connector.wait_for(Negotiation, asked.pid, timeout_s=0.05).state == "REQUESTED"


def test_messages_of_one_process_are_sent_in_order(space: Space) -> None:
    north = space.add("north")
    south = space.add("south", decide=ScriptDecide({}))
    south.register()
    asked = ask(north, south)
    negotiation.terminate(north.connector, asked.pid, code="local.changed", reason="")
    space.settle()
    paths = [request.path for request in north.transport.sent if request.method == "POST"][1:]
    theirs: Any = north.negotiation(asked.pid).peer_pid
    assert paths == [
        f"{builders.BASE}/negotiations/request",
        f"{builders.BASE}/negotiations/{theirs}/termination",
    ]

"""Whatever both sides do at once, and whatever the way between them does, they end alike.

The way loses requests, loses answers, and delivers kept requests late. Both
sides step when they please. At rest both must be in the same state.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "behaviour" / "dataspace"))

from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims, terms

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import PROCEED, ScriptDecide
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.records import Agreement, Role, Transfer
from consilium.dataspace.tables import OUTBOX
from consilium.kernel.errors import ConsiliumError, PeerError

NUMBERS = count(1)
WAITS = timedelta(seconds=31)
LETS_GO = {(Transfer, role, "SUSPENDED"): PROCEED for role in Role}
Step = Callable[["Pair", Hospital, str], object]


class Way:
    """The way to one hospital's door: it may lose, keep and deliver late."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self.mood = "carry"
        self.kept: list[WireRequest] = []
        hospital.space.doors[hospital.me] = self.pass_on

    def pass_on(self, request: WireRequest) -> WireReply:
        if request.method == "GET" or self.mood == "carry":
            return self.hospital.answer(request)
        if self.mood == "keep":
            self.kept.append(request)
        else:
            self.hospital.answer(request)
        raise PeerError("dataspace.unreachable", peer=self.hospital.name)

    def deliver_late(self) -> None:
        if self.kept:
            self.hospital.answer(self.kept.pop(0))


class Pair:
    """Two hospitals with one finished agreement; each example opens a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.space = Space(folder)
        self.north, self.south = self.space.add("north"), self.space.add("south")
        self.south.register(terms=terms("north", not_after="2090-01-01T00:00:00Z"))
        self.agreement = self._agree()
        self.ways = [Way(self.north), Way(self.south)]

    def _agree(self) -> Agreement:
        (self.listing,) = request_catalog(self.north.connector, self.south.me)
        asked = negotiation.request_agreement(
            self.north.connector,
            self.south.me,
            dataset=self.listing.dataset,
            offer=self.listing.offer,
        )
        self.space.settle()
        found = self.north.negotiation(asked.pid)
        return self.north.agreement(found.agreement, role=Role.CONSUMER)

    def decide(self, script: dict) -> None:  # type: ignore[type-arg]
        for hospital in (self.north, self.south):
            hospital.connector = replace(hospital.connector, decide=ScriptDecide(script))

    def rest(self) -> None:
        for way in self.ways:
            way.mood = "carry"
        for _ in range(12):
            self.space.settle()
            self.space.held.advance(WAITS)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    found = Pair(tmp_path_factory.mktemp("crossings"))
    yield found
    found.space.close()


def suspend(_pair: Pair, who: Hospital, pid: str) -> object:
    return transfer.suspend(who.connector, pid, code="local.hold", reason="")  # type: ignore[arg-type]


def start(_pair: Pair, who: Hospital, pid: str) -> object:
    return transfer.start(who.connector, pid)  # type: ignore[arg-type]


def complete(_pair: Pair, who: Hospital, pid: str) -> object:
    return transfer.complete(who.connector, pid)  # type: ignore[arg-type]


def end(_pair: Pair, who: Hospital, pid: str) -> object:
    return transfer.terminate(who.connector, pid, code="local.end", reason="")  # type: ignore[arg-type]


def counter(_pair: Pair, who: Hospital, pid: str) -> object:
    wished = terms("north", count=next(NUMBERS), not_after="2090-01-01T00:00:00Z")
    return negotiation.counter(who.connector, pid, terms=wished)  # type: ignore[arg-type]


def proceed(_pair: Pair, who: Hospital, pid: str) -> object:
    return negotiation.proceed(who.connector, pid)  # type: ignore[arg-type]


def withdraw(_pair: Pair, who: Hospital, pid: str) -> object:
    return negotiation.terminate(who.connector, pid, code="local.end", reason="")  # type: ignore[arg-type]


def deliver(pair: Pair, who: Hospital, _pid: str) -> object:
    pair.space.held.advance(WAITS)
    return who.outbox.deliver_due()


def set_mood(mood: str) -> Step:
    def change(pair: Pair, who: Hospital, _pid: str) -> object:
        next(way for way in pair.ways if way.hospital is who).mood = mood
        return None

    return change


def deliver_late(pair: Pair, who: Hospital, _pid: str) -> object:
    return next(way for way in pair.ways if way.hospital is who).deliver_late()


WAYS: dict[str, Step] = {
    "deliver": deliver,
    "carry": set_mood("carry"),
    "keep": set_mood("keep"),
    "lose answers": set_mood("lose"),
    "deliver late": deliver_late,
}
T_STEPS: dict[str, Step] = {"suspend": suspend, "start": start, "complete": complete, "end": end}
N_STEPS: dict[str, Step] = {"counter": counter, "proceed": proceed, "withdraw": withdraw}


def plays(steps: dict[str, Step]) -> st.SearchStrategy[list[tuple[str, int]]]:
    names = st.sampled_from([*steps, *WAYS, "deliver", "deliver"])
    return st.lists(st.tuples(names, st.integers(0, 1)), max_size=16)


def play(pair: Pair, moves: list[tuple[str, int]], pids: tuple[str, str]) -> None:
    for name, which in moves:
        who = (pair.north, pair.south)[which]
        with contextlib.suppress(ConsiliumError):
            (T_STEPS | N_STEPS | WAYS)[name](pair, who, pids[which])
    for way in pair.ways:
        while way.kept:
            way.deliver_late()
    pair.rest()


def nothing_left(pair: Pair) -> bool:
    for hospital in (pair.north, pair.south):
        with hospital.database.read() as connection:
            if connection.execute(OUTBOX.select()).first() is not None:
                return False
    return True


def open_transfer(pair: Pair) -> tuple[str, str]:
    claims = study_claims(
        pair.north,
        pair.south,
        pair.agreement,
        study=f"urn:uuid:s{next(NUMBERS)}",
        expires="2080-01-01T00:00:00Z",
    )
    opened = transfer.request_transfer(
        pair.north.connector,
        pair.agreement.id,
        signed_study=sign_claims(pair.north, claims),
        endpoint="grpc://hub:1",
    )
    pair.rest()
    return opened.pid, pair.north.transfer(opened.pid).peer_pid


@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(moves=plays(T_STEPS), lets_go=st.booleans())
def test_a_transfer_ends_alike_on_both_sides(
    pair: Pair, moves: list[tuple[str, int]], lets_go: bool
) -> None:
    start_at_once = {(Transfer, Role.PROVIDER, "REQUESTED"): PROCEED}
    pair.decide(start_at_once | (LETS_GO if lets_go else {}))
    pids = open_transfer(pair)
    play(pair, moves, pids)
    ours, theirs = pair.north.transfer(pids[0]), pair.south.transfer(pids[1])
    assert ours.state == theirs.state
    assert nothing_left(pair)


@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(moves=plays(N_STEPS), by_provider=st.booleans())
def test_a_negotiation_ends_alike_on_both_sides(
    pair: Pair, moves: list[tuple[str, int]], by_provider: bool
) -> None:
    pair.decide({})
    if by_provider:
        offered = negotiation.offer_agreement(
            pair.south.connector, pair.north.me, dataset=pair.listing.name
        )
        pair.rest()
        pids = pair.south.negotiation(offered.pid).peer_pid, offered.pid
    else:
        asked = negotiation.request_agreement(
            pair.north.connector,
            pair.south.me,
            dataset=pair.listing.dataset,
            offer=pair.listing.offer,
        )
        pair.rest()
        pids = asked.pid, pair.north.negotiation(asked.pid).peer_pid
    play(pair, moves, (str(pids[0]), str(pids[1])))
    ours, theirs = pair.north.negotiation(pids[0]), pair.south.negotiation(pids[1])
    assert ours.state == theirs.state
    assert ours.policy == theirs.policy or ours.state == "TERMINATED"
    assert nothing_left(pair)

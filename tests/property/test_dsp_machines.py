"""Every state, every message, either sender: only the tables' steps change anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "behaviour" / "dataspace"))

from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims, terms

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import ScriptDecide
from consilium.dataspace.machines import NEGOTIATION, NONE, TRANSFER, check_step, has_reached
from consilium.dataspace.policy import agreement_of
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.store import save
from consilium.dataspace.wire import builders
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import AgreementId

BASE = builders.BASE
N_STATES = sorted(state for state in NEGOTIATION[Role.CONSUMER] if state != NONE)
T_STATES = sorted(state for state in TRANSFER[Role.CONSUMER] if state != NONE)
SUFFIX = {
    "agreement": "AGREED",
    "agreement/verification": "VERIFIED",
    "events/FINALIZED": "FINALIZED",
    "events/ACCEPTED": "ACCEPTED",
    "termination": "TERMINATED",
}
T_SUFFIX = {"start": "STARTED", "completion": "COMPLETED", "termination": "TERMINATED"}


class Both:
    """A finished negotiation and transfer between two hospitals that decide nothing any more."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.north, self.south = space.add("north"), space.add("south")
        self.south.register(terms=terms("north"))
        (listing,) = request_catalog(self.north.connector, self.south.me)
        asked = negotiation.request_agreement(
            self.north.connector, self.south.me, dataset=listing.dataset, offer=listing.offer
        )
        space.settle()
        self.asked = self.north.negotiation(asked.pid)
        agreement = self.north.agreement(self.asked.agreement, role=Role.CONSUMER)
        signed = sign_claims(self.north, study_claims(self.north, self.south, agreement))
        opened = transfer.request_transfer(
            self.north.connector, agreement.id, signed_study=signed, endpoint="grpc://hub:1"
        )
        space.settle()
        self.opened = self.north.transfer(opened.pid)
        for hospital in (self.north, self.south):
            hospital.connector = replace(hospital.connector, decide=ScriptDecide({}))

    def side(self, role: Role) -> tuple[Hospital, Hospital]:
        """Give who holds the process in this role, and the peer."""
        pair = (self.north, self.south)
        return pair if role is Role.CONSUMER else (self.south, self.north)

    def put(self, role: Role, kind: type[Process], state: str) -> Process:
        """Bring one side's process into a state, past every rule."""
        owner, _ = self.side(role)
        ours = self.asked if kind is Negotiation else self.opened
        pid = ours.pid if role is Role.CONSUMER else ours.peer_pid
        process: Process = owner.negotiation(pid) if kind is Negotiation else owner.transfer(pid)
        process = replace(process, state=state)
        with owner.database.write() as tx:
            save(tx, process)
        return process

    def send(self, role: Role, process: Process, suffix: str) -> int:
        """Let the peer of the side in this role send it a message."""
        owner, peer = self.side(role)
        pids = {role: process.pid, role.other: process.peer_pid}
        path, message = self._message(process, suffix)
        message = builders.with_pids(
            message, provider=pids[Role.PROVIDER], consumer=pids[Role.CONSUMER]
        )
        return peer.post(owner, path, message)[0]

    def _message(self, process: Process, suffix: str) -> tuple[str, builders.Document]:
        if isinstance(process, Transfer):
            kind = {
                "start": builders.transfer_start(),
                "completion": builders.transfer_completion(),
                "termination": builders.transfer_termination("x", "y"),
            }[suffix]
            return f"{BASE}/transfers/{process.pid}/{suffix}", kind
        path = f"{BASE}/negotiations/{process.pid}/{suffix.partition('/')[0]}"
        if suffix.startswith("events"):
            event = builders.negotiation_finalized() | {"eventType": suffix.partition("/")[2]}
            return path, event
        if suffix == "agreement":
            self.count = getattr(self, "count", 0) + 1
            agreement = agreement_of(
                process.policy,
                agreement=AgreementId(f"urn:uuid:a{self.count}"),
                assigner=self.south.me,
                assignee=self.north.me,
                timestamp="2026-11-23T08:00:00Z",
            )
            return path, builders.contract_agreement(agreement)
        if suffix == "termination":
            return path, builders.negotiation_termination("x", "y")
        return f"{BASE}/negotiations/{process.pid}/{suffix}", builders.agreement_verification()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    space = Space(tmp_path_factory.mktemp("machines"))
    yield Both(space)
    space.close()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", N_STATES)
@pytest.mark.parametrize("suffix", sorted(SUFFIX))
def test_a_negotiation_takes_only_the_tables_steps(
    both: Both, role: Role, state: str, suffix: str
) -> None:
    process = both.put(role, Negotiation, state)
    owner, _ = both.side(role)
    status = both.send(role, process, suffix)
    after = owner.negotiation(process.pid)
    if SUFFIX[suffix] in NEGOTIATION[role.other][state]:
        assert (status, after.state) == (200, SUFFIX[suffix])
    else:
        assert status == 400
        assert after == process


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", T_STATES)
@pytest.mark.parametrize("suffix", sorted(T_SUFFIX))
def test_a_transfer_takes_only_the_tables_steps(
    both: Both, role: Role, state: str, suffix: str
) -> None:
    process = both.put(role, Transfer, state)
    owner, _ = both.side(role)
    status = both.send(role, process, suffix)
    after = owner.transfer(process.pid)
    if T_SUFFIX[suffix] in TRANSFER[role.other][state]:
        assert (status, after.state) == (200, T_SUFFIX[suffix])
    else:
        assert status == 400
        assert after == process


@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(messages=st.lists(st.tuples(st.sampled_from(list(Role)), st.sampled_from(sorted(SUFFIX)))))
def test_no_sequence_of_messages_leaves_the_tables(
    both: Both, messages: list[tuple[Role, str]]
) -> None:
    for role in Role:
        both.put(role, Negotiation, "REQUESTED")
    for role, suffix in messages:
        owner, _ = both.side(role)
        pid = both.asked.pid if role is Role.CONSUMER else both.asked.peer_pid
        before = owner.negotiation(pid)
        status = both.send(role, before, suffix)
        after = owner.negotiation(pid)
        allowed = NEGOTIATION[role.other][before.state]
        assert after.state == before.state or after.state in allowed
        assert (status == 200) == (after != before)


@pytest.mark.parametrize("machine", [NEGOTIATION, TRANSFER])
def test_check_step_is_the_table_and_nothing_else(
    machine: dict[Role, dict[str, frozenset[str]]],
) -> None:
    states = set(machine[Role.CONSUMER]) | {"NOWHERE"}
    for sender in Role:
        for now in states:
            for to in states:
                allowed = to in machine[sender].get(now, frozenset())
                if allowed:
                    check_step(machine, now, sender=sender, to=to)
                else:
                    with pytest.raises(StateError):
                        check_step(machine, now, sender=sender, to=to)


def test_a_state_is_reached_by_itself_and_by_what_comes_after(both: Both) -> None:
    asked = both.asked
    assert has_reached(asked, "VERIFIED", "AGREED")
    assert has_reached(asked, "AGREED", "AGREED")
    assert not has_reached(asked, "REQUESTED", "AGREED")
    assert not has_reached(asked, "TERMINATED", "AGREED"), "it may have ended before"
    assert has_reached(asked, "TERMINATED", "TERMINATED")
    assert not has_reached(asked, "FINALIZED", "TERMINATED")
    assert has_reached(both.opened, "COMPLETED", "STARTED")

"""Any sequence of messages: only the tables' steps change anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "behaviour" / "dataspace"))

from dataspace_rehearsal import Space
from machine_rehearsal import N_MESSAGES, T_MESSAGES, Both

from consilium.dataspace.machines import (
    NEGOTIATION,
    TRANSFER,
    check_step,
    is_proof,
    outweighs,
)
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.kernel.errors import StateError


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    space = Space(tmp_path_factory.mktemp("machines"))
    yield Both(space)
    space.close()


def messages(names: dict[str, str]) -> st.SearchStrategy[list[tuple[Role, str]]]:
    return st.lists(st.tuples(st.sampled_from(list(Role)), st.sampled_from(sorted(names))))


@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    messages=st.lists(st.tuples(st.sampled_from(list(Role)), st.sampled_from(sorted(N_MESSAGES))))
)
def test_no_sequence_of_messages_leaves_the_tables(
    both: Both, messages: list[tuple[Role, str]]
) -> None:
    for role in Role:
        both.put(role, Negotiation, "REQUESTED")
    for role, suffix in messages:
        owner, _ = both.side(role)
        pid = both.asked.pid if role is Role.CONSUMER else both.asked.peer_pid
        before = owner.negotiation(pid)
        status, _ = both.send(role, before, suffix)
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


@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    messages=st.lists(st.tuples(st.sampled_from(list(Role)), st.sampled_from(sorted(T_MESSAGES))))
)
def test_no_sequence_of_messages_leaves_the_table_of_transfers(
    both: Both, messages: list[tuple[Role, str]]
) -> None:
    for role in Role:
        both.put(role, Transfer, "REQUESTED")
    for role, suffix in messages:
        before = both.find(role, Transfer)
        status, _ = both.send(role, before, suffix)
        after = both.find(role, Transfer)
        allowed = TRANSFER[role.other][before.state]
        assert after.state == before.state or after.state in allowed
        assert (status == 200) == (after != before)


def test_a_peers_state_proves_a_message_only_if_it_could_not_come_there_alone(both: Both) -> None:
    asked, given_ = both.find(Role.CONSUMER, Negotiation), both.find(Role.PROVIDER, Negotiation)
    assert is_proof(asked, "FINALIZED", before="AGREED")
    assert not is_proof(asked, "AGREED", before="AGREED")
    assert is_proof(asked, "REQUESTED", before="OFFERED"), "only we lead back there"
    assert not is_proof(asked, "TERMINATED", before="OFFERED"), "it may have ended alone"
    assert is_proof(given_, "ACCEPTED", before="REQUESTED")
    for now in ("STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"):
        assert not is_proof(both.find(Role.PROVIDER, Transfer), now, before="STARTED")


def test_of_two_steps_at_most_one_is_heavier() -> None:
    states = ["STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"]
    for one in states:
        for other in states:
            assert outweighs(one, other) + outweighs(other, one) == (one != other)

"""Both state machines against the published figures, typed in here a second time.

Every message of the protocol is sent to a process in every state, in either
role, so by either sender. What the figures do not show is refused and changes
nothing; what they show is taken. Then every row of our tables is changed, one
at a time, and the comparison must say so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "behaviour" / "dataspace"))

from dataspace_rehearsal import Space
from machine_rehearsal import BASE, N_MESSAGES, T_MESSAGES, Both

from consilium.dataspace.machines import NEGOTIATION, TRANSFER, Machine, check_step
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.dataspace.store import list_history
from consilium.dataspace.wire import builders
from consilium.kernel.errors import StateError

C, P = Role.CONSUMER, Role.PROVIDER
Steps = set[tuple[Role, str, str]]

NEGOTIATION_FIGURE: Steps = {
    (C, "", "REQUESTED"),
    (P, "", "OFFERED"),
    (P, "REQUESTED", "OFFERED"),
    (P, "REQUESTED", "AGREED"),
    (P, "REQUESTED", "TERMINATED"),
    (C, "REQUESTED", "TERMINATED"),
    (C, "OFFERED", "REQUESTED"),
    (C, "OFFERED", "ACCEPTED"),
    (C, "OFFERED", "TERMINATED"),
    (P, "OFFERED", "TERMINATED"),
    (P, "ACCEPTED", "AGREED"),
    (P, "ACCEPTED", "TERMINATED"),
    (C, "AGREED", "VERIFIED"),
    (C, "AGREED", "TERMINATED"),
    (P, "VERIFIED", "FINALIZED"),
    (P, "VERIFIED", "TERMINATED"),
}
TRANSFER_FIGURE: Steps = {
    (C, "", "REQUESTED"),
    (P, "REQUESTED", "STARTED"),
    (P, "REQUESTED", "TERMINATED"),
    (C, "REQUESTED", "TERMINATED"),
    (P, "STARTED", "SUSPENDED"),
    (C, "STARTED", "SUSPENDED"),
    (P, "STARTED", "COMPLETED"),
    (C, "STARTED", "COMPLETED"),
    (P, "STARTED", "TERMINATED"),
    (C, "STARTED", "TERMINATED"),
    (P, "SUSPENDED", "STARTED"),
    (C, "SUSPENDED", "STARTED"),
    (P, "SUSPENDED", "TERMINATED"),
    (C, "SUSPENDED", "TERMINATED"),
}
N_STATES = ["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"]
T_STATES = ["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"]
MACHINES = [
    (NEGOTIATION, NEGOTIATION_FIGURE, N_STATES),
    (TRANSFER, TRANSFER_FIGURE, T_STATES),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    space = Space(tmp_path_factory.mktemp("machines"))
    yield Both(space)
    space.close()


def differences(machine: Machine, figure: Steps, states: list[str]) -> Steps:
    """Ask the rule about every step there could be; give those that the figure sees otherwise."""
    return {
        (sender, now, to)
        for sender in Role
        for now in ["", *states]
        for to in states
        if _is_allowed(machine, now, sender, to) != ((sender, now, to) in figure)
    }


def _is_allowed(machine: Machine, now: str, sender: Role, to: str) -> bool:
    try:
        check_step(machine, now, sender=sender, to=to)
    except StateError:
        return False
    return True


def changed(machine: Machine, states: list[str]) -> Iterator[tuple[Machine, Steps]]:
    """Change one row of a table by one target; give the table and what was changed."""
    for sender in Role:
        for now in ["", *states]:
            for to in states:
                row = machine[sender][now] ^ {to}
                rows = {**machine[sender], now: frozenset(row)}
                yield {**machine, sender: rows}, {(sender, now, to)}


@pytest.mark.parametrize(("machine", "figure", "states"), MACHINES)
def test_the_tables_are_the_figures(machine: Machine, figure: Steps, states: list[str]) -> None:
    assert differences(machine, figure, states) == set()


@pytest.mark.parametrize(("machine", "figure", "states"), MACHINES)
def test_no_row_of_a_table_can_change_unnoticed(
    machine: Machine, figure: Steps, states: list[str]
) -> None:
    tables = list(changed(machine, states))
    assert len(tables) == 2 * (len(states) + 1) * len(states)
    for table, expected in tables:
        assert differences(table, figure, states) == expected


def test_a_row_that_is_missing_is_noticed() -> None:
    for machine, figure, states in MACHINES:
        for sender in Role:
            for now in [row for row, ends in machine[sender].items() if ends]:
                rows = {row: ends for row, ends in machine[sender].items() if row != now}
                assert differences({**machine, sender: rows}, figure, states)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", N_STATES)
@pytest.mark.parametrize("name", N_MESSAGES)
def test_a_negotiation_takes_what_the_figure_shows_and_nothing_else(
    both: Both, role: Role, state: str, name: str
) -> None:
    _check(both, role, Negotiation, state, name)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", T_STATES)
@pytest.mark.parametrize("name", T_MESSAGES)
def test_a_transfer_takes_what_the_figure_shows_and_nothing_else(
    both: Both, role: Role, state: str, name: str
) -> None:
    _check(both, role, Transfer, state, name)


def _check(both: Both, role: Role, kind: Any, state: str, name: str) -> None:
    is_negotiation = kind is Negotiation
    to = (N_MESSAGES if is_negotiation else T_MESSAGES)[name]
    figure = NEGOTIATION_FIGURE if is_negotiation else TRANSFER_FIGURE
    process = both.put(role, kind, state)
    before = _steps(both, role, process.pid)
    status, told = both.send(role, process, name)
    after = both.find(role, kind)
    if (role.other, state, to) in figure:
        assert (status, after.state, told["state"]) == (200, to, to)
        assert _steps(both, role, process.pid) == before + 1
        return
    assert status == 400
    assert told["@type"] == ("ContractNegotiationError" if is_negotiation else "TransferError")
    assert told["code"] == "dataspace.bad_step"
    assert {told["providerPid"], told["consumerPid"]} == {process.pid, process.peer_pid}
    assert after == process
    assert _steps(both, role, process.pid) == before


def _steps(both: Both, role: Role, pid: Any) -> int:
    owner, _ = both.side(role)
    with owner.database.read() as connection:
        return len(list_history(connection, pid))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("kind", "name"),
    [*((Negotiation, one) for one in N_MESSAGES), *((Transfer, one) for one in T_MESSAGES)],
)
def test_before_the_first_message_there_is_nothing_to_step(
    both: Both, role: Role, kind: Any, name: str
) -> None:
    process = both.find(role, kind)
    nobody = replace(process, pid=type(process.pid)("urn:uuid:nobody"))
    status, told = both.send(role, nobody, name)
    assert (status, told["code"]) == (404, "dataspace.no_process")
    assert both.find(role, kind) == process


@pytest.mark.parametrize("role", list(Role))
def test_a_transfer_is_never_opened_by_the_provider(both: Both, role: Role) -> None:
    """The table has one opening message for transfers; sent by the provider it finds nothing."""
    owner, peer = both.side(role)
    message = builders.transfer_request(
        "urn:uuid:new",
        agreement=both.asked.agreement,
        callback="https://x/cb",
        address=builders.data_address("grpc://hub:1", {}),
        study="a.b.c",
    )
    status, told = peer.post(owner, f"{BASE}/transfers/request", message)
    assert status in {400, 404}
    assert told["@type"] == "TransferError"
    if role is C:
        assert (status, told["code"]) == (404, "dataspace.no_agreement")

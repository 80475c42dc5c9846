"""The protocol's two state machines, as tables: who may move a process from where to where.

A row is read: a participant in this role, with the process in this state, may
send the message that brings it into one of these states (Dataspace Protocol
2025-1, contract negotiation and transfer process). Handlers ask `check_step`
before anything else; there is no other rule about states.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from consilium.dataspace.records import Negotiation, Process, Role
from consilium.kernel.errors import StateError

Machine = Mapping[Role, Mapping[str, frozenset[str]]]

NONE = ""
"""Before the first message."""
REQUESTED = "REQUESTED"
OFFERED = "OFFERED"
ACCEPTED = "ACCEPTED"
AGREED = "AGREED"
VERIFIED = "VERIFIED"
FINALIZED = "FINALIZED"
STARTED = "STARTED"
SUSPENDED = "SUSPENDED"
COMPLETED = "COMPLETED"
TERMINATED = "TERMINATED"

TERMINAL = frozenset({FINALIZED, COMPLETED, TERMINATED})


def _to(*states: str) -> frozenset[str]:
    return frozenset(states)


NEGOTIATION: Machine = {
    Role.CONSUMER: {
        NONE: _to(REQUESTED),
        REQUESTED: _to(TERMINATED),
        OFFERED: _to(REQUESTED, ACCEPTED, TERMINATED),
        ACCEPTED: _to(),
        AGREED: _to(VERIFIED, TERMINATED),
        VERIFIED: _to(),
        FINALIZED: _to(),
        TERMINATED: _to(),
    },
    Role.PROVIDER: {
        NONE: _to(OFFERED),
        REQUESTED: _to(OFFERED, AGREED, TERMINATED),
        OFFERED: _to(TERMINATED),
        ACCEPTED: _to(AGREED, TERMINATED),
        AGREED: _to(),
        VERIFIED: _to(FINALIZED, TERMINATED),
        FINALIZED: _to(),
        TERMINATED: _to(),
    },
}

TRANSFER: Machine = {
    Role.CONSUMER: {
        NONE: _to(REQUESTED),
        REQUESTED: _to(TERMINATED),
        STARTED: _to(COMPLETED, SUSPENDED, TERMINATED),
        SUSPENDED: _to(STARTED, TERMINATED),
        COMPLETED: _to(),
        TERMINATED: _to(),
    },
    Role.PROVIDER: {
        NONE: _to(),
        REQUESTED: _to(STARTED, TERMINATED),
        STARTED: _to(COMPLETED, SUSPENDED, TERMINATED),
        SUSPENDED: _to(STARTED, TERMINATED),
        COMPLETED: _to(),
        TERMINATED: _to(),
    },
}


def machine_of(process: Process) -> Machine:
    """Return the table that this process follows."""
    return NEGOTIATION if isinstance(process, Negotiation) else TRANSFER


def check_step(machine: Machine, now: str, *, sender: Role, to: str) -> None:
    """Return if `sender` may bring a process from state `now` to state `to`.

    Raises
    ------
    StateError
        `dataspace.bad_step`; nothing has changed.
    """
    if to not in machine[sender].get(now, frozenset()):
        raise StateError("dataspace.bad_step", now=now or "none", wanted=to, sender=sender.value)


def has_reached(process: Process, now: str, wanted: str) -> bool:
    """Tell whether a process in state `now` must have been in state `wanted`.

    A sender that is unsure whether its message arrived asks for the peer's
    state and compares. Termination leaves that open, so it counts only for
    itself.
    """
    if TERMINATED in {now, wanted}:
        return now == wanted
    return now in _after(isinstance(process, Negotiation), wanted)


@cache
def _after(is_negotiation: bool, start: str) -> frozenset[str]:
    machine = NEGOTIATION if is_negotiation else TRANSFER
    found, open_ends = {start}, [start]
    while open_ends:
        now = open_ends.pop()
        new = {to for steps in machine.values() for to in steps.get(now, frozenset())} - found
        found |= new
        open_ends.extend(new)
    return frozenset(found)

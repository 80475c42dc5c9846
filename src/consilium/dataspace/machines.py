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

_WEIGHT = {TERMINATED: 3, COMPLETED: 2, SUSPENDED: 1}
"""What ends or pauses is heavier than what goes on."""


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


def outweighs(one: str, other: str) -> bool:
    """Tell which of two steps stands when both sides moved a process at once.

    Both sides compare the same two states, so both come to the same answer.
    """
    return _WEIGHT.get(one, 0) > _WEIGHT.get(other, 0)


def is_proof(process: Process, now: str, *, before: str) -> bool:
    """Tell whether the peer, being in state `now`, must have taken our message.

    That is so if it could not have come there from `before` on its own. A
    sender that is unsure whether its message arrived asks for the peer's state
    and compares. In a circle of states (requested and offered, started and
    suspended) this proves little; there the message's number tells.
    """
    return now not in _alone(isinstance(process, Negotiation), process.role.other, before)


@cache
def _alone(is_negotiation: bool, who: Role, start: str) -> frozenset[str]:
    """Give the states that a side reaches from `start` without the other."""
    steps = (NEGOTIATION if is_negotiation else TRANSFER)[who]
    found, open_ends = {start}, [start]
    while open_ends:
        new = steps.get(open_ends.pop(), frozenset()) - found
        found |= new
        open_ends.extend(new)
    return frozenset(found)

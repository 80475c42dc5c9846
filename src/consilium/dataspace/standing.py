"""Where a process stands, in words: whose step is next, and why nothing moves.

A negotiation that is stuck is the most frequent question to any connector, and
its answer lies in three places: the state machine, the outbox, and the last
refusal. This page puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from consilium.dataspace.machines import REQUESTED, STARTED, SUSPENDED, TERMINAL
from consilium.dataspace.negotiation import has_next
from consilium.dataspace.records import Moved, Negotiation, Process, Role, Transfer, Undelivered
from consilium.dataspace.store import list_history, list_undelivered


class WaitsFor(StrEnum):
    """What has to happen next."""

    DELIVERY = "delivery"
    US = "us"
    PEER = "peer"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A process with what led to it and what it waits for.

    `undelivered` are our messages that have not reached the peer, each with the
    last error, how often it was tried and when it is tried next.
    """

    process: Process
    waits_for: WaitsFor
    history: tuple[Moved, ...]
    undelivered: tuple[Undelivered, ...]


def describe_standing(connection: Connection, process: Process) -> Standing:
    """Say where a process stands and what it waits for.

    Discloses
    ---------
    Nothing; it is for our own people.
    """
    undelivered = tuple(list_undelivered(connection, process.pid))
    return Standing(
        process=process,
        waits_for=WaitsFor.DELIVERY if undelivered else _waits_for(process),
        history=tuple(list_history(connection, process.pid)),
        undelivered=undelivered,
    )


def _waits_for(process: Process) -> WaitsFor:
    if process.state in TERMINAL or process.state == STARTED:
        return WaitsFor.NOTHING
    is_ours = has_next(process) if isinstance(process, Negotiation) else _is_our_turn(process)
    return WaitsFor.US if is_ours else WaitsFor.PEER


def _is_our_turn(process: Transfer) -> bool:
    if process.state == SUSPENDED:
        return process.holder == process.role
    return process.state == REQUESTED and process.role is Role.PROVIDER

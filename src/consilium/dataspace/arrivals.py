"""What to make of a peer's message: whose process it is about, and whether it is news.

Messages may come twice: an answer was lost, or somebody in between kept a copy.
And both sides may move a process at the same time. A message's own number tells
the first, its count of our messages the second:

1. A number that we have taken already: nothing more happens.
2. The peer had not seen our last message, and that is still on its way: our
   steps crossed. The heavier one stands on both sides (`machines.outweighs`);
   the lighter one is taken back by its sender.
3. The peer had not seen our last message, but has taken it since: the message
   is a late copy of one that it has taken back.

A peer of another house does not number its messages; then the tables alone decide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Connection, Row, delete, select

from consilium.dataspace.machines import NONE, SUSPENDED, is_proof, outweighs
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.steps import take_back
from consilium.dataspace.store import find_process, get_agreement, save
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire.messages import Addressed, Numbered
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, StateError
from consilium.kernel.identifiers import ParticipantId, ProcessId
from consilium.ledger.database import Transaction

P = TypeVar("P", bound=Negotiation | Transfer)


class CrossedError(StateError):
    """Our own message is on its way to the peer, and outweighs the peer's."""

    http_status: ClassVar[int] = 425


def get_peers_process(
    connection: Connection,
    kind: type[P],
    pid: str,
    *,
    by: Caller,
    message: Addressed | None = None,
) -> P:
    """Return a process of ours that the caller takes part in, under the key it agreed with.

    Parameters
    ----------
    message : Addressed, optional
        Names both sides' numbers; the peer's is learnt from it if it was not
        known yet.

    Raises
    ------
    NotFoundError
        `dataspace.no_process` also if it belongs to others.
    IntegrityError
        `dataspace.key_changed`.
    InputError
        `dataspace.wrong_pid`.
    """
    process = find_process(connection, kind, pid)
    if process is None or process.peer != by.participant:
        raise NotFoundError("dataspace.no_process", pid=pid)
    check_pinned(by.participant, shown=by.key.text, pinned=_pinned_key(connection, process))
    if message is None:
        return process
    pids = {Role.PROVIDER: message.provider_pid, Role.CONSUMER: message.consumer_pid}
    theirs = pids[process.role.other]
    if pids[process.role] != process.pid or process.peer_pid not in ("", theirs):
        raise InputError("dataspace.wrong_pid", pid=pid)
    return replace(process, peer_pid=ProcessId(theirs))


def admit_message(tx: Transaction, process: P, message: Numbered, *, to: str) -> P | None:
    """Return the process as the peer's message finds it, or None if it is no news.

    What crossed it and is lighter has been taken back in what is returned. The
    step itself is still to be taken.

    Parameters
    ----------
    to : str
        The state that the message asks for.

    Raises
    ------
    CrossedError
        `dataspace.crossed`: ours stands, and is on its way.
    """
    if 0 < message.number <= process.taken:
        return None  # 1
    _acknowledge(tx, process, message, to=to)
    if message.number:
        if message.seen < process.sent:
            return _uncross(tx, process, message, to=to)
        process = replace(process, taken=message.number)
    return process


def _acknowledge(tx: Transaction, process: Process, message: Numbered, *, to: str) -> None:
    """Take out of the outbox what this message shows to have arrived."""
    for row in _waiting(tx, process):
        if message.number:
            arrived = row.number <= message.seen
        else:
            arrived = row.before == NONE or is_proof(process, to, before=row.before)
        if arrived:
            tx.execute(delete(OUTBOX).where(OUTBOX.c.id == row.id))


def _uncross(tx: Transaction, process: P, message: Numbered, *, to: str) -> P | None:
    if process.state == to:
        _keep(tx, process, message)
        return None
    waiting = _waiting(tx, process)
    if not waiting:
        return None  # 3
    if not outweighs(to, process.state):
        raise CrossedError("dataspace.crossed", now=process.state, wanted=to)
    first = waiting[0]  # 2
    process = take_back(
        tx, process, before=first.before, number=first.number, code="dataspace.crossed"
    )
    if process.state == to:
        _keep(tx, process, message)
        return None
    return replace(process, taken=message.number)


def _keep(tx: Transaction, process: Process, message: Numbered) -> None:
    """Both sides have taken the same step; of two holds the provider's counts."""
    kept = replace(process, taken=message.number)
    if isinstance(kept, Transfer) and kept.state == SUSPENDED:
        kept = replace(kept, holder=Role.PROVIDER.value)
    save(tx, kept)


def _waiting(tx: Transaction, process: Process) -> list[Row[Any]]:
    query = select(OUTBOX).where(OUTBOX.c.process == process.pid).order_by(OUTBOX.c.id)
    return list(tx.execute(query))


def check_pinned(peer: ParticipantId, *, shown: str, pinned: str) -> None:
    """Return if a participant shows the key that it agreed with.

    Raises
    ------
    IntegrityError
        `dataspace.key_changed`.
    """
    if shown != pinned:
        raise IntegrityError("dataspace.key_changed", peer=peer)


def _pinned_key(connection: Connection, process: Process) -> str:
    if isinstance(process, Negotiation):
        return process.peer_key
    agreement = get_agreement(connection, process.agreement, role=process.role)
    is_consumer = process.role is Role.CONSUMER
    return agreement.provider_key if is_consumer else agreement.consumer_key

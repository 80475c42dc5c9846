"""Taking one step of a process: state, evidence and message in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, insert

from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import (
    ACCEPTED,
    AGREED,
    COMPLETED,
    FINALIZED,
    NONE,
    OFFERED,
    REQUESTED,
    STARTED,
    SUSPENDED,
    TERMINAL,
    TERMINATED,
    VERIFIED,
    check_step,
    machine_of,
)
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.store import add, find_process, get_agreement, save
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.canonical import canonical_bytes, digest_json
from consilium.kernel.clock import write_time
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import ParticipantId, ProcessId
from consilium.ledger.database import Transaction

P = TypeVar("P", bound=Negotiation | Transfer)

NOTICE = "Notice"
"""Kind of an outbox row that belongs to no process; its `wanted` names who is to have it."""

_EVIDENCE = {
    (Negotiation, REQUESTED): "negotiation.requested",
    (Negotiation, OFFERED): "negotiation.offered",
    (Negotiation, ACCEPTED): "negotiation.accepted",
    (Negotiation, AGREED): "agreement.agreed",
    (Negotiation, VERIFIED): "agreement.verified",
    (Negotiation, FINALIZED): "agreement.finalized",
    (Negotiation, TERMINATED): "negotiation.terminated",
    (Transfer, REQUESTED): "transfer.requested",
    (Transfer, STARTED): "transfer.started",
    (Transfer, SUSPENDED): "transfer.suspended",
    (Transfer, COMPLETED): "transfer.completed",
    (Transfer, TERMINATED): "transfer.terminated",
}


def begin(tx: Transaction, process: P, *, connector: Connector, by: Caller | None = None) -> P:
    """Write a process that has just been requested, with its evidence.

    `by` is the peer whose request opened it, None if it is ours.
    """
    sender = process.role if by is None else process.role.other
    check_step(machine_of(process), NONE, sender=sender, to=process.state)
    add(tx, process)
    _record(tx, process, by=by)
    tx.after_commit(connector.bell.ring)
    return process


def step(
    tx: Transaction,
    process: P,
    to: str,
    *,
    connector: Connector,
    by: Caller | None = None,
    **changes: Any,
) -> P:
    """Bring a process into its next state, if the sender may, with its evidence.

    Parameters
    ----------
    to : str
        The state to reach.
    by : Caller, optional
        The peer whose message asks for the step; None if it is ours.
    **changes : Any
        Other fields of the record that change with the state.

    Raises
    ------
    StateError
        `dataspace.bad_step`; nothing has changed.
    """
    sender = process.role if by is None else process.role.other
    check_step(machine_of(process), process.state, sender=sender, to=to)
    if by is not None and to == TERMINATED:
        tx.execute(delete(OUTBOX).where(OUTBOX.c.process == process.pid))
    return _move(tx, process, to, connector=connector, by=by, **changes)


def abandon(tx: Transaction, process: P, *, connector: Connector, code: str, reason: str) -> P:
    """Give a process up without a message: the peer cannot be told, or has told us.

    This is not a step of the protocol but its absence, so the tables are not
    asked. A process that has ended already keeps its state.
    """
    tx.execute(delete(OUTBOX).where(OUTBOX.c.process == process.pid))
    facts = {"code": code, "reason": reason, "peer": process.peer, "state": process.state}
    tx.record("process.abandoned", process.pid, facts)
    if process.state in TERMINAL:
        return process
    return _move(tx, process, TERMINATED, connector=connector, code=code, reason=reason)


def post(
    tx: Transaction,
    process: Process,
    path: str,
    message: dict[str, Any],
    *,
    connector: Connector,
) -> None:
    """Put a message into the outbox, in the transaction that decided on it.

    Parameters
    ----------
    path : str
        Below the protocol's base; `{peer}` stands for the peer's number of the
        process, which is filled in when the message is sent.
    """
    now = connector.clock.now()
    row = {
        "process": process.pid,
        "kind": type(process).__name__,
        "path": path,
        "message": canonical_bytes(message).decode("utf-8"),
        "wanted": process.state,
        "tries": 0,
        "due": write_time(now),
        "deadline": write_time(now + timedelta(seconds=connector.settings.patience_s)),
    }
    tx.execute(insert(OUTBOX).values(row))


def post_notice(
    tx: Transaction,
    queue: str,
    message: dict[str, Any],
    *,
    to: ParticipantId,
    path: str,
    connector: Connector,
) -> None:
    """Put a message that belongs to no process into the outbox, in the transaction that decided it.

    It is tried for `notice_patience_s`, in the order of its own queue.

    Parameters
    ----------
    path : str
        The whole path below the receiver's root.
    """
    now = connector.clock.now()
    row = {
        "process": queue,
        "kind": NOTICE,
        "path": path,
        "message": canonical_bytes(message).decode("utf-8"),
        "wanted": to,
        "tries": 0,
        "due": write_time(now),
        "deadline": write_time(now + timedelta(seconds=connector.settings.notice_patience_s)),
    }
    tx.execute(insert(OUTBOX).values(row))
    tx.after_commit(connector.bell.ring)


def get_peers_process(
    connection: Connection,
    kind: type[P],
    pid: str,
    *,
    by: Caller,
    pids: dict[Role, str] | None = None,
) -> P:
    """Return a process of ours that the caller takes part in, under the key it agreed with.

    Parameters
    ----------
    pids : dict of Role to str, optional
        The numbers that the message names; the peer's is learnt from it if it
        was not known yet.

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
    if pids is None:
        return process
    theirs = pids[process.role.other]
    if pids[process.role] != process.pid or process.peer_pid not in ("", theirs):
        raise InputError("dataspace.wrong_pid", pid=pid)
    return replace(process, peer_pid=ProcessId(theirs))


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


def _move(
    tx: Transaction,
    process: P,
    to: str,
    *,
    connector: Connector,
    by: Caller | None = None,
    **changes: Any,
) -> P:
    now = write_time(connector.clock.now())
    moved = replace(process, state=to, updated=now, **changes)
    save(tx, moved)
    _record(tx, moved, by=by)
    tx.after_commit(connector.bell.ring)
    return moved


def _record(tx: Transaction, process: Process, *, by: Caller | None) -> None:
    subject = process.pid
    facts = {"pid": process.pid, "role": process.role.value, "peer": process.peer}
    if isinstance(process, Negotiation):
        subject = ProcessId(process.agreement or process.pid)
        facts |= {"dataset": process.dataset, "policy": digest_json(process.policy)}
    else:
        facts |= {"agreement": process.agreement, "study": process.study}
        facts["study_digest"] = process.study_digest
    if process.code:
        facts |= {"code": process.code, "reason": process.reason}
    if by is not None:
        facts["signed_by_peer"] = by.token
    tx.record(_EVIDENCE[type(process), process.state], subject, facts)

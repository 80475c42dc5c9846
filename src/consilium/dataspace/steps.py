"""Taking one step of a process: state, evidence, history and message in one transaction.

Each of our messages has a number within its process and says how many of the
peer's messages we had taken when we decided on it. So a message that comes
twice is known, and steps that crossed on the way are noticed (`arrivals`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import delete, exists, insert, select

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
from consilium.dataspace.records import Moved, Negotiation, Process, Role, Transfer
from consilium.dataspace.store import add, add_moved, save
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.canonical import canonical_bytes, digest_json
from consilium.kernel.clock import write_time
from consilium.kernel.errors import StateError
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


_WITH_OFFER = frozenset({REQUESTED, OFFERED, AGREED})


def begin(tx: Transaction, process: P, *, connector: Connector, by: Caller | None = None) -> P:
    """Write a process that has just been opened, with its evidence.

    `by` is the peer whose message opened it, None if it is ours.
    """
    sender = process.role if by is None else process.role.other
    check_step(machine_of(process), NONE, sender=sender, to=process.state)
    ours = int(by is None)
    process = replace(process, sent=ours, taken=1 - ours)
    add(tx, process)
    _record(tx, process, before=None, by=by)
    tx.after_commit(partial(connector.bell.ring, process.pid))
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

    A step of ours waits until the one before has reached the peer; only a
    termination takes its place.

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
        `dataspace.bad_step`, `dataspace.under_way`; nothing has changed.
    """
    sender = process.role if by is None else process.role.other
    check_step(machine_of(process), process.state, sender=sender, to=to)
    if to == TERMINATED:
        _drop_messages(tx, process, all_of_them=by is not None)
    elif by is None and has_messages(tx, process):
        raise StateError("dataspace.under_way", now=process.state, wanted=to)
    if by is None:
        changes["sent"] = process.sent + 1
    return _move(tx, process, to, connector=connector, by=by, **changes)


def abandon(tx: Transaction, process: P, *, connector: Connector, code: str, reason: str) -> P:
    """Give a process up without a message: the peer cannot be told, or has told us.

    This is not a step of the protocol but its absence, so the tables are not
    asked. A process that has ended already keeps its state.
    """
    _drop_messages(tx, process, all_of_them=True)
    facts = {"code": code, "reason": reason, "peer": process.peer, "state": process.state}
    tx.record("process.abandoned", process.pid, facts)
    if process.state in TERMINAL:
        return process
    return _move(tx, process, TERMINATED, connector=connector, code=code, reason=reason)


def take_back(tx: Transaction, process: P, *, before: str, number: int, code: str) -> P:
    """Undo our last step, which the peer has not taken and will not take.

    Parameters
    ----------
    before : str
        The state that our message led out of.
    number : int
        The message's number; the next one of ours bears it.
    code : str
        Why: the peer's refusal, or `dataspace.crossed`.
    """
    later = (OUTBOX.c.process == process.pid) & (OUTBOX.c.number >= number)
    tx.execute(delete(OUTBOX).where(later))
    facts = {"code": code, "peer": process.peer, "from": process.state, "to": before}
    tx.record("process.taken_back", process.pid, facts)
    undone = replace(process, state=before, sent=number - 1)
    if isinstance(undone, Transfer) and before == SUSPENDED:
        held_by = undone.role.other if code == "dataspace.held" else undone.role
        undone = replace(undone, holder=held_by.value)
    save(tx, undone)
    _remember(tx, undone, sender=process.role, code=code, policy=None)
    return undone


def post(
    tx: Transaction,
    process: Process,
    path: str,
    message: dict[str, Any],
    *,
    connector: Connector,
    before: str,
) -> None:
    """Put a message into the outbox, in the transaction that decided on it.

    Parameters
    ----------
    path : str
        Below the protocol's base; `{peer}` stands for the peer's number of the
        process, which is filled in when the message is sent.
    before : str
        The state that it leads out of.
    """
    now = connector.clock.now()
    numbered = {**message, "consilium:number": process.sent, "consilium:seen": process.taken}
    row = {
        "process": process.pid,
        "kind": type(process).__name__,
        "path": path,
        "message": canonical_bytes(numbered).decode("utf-8"),
        "wanted": process.state,
        "tries": 0,
        "due": write_time(now),
        "deadline": write_time(now + timedelta(seconds=connector.settings.patience_s)),
        "number": process.sent,
        "before": before,
        "error": "",
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
        "number": 0,
        "before": NONE,
        "error": "",
    }
    tx.execute(insert(OUTBOX).values(row))
    tx.after_commit(connector.bell.ring)


def has_messages(tx: Transaction, process: Process) -> bool:
    """Tell whether a message of ours has not reached the peer yet, as far as we know."""
    waiting = exists().where(OUTBOX.c.process == process.pid)
    return bool(tx.execute(select(waiting)).scalar_one())


def _drop_messages(tx: Transaction, process: Process, *, all_of_them: bool) -> None:
    """Drop messages that no longer matter; the one that opened the process still may."""
    dropped = OUTBOX.c.process == process.pid
    if not all_of_them:
        dropped &= OUTBOX.c.before != NONE
    tx.execute(delete(OUTBOX).where(dropped))


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
    _record(tx, moved, before=process, by=by)
    tx.after_commit(partial(connector.bell.ring, moved.pid))
    return moved


def _record(
    tx: Transaction, process: Process, *, before: Process | None, by: Caller | None
) -> None:
    sender = process.role if by is None else process.role.other
    subject = process.pid
    facts = {"pid": process.pid, "role": process.role.value, "peer": process.peer}
    if isinstance(process, Negotiation):
        subject = ProcessId(process.agreement or process.pid)
        facts |= {"dataset": process.dataset, "policy": digest_json(process.policy)}
        facts |= _offer_facts(process, before, sender)
    else:
        facts |= {"agreement": process.agreement, "study": process.study}
        facts["study_digest"] = process.study_digest
        if process.holder:
            facts["holder"] = process.holder
    if process.code:
        facts |= {"code": process.code, "reason": process.reason}
    if by is not None:
        facts["signed_by_peer"] = by.token
    tx.record(_EVIDENCE[type(process), process.state], subject, facts)
    has_offer = process.state in _WITH_OFFER
    policy = process.policy if isinstance(process, Negotiation) and has_offer else None
    _remember(tx, process, sender=sender, code=process.code, policy=policy)


def _offer_facts(process: Negotiation, before: Process | None, sender: Role) -> dict[str, str]:
    """Say which offer a step makes, whose it is, and which offer it answers."""
    if process.state not in {REQUESTED, OFFERED}:
        return {}
    facts = {"offer": str(process.offer), "offered_by": sender.value}
    if isinstance(before, Negotiation):
        facts["answers"] = digest_json(before.policy)
    return facts


def _remember(
    tx: Transaction, process: Process, *, sender: Role, code: str, policy: dict[str, Any] | None
) -> None:
    moved = Moved(
        state=process.state,
        sender=sender,
        policy=policy,
        code=code,
        reason=process.reason,
        at=process.updated,
    )
    add_moved(tx, process.pid, moved)

"""The outbox: messages that were decided on are delivered, whatever happens in between.

A message is written in the transaction of the state it tells of. Senders take
the first message of each process in turn and keep it until the peer itself has
answered, so a crash at any moment costs a repetition and never a message. A peer
of this house knows a repetition by its number and answers it like the first.
When a peer refuses a message, we ask it for its state: if it is there already,
or could not have come there without us, an earlier try had arrived.

Plan for each message: (1) send it, signed anew; (2) delivered: take it out;
(3) no answer, or not now: wait, longer each time; (4) refused: compare states;
take the message out, or take the step back and end the process with the peer's
reason; only a wish to resume is taken back and no more; (5) too late: give the
process up. A notice belongs to no process: whatever its receiver answers
under its signature settles it.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import quote

from sqlalchemy import Row, delete, func, select, update

from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import NONE, TERMINATED, is_proof
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.refusals import settle_refusal
from consilium.dataspace.steps import NOTICE, abandon
from consilium.dataspace.store import find_process, save
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire.builders import BASE, with_pids
from consilium.kernel.canonical import digest_json, read_json
from consilium.kernel.clock import read_time, write_time
from consilium.kernel.errors import ConsiliumError, PeerError
from consilium.kernel.identifiers import ParticipantId, ProcessId
from consilium.ledger.database import Transaction

LOG = logging.getLogger(__name__)

_KINDS: dict[str, type[Negotiation] | type[Transfer]] = {
    "Negotiation": Negotiation,
    "Transfer": Transfer,
}
_STATE_PATH = {Negotiation: "/negotiations/{peer}", Transfer: "/transfers/{peer}"}
_LATER = frozenset({401, 403, 408, 425, 429})
"""Signed refusals that time can cure: a clock, a member list, a person's look at a key."""
_IDLE_S = 5.0
_OPENED = {Role.CONSUMER: "providerPid", Role.PROVIDER: "consumerPid"}
"""Where the answer to our opening message names the peer's number, by our role."""


class _End(StrEnum):
    """What came of one try."""

    DELIVERED = "delivered"
    LATER = "later"
    REFUSED = "refused"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class _Answer:
    end: _End
    peer_pid: str = ""
    code: str = ""
    reason: str = ""


class Outbox:
    """Delivers what stands in the outbox table, each process in order.

    Parameters
    ----------
    connector : Connector
        Whose outbox it is. Its bell wakes the senders at each commit.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._busy: set[str] = set()
        self._rest: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dataspace-outbox", daemon=True)
        self._pool = ThreadPoolExecutor(
            max_workers=connector.settings.senders, thread_name_prefix="dataspace-sender"
        )

    def start(self) -> None:
        """Deliver in the background until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the messages that are under way and deliver no more."""
        self._stopping.set()
        self._connector.bell.ring()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def deliver_due(self) -> int:
        """Try the first message of each process that is due, one by one; return how many."""
        rows = self._due()
        for row in rows:
            self._deliver(row)
        return len(rows)

    def _run(self) -> None:
        while not self._stopping.is_set():
            rung = self._connector.bell.rung
            try:
                self._send_due()
                pause_s = self._pause_s()
            except ConsiliumError as error:
                LOG.warning("the outbox cannot be read: %s", error.public)
                pause_s = _IDLE_S
            self._connector.bell.wait(rung, timeout_s=pause_s)

    def _send_due(self) -> None:
        for row in self._due():
            rested = time.monotonic() >= self._rest.get(row.process, 0.0)
            if rested and row.process not in self._busy:
                self._busy.add(row.process)
                sent = self._pool.submit(self._deliver, row)
                sent.add_done_callback(partial(self._finish, row.process))

    def _finish(self, process: str, sent: Future[None]) -> None:
        """Let the next message of a process go; after a fault of ours, only after a rest."""
        if not sent.cancelled() and (fault := sent.exception()) is not None:
            LOG.error("a message of %s could not be handled", process, exc_info=fault)
            self._rest[process] = time.monotonic() + self._connector.settings.longest_wait_s
        self._busy.discard(process)
        self._connector.bell.ring()

    def _due(self) -> list[Row[Any]]:
        """Find the first message of each process, if its time has come."""
        first = select(func.min(OUTBOX.c.id)).group_by(OUTBOX.c.process)
        now = write_time(self._connector.clock.now())
        query = select(OUTBOX).where(OUTBOX.c.id.in_(first), OUTBOX.c.due <= now)
        with self._connector.database.read() as connection:
            return list(connection.execute(query.order_by(OUTBOX.c.id)))

    def _pause_s(self) -> float:
        """Say how long nothing is due."""
        now = write_time(self._connector.clock.now())
        query = select(func.min(OUTBOX.c.due)).where(OUTBOX.c.due > now)
        with self._connector.database.read() as connection:
            due = connection.execute(query).scalar_one()
        if due is None:
            return _IDLE_S
        wait = read_time(due) - self._connector.clock.now()
        return min(max(wait.total_seconds(), 0.01), _IDLE_S)

    def _deliver(self, row: Row[Any]) -> None:
        if row.kind == NOTICE:
            self._deliver_notice(row)
            return
        with self._connector.database.read() as connection:
            process = find_process(connection, _KINDS[row.kind], row.process)
        if process is None:
            return
        try:
            answer = _try(self._connector, row, process)
        except ConsiliumError as error:
            LOG.info("%s: %s", process.pid, error.public)
            may_retry = not isinstance(error, PeerError) or error.retryable
            end = _End.LATER if may_retry else _End.OVER
            answer = _Answer(end, code=error.code)
        self._settle(row, answer)

    def _deliver_notice(self, row: Row[Any]) -> None:
        """Send a message that belongs to no process; a signed answer settles it either way."""
        connector, peer = self._connector, ParticipantId(row.wanted)
        message: Any = read_json(row.message)
        try:
            status, reply = connector.client.post(peer, row.path, message)
            code = str(reply.get("code", status))[:80]
            settled = status not in _LATER and status < 500
            answered = "delivered" if 200 <= status < 300 else "refused"
        except ConsiliumError as error:
            LOG.info("%s: %s", row.process, error.public)
            code, settled, answered = error.code, False, "abandoned"
        with connector.database.write() as tx:
            still = select(OUTBOX.c.id).where(OUTBOX.c.id == row.id)
            if tx.execute(still).first() is None:
                return
            tx.after_commit(connector.bell.ring)
            if not settled and read_time(row.deadline) > connector.clock.now():
                self._postpone(tx, row, _Answer(_End.LATER, code=code))
                return
            tx.execute(delete(OUTBOX).where(OUTBOX.c.id == row.id))
            facts = {"peer": peer, "path": row.path, "message": digest_json(message)}
            facts |= {} if answered == "delivered" else {"code": code}
            tx.record(f"notice.{answered}", row.process, facts)

    def _settle(self, row: Row[Any], answer: _Answer) -> None:
        """Write down what came of a try; whatever changed meanwhile is respected."""
        connector = self._connector
        with connector.database.write() as tx:
            # An identifier may have been given again meanwhile: the message tells.
            same = (OUTBOX.c.id == row.id) & (OUTBOX.c.message == row.message)
            still = select(OUTBOX.c.id).where(same)
            process = find_process(tx.connection, _KINDS[row.kind], row.process)
            if process is None or tx.execute(still).first() is None:
                return
            tx.after_commit(partial(connector.bell.ring, process.pid))
            if answer.end is _End.DELIVERED:
                tx.execute(delete(OUTBOX).where(OUTBOX.c.id == row.id))
                if not process.peer_pid:
                    save(tx, replace(process, peer_pid=ProcessId(answer.peer_pid)))
            elif answer.end is _End.REFUSED:
                settle_refusal(
                    tx, process, row, connector=connector, code=answer.code, reason=answer.reason
                )
            elif answer.end is _End.OVER:
                code, reason = answer.code or "dataspace.peer_refused", answer.reason
                abandon(tx, process, connector=connector, code=code[:80], reason=reason[:300])
            elif read_time(row.deadline) <= connector.clock.now():
                reason = answer.code or "no answer"
                abandon(tx, process, connector=connector, code="dataspace.gave_up", reason=reason)
            else:
                self._postpone(tx, row, answer)

    def _postpone(self, tx: Transaction, row: Row[Any], answer: _Answer) -> None:
        settings = self._connector.settings
        wait_s = min(settings.longest_wait_s, settings.first_wait_s * 2 ** min(row.tries, 20))
        due = write_time(self._connector.clock.now() + timedelta(seconds=wait_s))
        values = {"tries": row.tries + 1, "due": due, "error": answer.code[:80]}
        tx.execute(update(OUTBOX).where(OUTBOX.c.id == row.id).values(values))


def _try(connector: Connector, row: Row[Any], process: Process) -> _Answer:
    message: Any = read_json(row.message)
    opens = "{peer}" not in row.path
    if not opens:
        is_consumer = process.role is Role.CONSUMER
        ours, theirs = str(process.pid), str(process.peer_pid)
        provider, consumer = (theirs, ours) if is_consumer else (ours, theirs)
        message = with_pids(message, provider=provider, consumer=consumer)
    status, reply = connector.client_of(process).post(
        process.peer, _path(row.path, process), message
    )
    if 200 <= status < 300:
        peer_pid = reply.get(_OPENED[process.role]) if opens else process.peer_pid
        if not isinstance(peer_pid, str) or not peer_pid:
            raise PeerError("dataspace.bad_answer", peer=process.peer, retryable=False)
        return _Answer(_End.DELIVERED, peer_pid=peer_pid)
    if status in _LATER or status >= 500:
        return _Answer(_End.LATER, code=str(reply.get("code", status)))
    return _compare(connector, process, row, reply)


def _compare(
    connector: Connector, process: Process, row: Row[Any], reply: dict[str, Any]
) -> _Answer:
    """Find out whether a refused message had arrived before, by asking for the peer's state."""
    state = _peer_state(connector, process) if process.peer_pid else NONE
    reasons = reply.get("reason")
    reason = "; ".join(str(item) for item in reasons) if isinstance(reasons, list) else ""
    code = str(reply.get("code", ""))
    if state == NONE:
        return _Answer(_End.OVER, code=code, reason=reason)
    if state == row.wanted:
        return _Answer(_End.DELIVERED, peer_pid=process.peer_pid)
    if state == TERMINATED:
        return _Answer(_End.OVER, code="dataspace.peer_terminated")
    if is_proof(process, state, before=row.before):
        return _Answer(_End.DELIVERED, peer_pid=process.peer_pid)
    return _Answer(_End.REFUSED, code=code, reason=reason)


def _peer_state(connector: Connector, process: Process) -> str:
    """Ask the peer where the process stands with it."""
    path = _path(_STATE_PATH[type(process)], process)
    status, reply = connector.client_of(process).get(process.peer, path)
    return str(reply.get("state", NONE)) if status == 200 else NONE


def _path(template: str, process: Process) -> str:
    return BASE + template.replace("{peer}", quote(process.peer_pid, safe=":"))

"""The turn to write, and the commits that writers share.

One writer at a time changes the database. While others wait, a writer that is
done leaves its transaction open for the next one: they share one signature and
one commit, and each returns only when that commit is durable.

1. A writer takes the turn, in the order of arrival.
2. The first of a group begins the database's transaction; each further one
   sets a savepoint in it.
3. A writer that fails is taken back to its savepoint, with its evidence; the
   first, which has none, takes the whole transaction back.
4. A writer that succeeds hands the turn and the open group to the next one
   waiting and waits for the commit. If nobody waits, or the group's first writer
   has waited long enough, or the group is as large as it may be, it seals and
   commits at once. So a writer that is
   alone waits for nobody.
5. When the commit fails, nothing of the group has happened and each of its
   writers is told so.

Whoever begins to write lets go of every lock first that a writer may want in the
middle of its turn: the group commits when the last has left, so they would wait
for each other.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from consilium.kernel.errors import ConsiliumError, StateError
from consilium.ledger.engines import TAKEN_BACK, Engines, refusals
from consilium.ledger.evidence import Head, LogWriter
from consilium.ledger.keys import SigningKey

SHARE_S = 0.025
"""So long after its first writer was done, a group takes in nobody more: 50 ms with the commit."""
MOST = 256
"""Writers that share one commit."""
_SAVEPOINT = "SAVEPOINT consilium_turn"
_TAKE_BACK = "ROLLBACK TO SAVEPOINT consilium_turn"


@dataclass(slots=True, eq=False)
class _Ticket:
    thread: int
    bell: threading.Event = field(default_factory=threading.Event)


class TurnQueue:
    """One turn, handed from thread to thread in the order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._holder: int | None = None

    def is_mine(self) -> bool:
        """Say whether this thread has the turn."""
        return self._holder == threading.get_ident()

    def take(self, timeout_s: float) -> bool:
        """Wait for the turn; say whether it came.

        Interrupted by a signal, the thread may have the turn all the same: ask `is_mine`.
        """
        with self._lock:
            if self._holder is None:
                self._holder = threading.get_ident()
                return True
            ticket = _Ticket(threading.get_ident())
            self._waiting.append(ticket)
        try:
            ticket.bell.wait(timeout_s)
        finally:
            with self._lock:
                if ticket in self._waiting:  # else the turn was ours in the last moment
                    self._waiting.remove(ticket)
        return self.is_mine()

    def hand_over(self) -> bool:
        """Give the turn to whoever waits longest; if nobody does, keep it and say so."""
        with self._lock:
            if not self._waiting:
                return False
            ticket = self._waiting.popleft()
            self._holder = ticket.thread
        ticket.bell.set()
        return True

    def give_back(self) -> None:
        """Give the turn to whoever waits longest, or to nobody."""
        with self._lock:
            ticket = self._waiting.popleft() if self._waiting else None
            self._holder = ticket.thread if ticket is not None else None
        if ticket is not None:
            ticket.bell.set()


class _TakenBackError(Exception):
    """Thrown into a transaction to end it without a commit."""


class Group:
    """One transaction of the database, shared by writers that follow one another.

    Parameters
    ----------
    engines : Engines
        Where to write.
    key, origin : SigningKey, str
        Who signs, under which name.
    trusted : Head
        The head that this process wrote last.
    share_s : float
        So long after its first writer was done it takes in nobody more.

    Raises
    ------
    StateError, IntegrityError
        As `Database.write`; nothing is left open then.
    """

    def __init__(
        self, engines: Engines, *, key: SigningKey, origin: str, trusted: Head, share_s: float
    ) -> None:
        self.place = engines.place
        self.members = 0
        self.error: BaseException | None = None
        self.head = trusted
        self._ended = threading.Event()
        self._share_s = share_s
        self._ends = float("inf")
        self._context = engines.begin_write()
        self.connection: Connection = self._context.__enter__()
        try:
            self.log = LogWriter(self.connection, key=key, origin=origin, trusted=trusted)
        except BaseException as error:
            self._take_all_back(error)
            raise

    def is_open(self) -> bool:
        """Say whether one more writer may join."""
        young = time.monotonic() < self._ends
        return self.error is None and young and self.members < MOST

    def enter(self) -> None:
        """Begin a writer's part."""
        self.connection.info.pop(TAKEN_BACK, None)
        if self.members:
            self._execute(_SAVEPOINT)
        self.log.mark()

    def keep(self) -> None:
        """End a writer's part well; its savepoint stays until the commit, covered by the next.

        Raises
        ------
        IntegrityError
            `ledger.entries_lost`; the part must then be taken back.
        """
        if self.members and self.connection.info.pop(TAKEN_BACK, False):
            self.log.check_mark()
        if not self.members:
            self._ends = time.monotonic() + self._share_s
        self.members += 1

    def take_back(self, error: BaseException) -> None:
        """End a writer's part as if it had not been."""
        if not self.members:
            self._take_all_back(error)
            return
        try:
            self._execute(_TAKE_BACK)
        except (
            ConsiliumError,
            SQLAlchemyError,
        ) as broken:  # the database has given up the whole transaction
            self._take_all_back(broken)
        else:
            self.log.rewind()

    def commit(self) -> None:
        """Sign the new end and commit; tell everybody who waits how it went.

        Raises
        ------
        StateError, IntegrityError
            Nothing of the group has happened then.
        """
        try:
            with refusals(self.place):
                self.head = self.log.seal()
            self._context.__exit__(None, None, None)
        except BaseException as error:
            self._take_all_back(error)
            raise
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Return when the commit is durable; raises as `commit` does."""
        self._ended.wait()
        if isinstance(self.error, ConsiliumError):
            facts: dict[str, Any] = dict(self.error.facts)
            raise type(self.error)(self.error.code, **facts) from self.error
        if self.error is not None:
            reason = type(self.error).__name__
            raise StateError("ledger.cannot_write", place=self.place, reason=reason)

    def _take_all_back(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
            with suppress(ConsiliumError, SQLAlchemyError):
                self._context.__exit__(_TakenBackError, _TakenBackError(), None)
        self._ended.set()

    def _execute(self, statement: str) -> None:
        with refusals(self.place):
            self.connection.exec_driver_sql(statement)

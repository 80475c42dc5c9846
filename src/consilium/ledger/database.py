"""The database of one process: one writer at a time, state and evidence in one commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.exc import SQLAlchemyError

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import ConsiliumError, StateError
from consilium.ledger.algorithms import SHA256, TreeHash
from consilium.ledger.engines import WAIT_S, Engines, open_engines, refusals
from consilium.ledger.evidence import EvidenceLog, Head, LogWriter, begin_log
from consilium.ledger.keys import SigningKey
from consilium.ledger.migration import migrate
from consilium.ledger.notes import check_origin
from consilium.ledger.refusals import Refusals
from consilium.ledger.turns import SHARE_S, Group, TurnQueue

_OPENING = threading.Lock()


def open_database(
    url: str,
    *,
    key: SigningKey,
    clock: Clock,
    origin: str,
    wait_s: float = WAIT_S,
    tree: TreeHash = SHA256,
    share_s: float = SHARE_S,
) -> Database:
    """Open a database, making it or bringing it to this release's schema first.

    Parameters
    ----------
    url : str
        `sqlite:////absolute/path` or `postgresql://user@host/name`.
    key : SigningKey
        Signs the evidence log; always the same for one database.
    clock : Clock
        Tells the time of entries.
    origin : str
        The log's name, the participant's identifier; always the same for one
        database.
    wait_s : float
        How long a writer waits for its turn before it is refused.
    tree : TreeHash
        What the evidence log is hashed with; always the same for one database.
    share_s : float
        How long a writer that is done may wait for others to share its commit.

    Raises
    ------
    InputError
        `ledger.bad_url`, `ledger.bad_origin`, `ledger.no_driver`.
    StateError
        `ledger.newer_schema`, `ledger.cannot_write`, `ledger.disk_full`,
        `ledger.busy`, `ledger.no_connection`, `ledger.other_hash`.
    IntegrityError
        `ledger.other_owner`, `ledger.head_damaged`, `ledger.database_damaged`.
    """
    check_origin(origin)
    with _OPENING:
        engines = open_engines(url, wait_s=wait_s)
        try:
            with engines.begin_write() as connection:
                migrate(connection)
                head = begin_log(connection, key=key, origin=origin, tree=tree)
        except BaseException:
            engines.close()
            raise
    return Database(engines, key=key, clock=clock, origin=origin, head=head, share_s=share_s)


class Transaction:
    """A turn to write. Valid inside its `with` block, in the thread that opened it.

    Parameters
    ----------
    connection : Connection
        Sees what this transaction has written.
    log : LogWriter
        Adds evidence to the same commit.
    clock : Clock
        Tells the time of entries.
    """

    def __init__(self, connection: Connection, log: LogWriter, clock: Clock) -> None:
        self.connection = connection
        self.calls: list[Callable[[], None]] = []
        self._log = log
        self._clock = clock

    def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | list[Mapping[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        """Run a statement in this transaction."""
        result: CursorResult[Any] = self.connection.execute(statement, parameters)
        return result

    def record(self, kind: str, subject: str, facts: Mapping[str, Json]) -> int:
        """Write an evidence entry that commits, or does not, with everything else here.

        Parameters
        ----------
        kind : str
            What happened, for instance `agreement.finalized`.
        subject : str
            The identifier of what it happened to.
        facts : mapping
            Identifiers, digests and counts; never a patient's value.

        Returns
        -------
        int
            The entry's place in the log, counted from 1.

        Raises
        ------
        InputError
            `ledger.bad_entry`, `ledger.entry_too_long`, `kernel.not_canonical`.
        """
        return self._log.append(kind, subject, facts, time=write_time(self._clock.now()))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once the commit is durable and the turn is over; not after a roll-back."""
        self.calls.append(call)


class Database:
    """Durable state with its proof; safe to use from many threads.

    Made by `open_database`.

    Parameters
    ----------
    engines : Engines
        Open connections, the schema up to date.
    key, clock, origin : SigningKey, Clock, str
        As for `open_database`.
    head : Head
        The log's end, checked.
    share_s : float
        As for `open_database`.
    """

    def __init__(
        self,
        engines: Engines,
        *,
        key: SigningKey,
        clock: Clock,
        origin: str,
        head: Head,
        share_s: float = SHARE_S,
    ) -> None:
        self.origin = origin
        self.refusals = Refusals(self)
        self.evidence = EvidenceLog(self, clock=clock, tree=head.frontier.tree)
        self._engines = engines
        self._key = key
        self._clock = clock
        self._head = head
        self._share_s = share_s
        self._queue = TurnQueue()
        self._group: Group | None = None

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Take the turn to write; commit at the end, roll back on any error.

        If the evidence cannot be written, nothing is.

        Raises
        ------
        StateError
            `ledger.busy`, `ledger.disk_full`, `ledger.cannot_write`,
            `ledger.no_connection`, `ledger.nested_write`.
        IntegrityError
            `ledger.head_damaged`, `ledger.other_owner`, `ledger.entries_lost`.
        """
        group = self._enter()
        transaction = Transaction(group.connection, group.log, self._clock)
        try:
            with refusals(self._engines.place):
                yield transaction
                group.keep()
        except BaseException as error:
            group.take_back(error)
            with suppress(ConsiliumError, SQLAlchemyError):  # those whose it is are told of it
                self._leave(group)
            raise
        self._leave(group)
        group.wait()
        for call in transaction.calls:
            call()

    def read(self) -> AbstractContextManager[Connection]:
        """See one moment of the database; writing through it is refused."""
        return self._engines.begin_read()

    def close(self) -> None:
        """Give all connections back to the system."""
        self._engines.close()

    def _enter(self) -> Group:
        """Take the turn and join the group that is open, or open one."""
        if self._queue.is_mine():
            raise StateError("ledger.nested_write")
        try:
            if not self._queue.take(self._engines.wait_s):
                raise StateError("ledger.busy", place=self._engines.place, reason="turn")
            if self._group is None:
                self._group = self._open_group()
            self._group.enter()
        except BaseException as error:
            if self._queue.is_mine():
                self._give_up(error)
            raise
        return self._group

    def _open_group(self) -> Group:
        return Group(
            self._engines,
            key=self._key,
            origin=self.origin,
            trusted=self._head,
            share_s=self._share_s,
        )

    def _give_up(self, error: BaseException) -> None:
        """Leave a turn that came to nothing; what others have written is theirs to keep."""
        group = self._group
        if group is None:
            self._queue.give_back()
            return
        group.take_back(error)
        with suppress(ConsiliumError, SQLAlchemyError):
            self._leave(group)

    def _leave(self, group: Group) -> None:
        """Hand turn and group to the next writer; if there is none, commit."""
        if not (group.is_open() and self._queue.hand_over()):
            self._end(group)

    def _end(self, group: Group) -> None:
        try:
            if group.error is None:
                group.commit()
                self._head = group.head
        finally:
            self._group = None
            self._queue.give_back()

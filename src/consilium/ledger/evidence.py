"""The evidence log: an append-only Merkle log in the database it tells about.

An entry is written in the transaction of the state it proves, so neither can
exist without the other. With each commit the log's owner signs the new size
and root. Whoever changes an entry without the key is found out by
`consilium.ledger.verification`; whoever has the key is found out by the
checkpoints that peers hold.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Column, Connection, func, insert, select, update

from consilium.kernel.canonical import Digest, Json, canonical_bytes, read_json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, StateError
from consilium.ledger.algorithms import SHA256, TreeHash
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import Frontier
from consilium.ledger.notes import Checkpoint, read_checkpoint, sign_checkpoint, verify_checkpoint
from consilium.ledger.tables import EVIDENCE, EVIDENCE_CHECKPOINTS, EVIDENCE_HEAD

INSERT = {
    "sqlite": "INSERT INTO evidence (seq, time, kind, subject, body, leaf_hash)"
    " VALUES (?, ?, ?, ?, ?, ?)",
    "postgresql": "INSERT INTO evidence (seq, time, kind, subject, body, leaf_hash)"
    " VALUES (%s, %s, %s, %s, %s, %s)",
}
COUNT = {
    "sqlite": "SELECT count(*) FROM evidence WHERE seq > ?",
    "postgresql": "SELECT count(*) FROM evidence WHERE seq > %s",
}
"""What each entry costs is written by hand: it is most of what a busy node writes."""

_PAGE = 4096

LONGEST_ENTRY = 65_535
"""Bytes of an entry; the limit of C2SP tlog-tiles. Log digests, never payloads."""


@dataclass(frozen=True, slots=True)
class EvidenceEntry:
    """One thing that happened, as the log has it.

    Parameters
    ----------
    seq : int
        Place in the log, counted from 1.
    time : str
        When, in UTC, by this participant's clock.
    kind : str
        What, for instance `agreement.finalized`.
    subject : str
        The identifier of what it happened to.
    facts : mapping
        Identifiers, digests and counts.
    leaf : Digest
        The entry's hash in the tree.
    """

    seq: int
    time: str
    kind: str
    subject: str
    facts: Mapping[str, Any]
    leaf: Digest

    def as_record(self) -> dict[str, Any]:
        """Give the entry as JSON."""
        return {
            "seq": self.seq,
            "time": self.time,
            "kind": self.kind,
            "subject": self.subject,
            "facts": dict(self.facts),
            "leaf": self.leaf,
        }


@dataclass(frozen=True, slots=True)
class Head:
    """The log's present end: the tree's right edge and the note over it."""

    frontier: Frontier
    note: str


class LogWriter:
    """Adds entries to the log within one transaction that holds the turn to write.

    Parameters
    ----------
    connection : Connection
        The transaction.
    key, origin : SigningKey, str
        Who signs, under which name.
    trusted : Head or None
        The head that this process wrote last; another one is checked first.
    """

    def __init__(
        self, connection: Connection, *, key: SigningKey, origin: str, trusted: Head | None
    ) -> None:
        self._connection = connection
        self._key = key
        self._origin = origin
        self._start = get_head(connection)
        if self._start != trusted:
            check_head(connection, self._start, key=key, origin=origin)
        self._frontier = self._marked = self._start.frontier
        self._insert = INSERT[connection.dialect.name]

    def append(self, kind: str, subject: str, facts: Mapping[str, Json], *, time: str) -> int:
        """Write the next entry and return its place."""
        if "\x00" in kind + subject or not kind:
            raise InputError("ledger.bad_entry")
        seq = self._frontier.size + 1
        body = canonical_bytes(
            {"seq": seq, "time": time, "kind": kind, "subject": subject, "facts": facts}
        )
        if len(body) > LONGEST_ENTRY:
            raise InputError("ledger.entry_too_long", kind=kind, size=len(body))
        leaf = self._frontier.tree.leaf(body)
        self._connection.exec_driver_sql(self._insert, (seq, time, kind, subject, body, leaf))
        self._frontier = self._frontier.append(leaf)
        return seq

    def mark(self) -> None:
        """Remember this moment of the log, for `rewind` and `check_mark`."""
        self._marked = self._frontier

    def rewind(self) -> None:
        """Forget what was appended since the mark; a savepoint has taken the rows back."""
        self._frontier = self._marked

    def check_mark(self) -> None:
        """Return if every row appended since the mark is there; raises as `seal` does."""
        self._check_rows(self._marked)

    def seal(self) -> Head:
        """Sign the new end and write it; the last act before the commit.

        Raises
        ------
        IntegrityError
            `ledger.entries_lost` if rows that were appended are not there, as
            after a rolled-back savepoint: then the commit must not happen.
        """
        if self._frontier.size == self._start.frontier.size:
            return self._start
        self._check_rows(self._start.frontier)
        head = sign_head(self._frontier, key=self._key, origin=self._origin)
        self._connection.execute(
            update(EVIDENCE_HEAD).where(EVIDENCE_HEAD.c.id == 1), _head_row(head)
        )
        return head

    def _check_rows(self, since: Frontier) -> None:
        added = self._frontier.size - since.size
        if added:
            query = COUNT[self._connection.dialect.name]
            if self._connection.exec_driver_sql(query, (since.size,)).scalar_one() != added:
                raise IntegrityError("ledger.entries_lost")


def sign_head(frontier: Frontier, *, key: SigningKey, origin: str) -> Head:
    """Sign the end of the log."""
    note = sign_checkpoint(
        key, origin, size=frontier.size, root=frontier.root(), tree=frontier.tree
    )
    return Head(frontier, note.text)


def begin_log(
    connection: Connection, *, key: SigningKey, origin: str, tree: TreeHash = SHA256
) -> Head:
    """Make sure that the log has an end which this key signed under this name.

    Raises
    ------
    IntegrityError
        `ledger.head_damaged`, `ledger.other_owner`.
    StateError
        `ledger.other_hash` if the log was begun with another hash.
    """
    empty = connection.execute(select(EVIDENCE.c.seq).limit(1)).first() is None
    if empty and connection.execute(select(EVIDENCE_HEAD.c.id)).first() is None:
        head = sign_head(Frontier(tree=tree), key=key, origin=origin)
        connection.execute(insert(EVIDENCE_HEAD), {"id": 1, **_head_row(head)})
        return head
    head = get_head(connection)
    check_head(connection, head, key=key, origin=origin)
    if head.frontier.tree != tree:
        raise StateError("ledger.other_hash", now=head.frontier.tree.name, wanted=tree.name)
    return head


def get_head(connection: Connection) -> Head:
    """Read the end of the log.

    Raises
    ------
    IntegrityError
        `ledger.head_damaged`.
    """
    row = connection.execute(select(EVIDENCE_HEAD).where(EVIDENCE_HEAD.c.id == 1)).first()
    if row is None:
        raise IntegrityError("ledger.head_damaged")
    try:
        return Head(Frontier.from_bytes(row.size, row.frontier, _tree_of(row.note)), row.note)
    except ValueError as error:
        raise IntegrityError("ledger.head_damaged") from error


def _tree_of(note: str) -> TreeHash:
    """Return what a note says the log is hashed with; `check_head` refuses one that is none."""
    try:
        return read_checkpoint(note).tree
    except InputError:
        return SHA256


def check_head(connection: Connection, head: Head, *, key: SigningKey, origin: str) -> None:
    """Return if the end of the log is signed by us and is where the entries end.

    Raises
    ------
    IntegrityError
        `ledger.other_owner` if another key or name signed it;
        `ledger.head_damaged` if it does not fit the entries.
    """
    try:
        note = verify_checkpoint(head.note, key.public)
    except ConsiliumError as error:
        raise IntegrityError("ledger.other_owner", origin=origin) from error
    if note.origin != origin:
        raise IntegrityError("ledger.other_owner", origin=origin)
    last = connection.execute(select(func.max(EVIDENCE.c.seq))).scalar_one() or 0
    if (note.size, note.root) != (last, head.frontier.root()) or last != head.frontier.size:
        raise IntegrityError("ledger.head_damaged")


class HasConnection(Protocol):
    """A transaction, as far as the log uses it."""

    @property
    def connection(self) -> Connection:
        """Give the transaction's connection."""
        ...


class Turns(Protocol):
    """What the log asks of the database: a moment to read, a turn to write."""

    def read(self) -> AbstractContextManager[Connection]:
        """See one moment."""
        ...

    def write(self) -> AbstractContextManager[HasConnection]:
        """Take the turn to write."""
        ...


class EvidenceLog:
    """The log, for reading and for handing out checkpoints.

    Parameters
    ----------
    turns : Turns
        The database.
    clock : Clock
        Says when a checkpoint was handed out.
    tree : TreeHash
        What the log is hashed with.
    """

    def __init__(self, turns: Turns, *, clock: Clock, tree: TreeHash = SHA256) -> None:
        self.tree = tree
        self._turns = turns
        self._clock = clock

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._head().frontier.size

    def root(self) -> Digest:
        """Merkle tree hash over all entries, as `sha256:<hex>`."""
        return Digest(f"{self.tree.name}:{self._head().frontier.root().hex()}")

    def entries(
        self,
        after: int = 0,
        limit: int = 100,
        *,
        kind: str | None = None,
        subject: str | None = None,
    ) -> list[EvidenceEntry]:
        """List entries in order, as a page.

        Parameters
        ----------
        after : int
            Begin behind this place; the last one of the page before.
        limit : int
            At most so many.
        kind, subject : str or None
            Only these.

        Raises
        ------
        IntegrityError
            `ledger.entry_changed` if an entry is not as it was written.
        """
        query = select(EVIDENCE.c.seq, EVIDENCE.c.body, EVIDENCE.c.leaf_hash)
        query = query.where(EVIDENCE.c.seq > after).order_by(EVIDENCE.c.seq).limit(limit)
        if kind is not None:
            query = query.where(EVIDENCE.c.kind == kind)
        if subject is not None:
            query = query.where(EVIDENCE.c.subject == subject)
        with self._turns.read() as connection:
            return [_entry(*row, tree=self.tree) for row in connection.execute(query)]

    def search(
        self,
        *,
        kind: str = "",
        subject: str = "",
        since: str = "",
        until: str = "",
        limit: int = 100,
        behind: int | None = None,
        is_falling: bool = True,
    ) -> list[EvidenceEntry]:
        """List entries that fit a search, the newest first unless told otherwise.

        Parameters
        ----------
        kind : str
            Only this kind, or with a dot at its end all kinds that begin so.
        subject : str
            Only this subject.
        since, until : str
            Only from this moment on, and before that one; ISO 8601 in UTC, or a
            beginning of it such as a day.
        behind : int or None
            Begin behind this place, in the order of the list.

        Raises
        ------
        IntegrityError
            As `entries`.
        """
        row = EVIDENCE.c
        query = select(row.seq, row.body, row.leaf_hash).limit(limit)
        if kind:
            begins = row.kind.startswith(kind, autoescape=True)
            query = query.where(begins if kind.endswith(".") else row.kind == kind)
        if subject:
            query = query.where(row.subject == subject)
        if since:
            query = query.where(row.time >= since)
        if until:
            query = query.where(row.time < until)
        if behind is not None:
            query = query.where(row.seq < behind if is_falling else row.seq > behind)
        query = query.order_by(row.seq.desc() if is_falling else row.seq)
        with self._turns.read() as connection:
            return [_entry(*found, tree=self.tree) for found in connection.execute(query)]

    def leaves(self, *, after: int, to: int) -> Generator[bytes]:
        """Give the leaf hashes behind one place up to another, in order."""
        return self._stream(EVIDENCE.c.leaf_hash, after, to)

    def bodies(self, *, after: int, to: int) -> Generator[bytes]:
        """Give the entries behind one place up to another, in order, as they are proved."""
        return self._stream(EVIDENCE.c.body, after, to)

    def _stream(self, column: Column[Any], after: int, to: int) -> Generator[bytes]:
        query = select(column).where(EVIDENCE.c.seq > after, EVIDENCE.c.seq <= to)
        with self._turns.read() as connection:
            pages = connection.execution_options(yield_per=_PAGE)
            found = pages.execute(query.order_by(EVIDENCE.c.seq))
            try:
                yield from found.scalars()
            finally:
                found.close()

    def checkpoint(self) -> str:
        """Hand out the signed note over all entries, and remember that we did.

        Returns
        -------
        str
            C2SP checkpoint; the same text until another entry is written.
        """
        kept = EVIDENCE_CHECKPOINTS
        with self._turns.read() as connection:
            head = get_head(connection)
            known = connection.execute(select(func.max(kept.c.size))).scalar_one()
        if known == head.frontier.size:
            return head.note
        with self._turns.write() as transaction:
            head = get_head(transaction.connection)
            size = head.frontier.size
            found = select(kept.c.size).where(kept.c.size == size)
            if transaction.connection.execute(found).first() is None:
                row = {"size": size, "time": write_time(self._clock.now()), "note": head.note}
                transaction.connection.execute(insert(kept), row)
        return head.note

    def checkpoints(self) -> list[Checkpoint]:
        """List the notes that were handed out, the oldest first."""
        query = select(EVIDENCE_CHECKPOINTS.c.note).order_by(EVIDENCE_CHECKPOINTS.c.size)
        with self._turns.read() as connection:
            return [read_checkpoint(note) for note in connection.execute(query).scalars()]

    def _head(self) -> Head:
        with self._turns.read() as connection:
            return get_head(connection)


def _head_row(head: Head) -> dict[str, object]:
    frontier = head.frontier
    return {"size": frontier.size, "frontier": frontier.as_bytes(), "note": head.note}


def _entry(seq: int, body: bytes, leaf: bytes, *, tree: TreeHash) -> EvidenceEntry:
    try:
        told: Any = read_json(body)
        entry = EvidenceEntry(**told, leaf=Digest(f"{tree.name}:{leaf.hex()}"))
    except (InputError, TypeError) as error:
        raise IntegrityError("ledger.entry_changed", seq=seq) from error
    if entry.seq != seq or tree.leaf(body) != leaf:
        raise IntegrityError("ledger.entry_changed", seq=seq)
    return entry

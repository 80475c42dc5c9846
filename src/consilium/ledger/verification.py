"""Proves an evidence log offline, or names the first entry that is not as it was written.

The database is only read, never migrated, and nothing in it is believed: the
place of an entry is counted, its hash is taken again, the tree is built again,
and each signed note in the database, and the one that a peer holds, must fit.

1. Each row stands at its place, its hash is that of its body, and its columns
   say what its body says.
2. Each note is signed by the log's owner, speaks of entries that are there,
   and has their root. Notes are taken by size, so a rewrite is narrowed down
   to the entries after the last note that still fits.
3. The log's end is where the last note says, and so is the edge that the next
   entry will be added to.

What this cannot see without a peer's checkpoint: the whole database set back
to an earlier state of itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from sqlalchemy.exc import ProgrammingError

from consilium.kernel.canonical import Digest, read_json
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, NotFoundError
from consilium.ledger.algorithms import SHA256, TreeHash
from consilium.ledger.engines import open_engines, parse_url
from consilium.ledger.keys import PublicKey
from consilium.ledger.merkle import Frontier
from consilium.ledger.notes import Checkpoint, read_checkpoint, verify_checkpoint

_ENTRIES = "SELECT seq, time, kind, subject, body, leaf_hash FROM evidence ORDER BY seq"
_COUNT = "SELECT count(*) FROM evidence"
_HEADS = "SELECT size, frontier, note FROM evidence_head"
_NOTES = "SELECT size, note FROM evidence_checkpoints ORDER BY size"
_BATCH = 4096
_ABSENT = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}

Rows = Iterator[tuple[Any, ...]]
Query = Callable[[str], AbstractContextManager[Rows]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the verification found.

    Parameters
    ----------
    entries : int
        Number of entries that are there.
    verified : bool
        Whether all of them are as they were written.
    root : Digest or None
        Merkle tree hash over them, if verified.
    checkpoints : int
        Number of signed notes that the entries were compared with.
    first_bad : int or None
        Place of the first entry that is changed, missing or moved, or, for a
        rewrite, of the first that may be.
    reason_code : str or None
        Code of the error that says what is wrong.
    facts : mapping
        What the error's sentences are filled with.
    """

    entries: int
    verified: bool
    root: Digest | None = None
    checkpoints: int = 0
    first_bad: int | None = None
    reason_code: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """Say in `en` or `zh` what is wrong; empty if nothing is."""
        if self.reason_code is None:
            return ""
        return IntegrityError(self.reason_code, **self.facts).text(language)

    def as_record(self) -> dict[str, Any]:
        """Give the verdict as JSON."""
        return {
            "entries": self.entries,
            "verified": self.verified,
            "root": self.root,
            "checkpoints": self.checkpoints,
            "first_bad": self.first_bad,
            "reason": self.reason_code,
            "en": self.text("en"),
            "zh": self.text("zh"),
        }


def verify_log(
    url: str | Path, *, key: PublicKey, checkpoint: str | Sequence[str] | None = None
) -> Verdict:
    """Check every entry of a log and every signature over it.

    Parameters
    ----------
    url : str or Path
        Database URL, or the path of a SQLite file (a copy will do).
    key : PublicKey
        The log's owner.
    checkpoint : str, sequence of str or None
        Notes of this log that somebody else holds, such as those that the hub
        received. Only with them can a cut tail be told from a log that never
        was longer, and a rewrite by the log's own owner be found; the more of
        them there are, the closer it is narrowed down.

    Returns
    -------
    Verdict
        Bad entries are a result, not an error.

    Raises
    ------
    InputError
        `ledger.not_a_checkpoint`, `ledger.bad_url`, `ledger.no_driver`.
    NotFoundError
        `ledger.no_log` if there is no such database, or no log in it.
    """
    texts = [checkpoint] if isinstance(checkpoint, str) else list(checkpoint or ())
    given = [read_checkpoint(text) for text in texts]
    verdict = _verify_once(str(url), key=key, given=given)
    if verdict.verified:
        return verdict
    # A node that started meanwhile may have disturbed the reading of a quiet file.
    return _verify_once(str(url), key=key, given=given)


def _verify_once(url: str, *, key: PublicKey, given: list[Checkpoint]) -> Verdict:
    entries = 0
    try:
        with _open(url) as query:
            ((entries,),) = _fetch(query, _COUNT)
            return _judge(query, key=key, given=given)
    except IntegrityError as error:
        return Verdict(
            entries=entries,
            verified=False,
            first_bad=error.facts.get("seq"),  # type: ignore[arg-type]
            reason_code=error.code,
            facts=error.facts,
        )


def _judge(query: Query, *, key: PublicKey, given: list[Checkpoint]) -> Verdict:
    """Go through the log once; IntegrityError for the first thing that is wrong."""
    heads = _fetch(query, _HEADS)
    notes = [*((size, note) for size, _, note in heads), *_fetch(query, _NOTES)]
    notes += [(note.size, note.text) for note in given]
    tree = _tree_of(heads)
    with query(_ENTRIES) as rows:
        frontier, roots = _walk(rows, stops={size for size, _ in notes}, tree=tree)
    if len(heads) != 1:
        raise IntegrityError("ledger.head_damaged")
    signed = [_read_note(size, text, key) for size, text in notes]
    held = signed[len(signed) - len(given) :]
    _compare(signed, roots, entries=frontier.size, held=held)
    if frontier.size > signed[0].size:
        raise IntegrityError("ledger.entry_added", seq=signed[0].size + 1)
    if heads[0][1] != frontier.as_bytes():
        raise IntegrityError("ledger.head_damaged")
    root = Digest(f"{tree.name}:{frontier.root().hex()}")
    return Verdict(entries=frontier.size, verified=True, root=root, checkpoints=len(signed))


def _tree_of(heads: list[tuple[Any, ...]]) -> TreeHash:
    """Return the hash that the log's end names; whether it is signed is seen later."""
    try:
        return read_checkpoint(str(heads[0][2])).tree
    except (IndexError, InputError):
        return SHA256


def _fetch(query: Query, statement: str) -> list[tuple[Any, ...]]:
    with query(statement) as rows:
        return list(rows)


def _walk(
    rows: Rows, *, stops: Collection[object], tree: TreeHash
) -> tuple[Frontier, dict[int, bytes]]:
    """Build the tree from the rows; return its edge and its roots at the sizes asked for."""
    frontier = Frontier(tree=tree)
    roots = {0: frontier.root()}
    leaves: list[bytes] = []
    for place, row in enumerate(rows, start=1):
        leaves.append(_check_row(row, place=place, tree=tree))
        if place in stops or len(leaves) == _BATCH:
            frontier = frontier.extend(leaves)
            leaves.clear()
            if place in stops:
                roots[place] = frontier.root()
    return frontier.extend(leaves), roots


def _check_row(row: tuple[Any, ...], *, place: int, tree: TreeHash) -> bytes:
    seq, time, kind, subject, body, stored = row
    if seq != place:
        code = "ledger.entry_missing" if seq > place else "ledger.entry_added"
        raise IntegrityError(code, seq=min(seq, place))
    leaf = tree.leaf(body) if isinstance(body, bytes) else b""
    if not leaf or leaf != stored:
        raise IntegrityError("ledger.entry_changed", seq=place)
    if _is_as_written(body, place, time, kind, subject):
        return leaf
    told = _read_body(body)
    if told.get("seq") != place:
        raise IntegrityError("ledger.entry_moved", seq=place)
    if (told.get("time"), told.get("kind"), told.get("subject")) != (time, kind, subject):
        raise IntegrityError("ledger.entry_changed", seq=place)
    return leaf


def _is_as_written(body: bytes, place: int, *columns: str) -> bool:
    """Say quickly whether a body is what the log writes for these columns.

    Canonical JSON puts `facts` first and the four columns after it, so the end
    of the body is known to the byte. If the whole is JSON too, that end stands
    in the outermost object: it closes one brace, and no string can hold it.
    """
    try:
        time, kind, subject = map(encode_basestring, columns)
        end = f',"kind":{kind},"seq":{place},"subject":{subject},"time":{time}}}'
        if not (body.startswith(b'{"facts":{') and body.endswith(end.encode("utf-8"))):
            return False
        json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _read_body(body: bytes) -> dict[str, Any]:
    try:
        told = read_json(body)
    except InputError:
        return {}
    return told if isinstance(told, dict) else {}


def _read_note(size: object, text: object, key: PublicKey) -> Checkpoint:
    """Read a note whose signature and size are right."""
    try:
        note = verify_checkpoint(str(text), key)
    except ConsiliumError as error:
        raise IntegrityError("ledger.checkpoint_forged", size=size, key=key.fingerprint) from error
    if note.size != size:
        raise IntegrityError("ledger.checkpoint_forged", size=size, key=key.fingerprint)
    return note


def _compare(
    notes: list[Checkpoint],
    roots: Mapping[int, bytes],
    *,
    entries: int,
    held: list[Checkpoint],
) -> None:
    """Hold the tree against the notes, whose signatures are right; the log's own end is first.

    `held` are those that others gave. If only they do not fit, the owner has
    rewritten the log and signed it anew, and only they can narrow it down.
    """
    for note in notes:
        if note.origin != notes[0].origin:
            raise IntegrityError("ledger.other_log", origin=note.origin, found=notes[0].origin)
    bad = [note for note in notes if note.size <= entries and roots[note.size] != note.root]
    last = min((note.size for note in bad), default=0)
    if bad and all(any(note is each for each in held) for note in bad):
        fits = max((note.size for note in held if note.size < last), default=0)
        raise IntegrityError("ledger.log_forked", seq=fits + 1, last=last)
    if bad:
        fits = max((note.size for note in notes if note.size < last), default=0)
        raise IntegrityError("ledger.entries_rewritten", seq=fits + 1, last=last)
    longest = max(note.size for note in notes)
    if longest > entries:
        raise IntegrityError("ledger.tail_cut", seq=entries + 1, size=longest)


@contextmanager
def _open(url: str) -> Iterator[Query]:
    """Open a database for reading only, at one moment of it."""
    if "://" in url and parse_url(url).get_backend_name() == "postgresql":
        with _open_postgres(url) as query:
            yield query
        return
    path = Path(str(parse_url(url).database) if "://" in url else url).absolute()
    if not path.is_file():
        raise NotFoundError("ledger.no_log", place=str(path))
    try:
        with closing(_connect(path)) as connection:
            yield lambda statement: closing(connection.execute(statement))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _ABSENT:
            raise NotFoundError("ledger.no_log", place=str(path)) from error
        reason = error.sqlite_errorname
        raise IntegrityError("ledger.database_damaged", place=str(path), reason=reason) from error
    except UnicodeDecodeError as error:  # SQLite quotes a damaged name in its message
        raise IntegrityError(
            "ledger.database_damaged", place=str(path), reason="not UTF-8"
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    """Open a SQLite file at one moment, leaving no file beside it.

    Without a write-ahead log beside it nobody has the file open, and it can be
    read as it lies there, also from a medium that cannot be written.
    """
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    connection = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("BEGIN")
    return connection


@contextmanager
def _open_postgres(url: str) -> Iterator[Query]:
    engines = open_engines(url)

    @contextmanager
    def stream(statement: str) -> Iterator[Rows]:
        with connection.exec_driver_sql(statement) as result:
            yield (tuple(row) for row in result)

    try:
        with engines.begin_read() as connection:
            connection.execution_options(stream_results=True, yield_per=1000)
            yield stream
    except ProgrammingError as error:
        raise NotFoundError("ledger.no_log", place=engines.place) from error
    finally:
        engines.close()

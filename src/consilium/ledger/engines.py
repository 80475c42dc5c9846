"""Connections to SQLite and PostgreSQL, and their refusals in our words.

The rest of the house knows one database; what differs between the two stands
here: how a writer waits for its turn, how a reader is kept from writing, and
which of the driver's errors mean *full*, *read-only*, *busy* or *damaged*.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import IntegrityError as ConstraintError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, StateError

WAIT_S = 30
"""How long a writer waits for its turn before it is refused."""
TAKEN_BACK = "consilium_taken_back"
"""Set in the `info` of a writer's connection when a savepoint was rolled back on it."""
_TURN = "SELECT pg_advisory_xact_lock(1129270867, hashtext(current_schema()))"
"""One turn for each schema; the first number, 'CONS', keeps it apart from other programs'."""
_READERS = 48
_CONNECT_S = 10

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_REFUSED = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR", "SQLITE_AUTH")
_SQLITE: dict[str, str] = {
    **dict.fromkeys(_REFUSED, "ledger.cannot_write"),
    **dict.fromkeys(_DAMAGED, "ledger.database_damaged"),
    "SQLITE_FULL": "ledger.disk_full",
    "SQLITE_BUSY": "ledger.busy",
    "SQLITE_LOCKED": "ledger.busy",
}
_POSTGRES: dict[str, str] = {
    "53100": "ledger.disk_full",
    "25006": "ledger.cannot_write",
    "42501": "ledger.cannot_write",
    "55P03": "ledger.busy",
    "40": "ledger.busy",
    "XX001": "ledger.database_damaged",
    "XX002": "ledger.database_damaged",
    **dict.fromkeys(("08", "28", "3D", "53300", "57P"), "ledger.no_connection"),
}


@dataclass(frozen=True, slots=True)
class Engines:
    """Where to write and where to read, and what to call the place.

    Parameters
    ----------
    writer, reader : Engine
        A writer's transaction begins by taking the one turn to write; a
        reader's sees one moment of the database and cannot change it.
    place : str
        Path or address without a password, for sentences.
    wait_s : float
        How long to wait for the turn to write.
    """

    writer: Engine
    reader: Engine
    place: str
    wait_s: float

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        """Take the turn, hand out the connection; commit at the end, roll back on error."""
        with refusals(self.place), self.writer.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(self.wait_s * 1000)}")
                connection.exec_driver_sql(_TURN)
            yield connection

    @contextmanager
    def begin_read(self) -> Iterator[Connection]:
        """Hand out a connection that sees one moment and cannot write."""
        with refusals(self.place), self.reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give all connections back to the system."""
        self.reader.dispose()
        self.writer.dispose()


def open_engines(url: str, *, wait_s: float = WAIT_S) -> Engines:
    """Prepare connections to the database of a URL; a new SQLite file is made.

    Raises
    ------
    InputError
        `ledger.bad_url`, `ledger.no_driver`.
    StateError
        `ledger.cannot_write`, `ledger.busy`, `ledger.no_connection`.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, wait_s)
    return _open_postgres(parsed, wait_s)


def parse_url(url: str) -> URL:
    """Read a database URL of one of the two kinds that we know.

    Raises
    ------
    InputError
        `ledger.bad_url`.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError("ledger.bad_url") from error
    if backend == "postgresql" and parsed.database:
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed.set(drivername="sqlite", query={})
    raise InputError("ledger.bad_url")


@contextmanager
def refusals(place: str) -> Iterator[None]:
    """Turn the driver's errors that a person can act on into ours; let the others pass."""
    try:
        yield
    except ConstraintError:
        raise
    except PoolTimeoutError as error:
        raise StateError("ledger.busy", place=place, reason="too many readers") from error
    except DBAPIError as error:
        ours = _ours(error, place)
        if ours is None:
            raise
        raise ours from error


def _ours(error: DBAPIError, place: str) -> ConsiliumError | None:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        found = next((code for start, code in _SQLITE.items() if name.startswith(start)), None)
    else:
        name = getattr(cause, "sqlstate", None) or ""
        found = next((code for start, code in _POSTGRES.items() if name.startswith(start)), None)
        lost = not name and isinstance(error, OperationalError)
        if found is None and (lost or error.connection_invalidated):
            found = "ledger.no_connection"
    if found is None:
        return None
    family = IntegrityError if found == "ledger.database_damaged" else StateError
    return family(found, place=place, reason=name or "refused", detail=str(cause))


def _open_sqlite(url: URL, wait_s: float) -> Engines:
    path = Path(str(url.database))
    place = str(path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass  # and it is not opened here: closing it would drop SQLite's own locks on it
    except OSError as error:
        reason = error.strerror or "refused"
        raise StateError("ledger.cannot_write", place=place, reason=reason) from error
    wait = {"timeout": wait_s}
    writer = create_engine(url, pool_size=1, max_overflow=0, connect_args=wait)
    reader = create_engine(url, pool_size=8, max_overflow=_READERS, connect_args=wait)
    _set_up(writer, "BEGIN IMMEDIATE", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
    _set_up(reader, "BEGIN", "PRAGMA query_only=ON")
    _watch_savepoints(writer)
    engines = Engines(writer, reader, place, wait_s)
    try:
        with refusals(place):
            _use_wal(writer, wait_s)
    except ConsiliumError:
        engines.close()
        raise
    return engines


def _use_wal(engine: Engine, wait_s: float) -> None:
    """Let readers and the writer coexist; the setting stays in the file.

    SQLite does not wait for its turn at this one switch, so two processes that
    open a new file together have to try again.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            with engine.connect() as connection:
                driver = connection.connection.driver_connection
                if isinstance(driver, sqlite3.Connection):
                    driver.execute("PRAGMA journal_mode=WAL").fetchall()
                return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise DBAPIError.instance(
                    "PRAGMA journal_mode=WAL", None, error, sqlite3.Error
                ) from error
            time.sleep(0.02)


def _watch_savepoints(engine: Engine) -> None:
    def note(connection: Connection, _name: str, _context: object) -> None:
        connection.info[TAKEN_BACK] = True

    event.listen(engine, "rollback_savepoint", note)


def _set_up(engine: Engine, begin: str, *pragmas: str) -> None:
    """Make each connection run `pragmas` once, and each transaction start with `begin`."""

    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma)

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", start)


def _open_postgres(url: URL, wait_s: float) -> Engines:
    place = url.render_as_string(hide_password=True)
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": _CONNECT_S},
    }
    try:
        writer = create_engine(url, pool_size=1, max_overflow=0, **options)
        reader = create_engine(
            url,
            pool_size=8,
            max_overflow=_READERS,
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            **options,
        )
    except ModuleNotFoundError as error:
        raise InputError("ledger.no_driver") from error
    _watch_savepoints(writer)
    return Engines(writer, reader, place, wait_s)

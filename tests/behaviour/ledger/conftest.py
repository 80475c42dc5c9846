"""One place for a database, on SQLite and on PostgreSQL."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from consilium.kernel.clock import HeldClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.verification import Verdict, verify_log

ORIGIN = "did:web:space:tiantan"


class Place:
    """Where a database is, who owns it, and how somebody else can meddle with it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = SigningKey.generate()
        self.clock = HeldClock(datetime(2026, 1, 15, 8, tzinfo=UTC))
        self._opened: list[Database] = []

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def open(self, **other: Any) -> Database:
        given = {"key": self.key, "clock": self.clock, "origin": ORIGIN, **other}
        database = open_database(self.url, **given)
        self._opened.append(database)
        return database

    def meddle(self, *statements: str, **values: object) -> list[tuple[Any, ...]]:
        """Run SQL past Consilium, as somebody with the file or the password could."""
        engine = create_engine(self.url)
        rows: list[tuple[Any, ...]] = []
        with engine.begin() as connection:
            for statement in statements:
                found = connection.execute(text(statement), values)
                rows += [tuple(row) for row in found] if found.returns_rows else []
        engine.dispose()
        return rows

    def verify(self, **given: Any) -> Verdict:
        return verify_log(self.url, key=given.pop("key", self.key.public), **given)

    def put(self, database: Database, name: str, *, beds: int = 1) -> int:
        """Change state with its evidence."""
        with database.write() as transaction:
            values = {"name": name, "beds": beds}
            transaction.execute(text("INSERT INTO wards VALUES (:name, :beds)"), values)
            return transaction.record("ward.opened", name, {"beds": beds})

    def wards(self, database: Database) -> list[str]:
        """Read the state."""
        query = text("SELECT name FROM wards ORDER BY name")
        with database.read() as connection:
            return list(connection.execute(query).scalars())

    def close(self) -> None:
        for database in self._opened:
            database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        found = Place(f"sqlite:///{tmp_path / 'node.db'}")
        yield found
        found.close()
        return
    server = os.environ.get("CONSILIUM_TEST_POSTGRES")
    if not server:
        explain = "CONSILIUM_TEST_POSTGRES names no PostgreSQL server"
        pytest.fail(explain) if os.environ.get("CI") else pytest.skip(explain)
    name = f"consilium_test_{secrets.token_hex(6)}"
    address = make_url(server).set(drivername="postgresql+psycopg")
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    address = address.update_query_dict({"options": f"-csearch_path={name}"})
    found = Place(address.render_as_string(hide_password=False))
    yield found
    found.close()
    with admin.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    admin.dispose()


@pytest.fixture
def database(place: Place) -> Database:
    """Give an open database with a table `wards` for state."""
    database = place.open()
    with database.write() as transaction:
        transaction.execute(text("CREATE TABLE wards (name TEXT PRIMARY KEY, beds INTEGER)"))
    return database

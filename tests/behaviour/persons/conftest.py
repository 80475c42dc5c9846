"""One office for every test, on SQLite and on PostgreSQL."""

import os
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dataspace"))

from persons_bench import Office, empty

from consilium.kernel.clock import HeldClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def _open(url: str) -> tuple[str, Database]:
    key, clock = SigningKey.generate(), HeldClock(START)
    return url, open_database(url, key=key, clock=clock, origin="did:web:space:tiantan")


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Database]]:
    """Open one database for the whole session."""
    if request.param == "sqlite":
        found = _open(f"sqlite:///{tmp_path_factory.mktemp('persons') / 'node.db'}")
        yield found
        found[1].close()
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
    own = address.update_query_dict({"options": f"-csearch_path={name}"})
    found = _open(own.render_as_string(hide_password=False))
    yield found
    found[1].close()
    with admin.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    admin.dispose()


@pytest.fixture
def office(place: tuple[str, Database]) -> Office:
    """Give an office without anybody in it."""
    url, database = place
    empty(url)
    return Office(database, HeldClock(START))

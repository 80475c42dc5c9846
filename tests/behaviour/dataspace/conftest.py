"""Two hospitals with databases of their own; messages are delivered when a test says so."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

sys.path.insert(0, str(Path(__file__).parent))

from dataspace_rehearsal import Hospital, Space


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    found = Space(tmp_path)
    yield found
    found.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_space(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Space]:
    """A space whose hospitals keep their state on each kind of database."""
    if request.param == "sqlite":
        found = Space(tmp_path)
        yield found
        found.close()
        return
    server = os.environ.get("CONSILIUM_TEST_POSTGRES")
    if not server:
        explain = "CONSILIUM_TEST_POSTGRES names no PostgreSQL server"
        pytest.fail(explain) if os.environ.get("CI") else pytest.skip(explain)
    address = make_url(server).set(drivername="postgresql+psycopg")
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    schemas: list[str] = []

    def place(_name: str) -> str:
        schemas.append(f"consilium_test_{secrets.token_hex(6)}")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {schemas[-1]}"))
        options = {"options": f"-csearch_path={schemas[-1]}"}
        return address.update_query_dict(options).render_as_string(hide_password=False)

    found = Space(tmp_path, place=place)
    yield found
    found.close()
    with admin.connect() as connection:
        for schema in schemas:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture
def north(space: Space) -> Hospital:
    """The lead's hospital, consumer."""
    return space.add("north")


@pytest.fixture
def south(space: Space) -> Hospital:
    """The hospital that holds the data, provider."""
    return space.add("south")


@pytest.fixture
def stranger(space: Space) -> Hospital:
    """A member that nothing is offered to."""
    return space.add("stranger")

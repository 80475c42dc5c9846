"""Database addresses."""

import pytest

from consilium.kernel.errors import InputError
from consilium.ledger.engines import parse_url


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:////var/lib/consilium/node.db", "sqlite"),
        ("sqlite+pysqlite:////var/lib/consilium/node.db", "sqlite"),
        ("postgresql://node@db.example/consilium", "postgresql+psycopg"),
        ("postgresql+psycopg2://node@db.example/consilium", "postgresql+psycopg"),
    ],
)
def test_both_kinds_of_database_are_known(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://host/db",
        "postgresql://host",
        "x://y",
    ],
)
def test_another_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InputError, match="postgresql://") as refusal:
        parse_url(url)
    assert refusal.value.code == "ledger.bad_url"

"""The scripts inside the package make the tables that the code speaks of."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from consilium.kernel.errors import StateError
from consilium.ledger.engines import open_engines
from consilium.ledger.migration import VERSION_TABLE, find_revision, migrate, unmigrate
from consilium.ledger.tables import METADATA


def import_tables() -> None:
    """Import every module of the package that speaks of the one METADATA."""
    spec = find_spec("consilium")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for page in sorted(root.rglob("*.py")):
        if "migrations" in page.parts or not re.search(r"\bMETADATA\b", page.read_text("utf-8")):
            continue
        name = ".".join(["consilium", *page.relative_to(root).with_suffix("").parts])
        importlib.import_module(name.removesuffix(".__init__"))


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "compare_server_default": True}
    )
    return list(compare_metadata(context, METADATA))


def test_the_scripts_make_the_tables_that_the_code_speaks_of(place: Any) -> None:
    import_tables()
    engines = open_engines(place.url)
    with engines.begin_write() as connection:
        migrate(connection)
        assert differences(connection) == []
    engines.close()


def test_the_scripts_can_be_taken_back_and_run_again(place: Any) -> None:
    import_tables()
    engines = open_engines(place.url)
    with engines.begin_write() as connection:
        migrate(connection)
    with engines.begin_write() as connection:
        unmigrate(connection)
        left = [change[1].name for change in differences(connection) if change[0] == "add_table"]
        assert sorted(left) == sorted(METADATA.tables)
        assert find_revision(connection) is None
    with engines.begin_write() as connection:
        migrate(connection)
        assert differences(connection) == []
    engines.close()


def test_each_step_can_be_taken_alone(place: Any) -> None:
    engines = open_engines(place.url)
    with engines.begin_write() as connection:
        migrate(connection, to="0001")
        assert find_revision(connection) == "0001"
        migrate(connection)
        newest = find_revision(connection)
        migrate(connection)
        assert find_revision(connection) == newest != "0001"
    engines.close()


def test_a_migration_that_fails_leaves_nothing(place: Any) -> None:
    engines = open_engines(place.url)

    def interrupt() -> None:
        with engines.begin_write() as connection:
            migrate(connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupt()
    with engines.begin_read() as connection:
        assert find_revision(connection) is None
        assert {change[0] for change in differences(connection)} <= {"add_table", "add_index"}
    engines.close()


def test_a_database_of_a_newer_release_is_refused(place: Any) -> None:
    place.open().close()
    place.meddle(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StateError) as refusal:
        place.open()
    assert refusal.value.code == "ledger.newer_schema"
    assert "schema 9999" in refusal.value.public
    assert place.meddle(f"SELECT version_num FROM {VERSION_TABLE}") == [("9999",)]


def test_an_older_database_keeps_its_entries(place: Any) -> None:
    database = place.open()
    with database.write() as transaction:
        transaction.record("ward.opened", "icu", {})
    database.close()
    engines = open_engines(place.url)
    with engines.begin_write() as connection:
        unmigrate(connection, to="0001")
        assert connection.execute(text("SELECT count(*) FROM evidence")).scalar_one() == 1
    engines.close()
    assert place.open().evidence.size == 1
    assert place.verify().verified


@pytest.mark.parametrize("name", ["absent/node.db", "file/node.db"])
def test_a_folder_that_cannot_hold_the_database_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"node\.db") as refusal:
        open_engines(f"sqlite:///{tmp_path / name}")
    assert refusal.value.code == "ledger.cannot_write"


def test_a_sqlite_file_is_for_its_owner_alone_and_never_forgets_a_commit(tmp_path: Path) -> None:
    engines = open_engines(f"sqlite:///{tmp_path / 'node.db'}")
    with engines.begin_write() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        told = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in pragmas]
        assert told == ["wal", 2, 1]
        connection.execute(text("CREATE TABLE wards (name TEXT)"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert set(modes.values()) == {0o600}, modes
    engines.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"not a database" * 100)
    with pytest.raises(Exception, match=r"node\.db is damaged"):
        open_engines(f"sqlite:///{tmp_path / 'node.db'}")

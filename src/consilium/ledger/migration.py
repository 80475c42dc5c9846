"""Brings a database to this release's schema, from the scripts inside the package.

A database that a newer release has written is refused, not repaired: its
meaning is unknown here.
"""

from __future__ import annotations

import threading
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from consilium.kernel.errors import StateError

VERSION_TABLE = "schema_version"
_ALEMBIC = threading.Lock()
"""Alembic keeps its running migration in a module; one thread at a time."""


def migrate(connection: Connection, *, to: str = "head") -> None:
    """Bring the schema up to `to`, inside the caller's transaction.

    Parameters
    ----------
    connection : Connection
        In a transaction that holds the turn to write, so that two processes
        cannot migrate together.
    to : str
        A revision of the scripts; `head` is the newest.

    Raises
    ------
    StateError
        `ledger.newer_schema` if the database knows a step that we do not.
    """
    with _ALEMBIC:
        config = _config(connection)
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        now = find_revision(connection)
        if now is not None and now not in known:
            raise StateError("ledger.newer_schema", now=now, wanted=max(known))
        if now != (scripts.get_current_head() if to == "head" else to):
            command.upgrade(config, to)


def unmigrate(connection: Connection, *, to: str = "base") -> None:
    """Take the schema back down to `to`, dropping tables; for tests of the scripts."""
    with _ALEMBIC:
        command.downgrade(_config(connection), to)


def find_revision(connection: Connection) -> str | None:
    """Say which step the database stands at, or `None` if it is empty."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def newest_revision(connection: Connection) -> str:
    """Say which step this release's scripts lead to."""
    with _ALEMBIC:
        return str(ScriptDirectory.from_config(_config(connection)).get_current_head())


def _config(connection: Connection) -> Config:
    config = Config()
    folder = str(files("consilium.ledger").joinpath("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    return config

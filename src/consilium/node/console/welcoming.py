"""Welcoming the first administrator: the one-time code lies in the node's folder, in a file."""

from __future__ import annotations

from pathlib import Path

from consilium.kernel.clock import Clock
from consilium.ledger.database import Database
from consilium.ledger.files import write_atomic
from consilium.persons.welcome import renew_code

FILE = "welcome-code"
"""In the node's folder, readable by its user alone; gone once somebody has an account."""


def prepare_welcome(home: Path, database: Database, *, clock: Clock) -> str:
    """Make a fresh code and its file while nobody has an account; return the code, or nothing.

    Raises
    ------
    StateError
        `ledger.disk_full`, `ledger.cannot_write`.
    """
    code = renew_code(database, clock=clock)
    if code:
        write_atomic(home / FILE, f"{code}\n".encode())
    else:
        (home / FILE).unlink(missing_ok=True)
    return code

"""The first administrator's code: once, from whoever can read the node's folder.

While nobody has an account, a node makes a code of 80 random bits and shows it
where only its own user looks. Whoever types it into the console makes the first
account. The database keeps its digest; the code ends with that account.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

from sqlalchemy import delete, insert, select

from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import DeniedError
from consilium.ledger.database import Database, Transaction
from consilium.persons.accounts import add_first
from consilium.persons.passwords import PasswordHash
from consilium.persons.records import Person
from consilium.persons.store import WELCOMES, is_anybody

CONSOLE = "console"
"""Who made the first account, if it was made with the code."""
_BYTES = 10
_GROUP = 4


def renew_code(database: Database, *, clock: Clock) -> str:
    """Make the code anew, so that an old one is worth nothing; empty if anybody has an account.

    Returns
    -------
    str
        Four groups of four letters and digits, `ABCD-EFGH-…`.
    """
    with database.write() as tx:
        tx.execute(delete(WELCOMES))
        if is_anybody(tx.connection):
            return ""
        letters = base64.b32encode(secrets.token_bytes(_BYTES)).decode()
        tx.execute(insert(WELCOMES).values(code=_digest(letters), made=write_time(clock.now())))
        tx.record("welcome.made", database.origin, {})
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def check_code(database: Database, code: str) -> None:
    """Refuse a wrong code before anything is spent on the password that came with it.

    Raises
    ------
    DeniedError
        `persons.wrong_welcome`.
    """
    with database.read() as connection:
        if not connection.execute(select(WELCOMES).where(WELCOMES.c.code == _digest(code))).first():
            raise DeniedError("persons.wrong_welcome")


def accept_code(
    tx: Transaction, code: str, *, name: str, secret: PasswordHash, clock: Clock
) -> Person:
    """Make the first administrator's account, once.

    Raises
    ------
    DeniedError
        `persons.wrong_welcome`.
    InputError, StateError
        What `add_first` says.
    """
    if not tx.execute(delete(WELCOMES).where(WELCOMES.c.code == _digest(code))).rowcount:
        raise DeniedError("persons.wrong_welcome")
    return add_first(tx, name=name, secret=secret, clock=clock, by=CONSOLE)


def _digest(code: str) -> str:
    """Digest a code however it was typed: case, blanks and dashes do not count."""
    letters = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest()

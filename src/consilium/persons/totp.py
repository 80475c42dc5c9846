"""The second factor: six digits that a telephone makes from a shared secret and the time.

RFC 6238 by its library: 30 seconds, SHA-1, as every authenticator app speaks
it. A code is taken once. The secret must be readable here to compare codes, so
it is sealed with a key that is not in the database.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Callable

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, delete, insert, select, update

from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import DeniedError, IntegrityError, StateError
from consilium.ledger.database import Transaction
from consilium.persons.records import Person, PersonId
from consilium.persons.sessions import end_all
from consilium.persons.store import FACTORS

OFFERED, ON = "offered", "on"
NEEDED, WRONG = "persons.code_needed", "persons.wrong_code"
PURPOSE = "second factor"
"""What the sealing key is derived for."""
_PERIOD_S = 30
_DRIFT = 1
"""Steps that a telephone's clock may be off, either way."""
_NONCE = 12
_NEVER = -1

SecondProof = Callable[[Transaction, Person], str]
"""Judges the second factor once the password was right: nothing, `NEEDED` or `WRONG`."""


class Sealer:
    """Keeps secrets unreadable to whoever has the database alone (AES-256-GCM).

    Parameters
    ----------
    key : bytes
        32 bytes from the node's own key.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, *, about: str) -> str:
        """Seal a secret for one person."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, secret.encode(), about.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str, *, about: str) -> str:
        """Read what `seal` wrote for the same person.

        Raises
        ------
        IntegrityError
            `persons.factor_unreadable`.
        """
        try:
            raw = base64.b64decode(sealed)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("persons.factor_unreadable") from error


def offer(tx: Transaction, person: Person, *, sealer: Sealer, clock: Clock) -> str:
    """Make a secret for somebody; it counts once `confirm` has seen a code of it.

    Returns
    -------
    str
        The secret in base 32, for the person's telephone.

    Raises
    ------
    StateError
        `persons.factor_on` if there is one already.
    """
    if has_factor(tx.connection, person.id):
        raise StateError("persons.factor_on", now=ON, wanted="none")
    secret = pyotp.random_base32()
    row = {"secret": sealer.seal(secret, about=person.id), "state": OFFERED, "step": _NEVER}
    tx.execute(delete(FACTORS).where(FACTORS.c.person == person.id))
    tx.execute(insert(FACTORS).values(person=person.id, made=write_time(clock.now()), **row))
    return secret


def confirm(
    tx: Transaction, person: Person, code: str, *, sealer: Sealer, clock: Clock, session: str
) -> None:
    """Switch the second factor on with a first code; sessions but the named one end.

    Raises
    ------
    StateError
        `persons.factor_not_offered`.
    DeniedError
        `persons.wrong_code`.
    """
    row = _find(tx.connection, person.id)
    if row is None or row.state != OFFERED:
        raise StateError("persons.factor_not_offered", now="none", wanted=OFFERED)
    step = _step_of(row, code, sealer=sealer, clock=clock)
    if step is None:
        raise DeniedError(WRONG)
    match = FACTORS.c.person == person.id
    tx.execute(update(FACTORS).where(match).values(state=ON, step=step))
    tx.record("factor.added", person.id, {"by": person.id})
    end_all(tx, person.id, by=person.id, why="second factor added", but=session)


def reset(tx: Transaction, person: Person, *, by: str, reason: str) -> None:
    """Take a lost factor away, by another administrator's word; the person's sessions end.

    Raises
    ------
    DeniedError
        `persons.own_factor`: nobody takes away his own, or a stolen session could.
    StateError
        `persons.no_factor`.
    """
    if by == person.id:
        raise DeniedError("persons.own_factor")
    if not has_factor(tx.connection, person.id):
        raise StateError("persons.no_factor", now="none", wanted=ON)
    tx.execute(delete(FACTORS).where(FACTORS.c.person == person.id))
    tx.record("factor.reset", person.id, {"by": by, "reason": reason})
    end_all(tx, person.id, by=by, why="second factor reset")


def has_factor(connection: Connection, person: str) -> bool:
    """Say whether somebody has a second factor that counts."""
    row = _find(connection, person)
    return row is not None and row.state == ON


def no_proof(_tx: Transaction, _person: Person) -> str:
    """Ask for no second factor: at the node's socket, which is the machine's own user's."""
    return ""


def second_proof(code: str, *, sealer: Sealer, clock: Clock) -> SecondProof:
    """Make what judges a code at signing in; whoever has no factor needs none."""

    def judge(tx: Transaction, person: Person) -> str:
        row = _find(tx.connection, person.id)
        if row is None or row.state != ON:
            return ""
        if not code.strip():
            return NEEDED
        step = _step_of(row, code, sealer=sealer, clock=clock)
        if step is None:
            return WRONG
        tx.execute(update(FACTORS).where(FACTORS.c.person == person.id).values(step=step))
        return ""

    return judge


def address_of(secret: str, *, name: str, issuer: str) -> str:
    """Write the `otpauth` address that a telephone reads from a picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def _find(connection: Connection, person: str) -> Row[tuple[str, str, str, int, str]] | None:
    query = select(FACTORS).where(FACTORS.c.person == PersonId(person))
    return connection.execute(query).first()


def _step_of(
    row: Row[tuple[str, str, str, int, str]], code: str, *, sealer: Sealer, clock: Clock
) -> int | None:
    """Return the step whose code this is, if it is later than the last that was taken."""
    given = "".join(code.split())
    totp = pyotp.TOTP(sealer.unseal(row.secret, about=row.person), interval=_PERIOD_S)
    now = int(clock.now().timestamp()) // _PERIOD_S
    found = None
    for step in range(now - _DRIFT, now + _DRIFT + 1):
        is_it = hmac.compare_digest(totp.generate_otp(step).encode(), given.encode())
        if is_it and step > row.step:
            found = step
    return found

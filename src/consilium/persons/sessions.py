"""Sessions: a browser is known again by a random token until it is idle, too old or ended.

The database keeps the token's digest, so whoever reads it cannot act. A session
ends after half an hour without a request, after twelve hours in any case, and
with whatever takes trust away: account disabled, password changed, second
factor reset. Each beginning and each end is evidence.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NewType

from sqlalchemy import Connection, Row, delete, insert, select, update

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, read_time, write_time
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import new_urn
from consilium.ledger.database import Database, Transaction
from consilium.persons.records import Person, PersonId
from consilium.persons.store import PAGE, SESSIONS, get_person

SessionId = NewType("SessionId", str)
Token = NewType("Token", str)
"""256 random bits as text; lives in the browser's cookie and nowhere else."""
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
SIGNED_OUT, IDLE_END, AGE_END = "signed out", "idle", "age"
"""Why a session ends by itself or by its person's own word."""
_NOTED = timedelta(seconds=30)
"""How coarse the last use is kept: a database is not written for each click."""
_LONGEST_AGENT = 200
_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser that somebody is signed in with.

    `agent` is what the browser calls itself, `ends` the moment that no use puts off.
    """

    id: SessionId
    person: PersonId
    agent: str
    began: str
    used: str
    ends: str

    def over(self, now: datetime) -> str:
        """Say why it is over, or nothing while it holds."""
        if now >= read_time(self.ends):
            return AGE_END
        return IDLE_END if now >= read_time(self.used) + IDLE else ""


def begin(
    tx: Transaction, person: Person, *, agent: str, factors: int, clock: Clock
) -> tuple[Session, Token]:
    """Begin a session for somebody who was just recognised.

    Parameters
    ----------
    agent : str
        What the browser calls itself; only told to the person and to administrators.
    factors : int
        How many proofs were given, 1 or 2; for the evidence.

    Returns
    -------
    tuple
        The session, and its token, which exists here alone.
    """
    token, now = Token(secrets.token_urlsafe(_BYTES)), clock.now()
    session = Session(
        id=SessionId(new_urn()),
        person=person.id,
        agent=_tidy(agent),
        began=write_time(now),
        used=write_time(now),
        ends=write_time(now + LONGEST),
    )
    row = {name: getattr(session, name) for name in Session.__slots__}
    tx.execute(insert(SESSIONS).values(**row, token=_digest(token)))
    facts: dict[str, Json] = {"person": person.id, "factors": factors, "ends": session.ends}
    tx.record("session.began", session.id, facts)
    return session, token


def find_session(
    database: Database, token: str, *, clock: Clock, is_use: bool = True
) -> tuple[Session, Person] | None:
    """Look for the session that a token opens, and for its person as he is now.

    A session found to be over is ended here. `is_use` puts off the idle end; a
    page that refreshes by itself is no use.
    """
    with database.read() as connection:
        row = connection.execute(select(SESSIONS).where(SESSIONS.c.token == _digest(token))).first()
        if row is None:
            return None
        session, person = _session(row), get_person(connection, row.person)
    now = clock.now()
    why = session.over(now)
    if why or not person.is_active:
        with database.write() as tx:
            _end(tx, [session], by="", why=why or "disabled")
        return None
    if is_use and now - read_time(session.used) >= _NOTED:
        _note_use(database, session, now)
    return session, person


def is_open(database: Database, session: str, *, clock: Clock) -> bool:
    """Say whether a session still holds; asking is no use of it."""
    with database.read() as connection:
        row = connection.execute(select(SESSIONS).where(SESSIONS.c.id == session)).first()
    return row is not None and not _session(row).over(clock.now())


def list_sessions(connection: Connection, *, person: str = "") -> list[Session]:
    """List the sessions that were not ended, the newest first; of one person if named."""
    query = select(SESSIONS).order_by(SESSIONS.c.began.desc(), SESSIONS.c.id.desc()).limit(PAGE)
    if person:
        query = query.where(SESSIONS.c.person == person)
    return [_session(row) for row in connection.execute(query)]


def get_session(connection: Connection, session: str) -> Session:
    """Return a session by its number.

    Raises
    ------
    NotFoundError
        `persons.session_over`.
    """
    row = connection.execute(select(SESSIONS).where(SESSIONS.c.id == session)).first()
    if row is None:
        raise NotFoundError("persons.session_over")
    return _session(row)


def end(tx: Transaction, session: str, *, by: str, why: str = SIGNED_OUT) -> None:
    """End one session; raises as `get_session` does."""
    _end(tx, [get_session(tx.connection, session)], by=by, why=why)


def end_all(tx: Transaction, person: PersonId, *, by: str, why: str, but: str = "") -> int:
    """End every session of a person, `but` one if it is named; return how many that were."""
    found = [one for one in list_sessions(tx.connection, person=person) if one.id != but]
    _end(tx, found, by=by, why=why)
    return len(found)


def sweep(database: Database, *, clock: Clock) -> int:
    """End every session that is over and that nobody asked for any more."""
    now = clock.now()
    with database.read() as connection:
        over = [one for one in list_sessions(connection) if one.over(now)]
    if over:
        with database.write() as tx:
            for one in over:
                _end(tx, [one], by="", why=one.over(now))
    return len(over)


def page_token(token: str) -> str:
    """Give the second token, which the page itself sends with whatever changes something.

    Another site can make a browser send the cookie and cannot read this.
    """
    return hmac.new(token.encode(), b"consilium page token", hashlib.sha256).hexdigest()


def is_page_token(token: str, given: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(page_token(token).encode(), given.encode())


def _end(tx: Transaction, sessions: list[Session], *, by: str, why: str) -> None:
    """End sessions; what another has ended meanwhile is not ended twice."""
    for one in sessions:
        if tx.execute(delete(SESSIONS).where(SESSIONS.c.id == one.id)).rowcount:
            tx.record("session.ended", one.id, {"person": one.person, "by": by, "why": why})


def _note_use(database: Database, session: Session, now: datetime) -> None:
    later = write_time(now)
    match = (SESSIONS.c.id == session.id, SESSIONS.c.used < later)
    with database.write() as tx:
        tx.execute(update(SESSIONS).where(*match).values(used=later))


def _session(row: Row[Any]) -> Session:
    return Session(**{name: getattr(row, name) for name in Session.__slots__})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _tidy(agent: str) -> str:
    return "".join(letter for letter in agent if letter.isprintable())[:_LONGEST_AGENT]

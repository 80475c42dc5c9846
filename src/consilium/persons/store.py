"""The room's tables and the queries on them. Whoever changes a row does so with evidence."""

from __future__ import annotations

import unicodedata
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    Table,
    Text,
    insert,
    select,
)

from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import NotFoundError, StateError
from consilium.ledger.database import Transaction
from consilium.ledger.tables import METADATA
from consilium.persons.records import (
    Grant,
    ItemId,
    Person,
    PersonId,
    QueueItem,
    Release,
    ReleaseId,
    ReleaseState,
    Role,
)

ACTIVE, DISABLED = "active", "disabled"
PAGE = 1000

PERSONS = Table(
    "persons",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("folded", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("tried", Text, nullable=False),
    Column("created", Text, nullable=False),
    Index("uq_persons_folded", "folded", unique=True),
)
"""`folded` is the name as it is compared. `tries` counts since the last right password."""

ROLES = Table(
    "person_roles",
    METADATA,
    Column("person", Text, ForeignKey("persons.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("granted", Text, nullable=False),
    PrimaryKeyConstraint("person", "role", "study", "organisation", name="pk_person_roles"),
)

ITEMS = Table(
    "person_queue",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("due", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("delegate", Text, nullable=False),
    Column("delegated_by", Text, nullable=False),
    Column("ruling", Text, nullable=False),
    Column("settled_by", Text, nullable=False),
    Column("settled_reason", Text, nullable=False),
    Column("asked", Text, nullable=False),
    Column("settled", Text, nullable=False),
    Index("ix_person_queue_subject", "subject"),
    Index("ix_person_queue_ruling_due", "ruling", "due"),
)

RELEASES = Table(
    "person_releases",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("requested_by", Text, ForeignKey("persons.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("requested", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("changed", Text, nullable=False),
    Index("ix_person_releases_digest", "digest"),
)

CONSENTS = Table(
    "person_consents",
    METADATA,
    Column("thing", Text, nullable=False),
    Column("person", Text, ForeignKey("persons.id"), nullable=False),
    Column("given", Text, nullable=False),
    PrimaryKeyConstraint("thing", "person", name="pk_person_consents"),
)
"""Who has said yes to an item or a release; the key keeps one voice for each person."""

SESSIONS = Table(
    "session",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("person", Text, ForeignKey("persons.id"), nullable=False),
    Column("token", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("began", Text, nullable=False),
    Column("used", Text, nullable=False),
    Column("ends", Text, nullable=False),
    Index("uq_session_token", "token", unique=True),
    Index("ix_session_person", "person"),
)
"""Sessions that have begun and not ended. `token` is the SHA-256 of what the browser keeps."""

FACTORS = Table(
    "second_factor",
    METADATA,
    Column("person", Text, ForeignKey("persons.id"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("made", Text, nullable=False),
)
"""`secret` is sealed with the node's key; `step` is the last one whose code was taken."""

WELCOMES = Table(
    "welcome_code",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("made", Text, nullable=False),
)
"""At most one row, while nobody has an account: the SHA-256 of the first administrator's code."""


def tidy_name(name: str) -> str:
    """Write a name in one form: composed letters (NFKC), one blank between words."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def find_person(connection: Connection, who: str) -> Person | None:
    """Look for a person by number or name; the case of letters does not matter."""
    folded = tidy_name(who).casefold()
    query = select(PERSONS).where((PERSONS.c.id == who) | (PERSONS.c.folded == folded))
    row = connection.execute(query).first()
    return None if row is None else _person(connection, row)


def get_person(connection: Connection, who: str) -> Person:
    """Return a person by number or name.

    Raises
    ------
    NotFoundError
        `persons.no_person`.
    """
    found = find_person(connection, who)
    if found is None:
        raise NotFoundError("persons.no_person")
    return found


def is_anybody(connection: Connection) -> bool:
    """Say whether anybody has an account, also a disabled one."""
    return connection.execute(select(PERSONS.c.id).limit(1)).first() is not None


def list_persons(connection: Connection) -> list[Person]:
    """List all persons by name."""
    query = select(PERSONS).order_by(PERSONS.c.folded).limit(PAGE)
    return [_person(connection, row) for row in connection.execute(query).all()]


def get_item(connection: Connection, item: str) -> QueueItem:
    """Return an item of the queue.

    Raises
    ------
    NotFoundError
        `persons.no_item`.
    """
    row = connection.execute(select(ITEMS).where(ITEMS.c.id == item)).first()
    if row is None:
        raise NotFoundError("persons.no_item")
    return _item(row)


def find_open_item(connection: Connection, *, kind: str, subject: str) -> QueueItem | None:
    """Look for what waits on one thing."""
    query = select(ITEMS).where(
        ITEMS.c.kind == kind, ITEMS.c.subject == subject, ITEMS.c.ruling == ""
    )
    row = connection.execute(query).first()
    return None if row is None else _item(row)


def list_items(connection: Connection, *, settled: bool = False) -> list[QueueItem]:
    """List what waits, the most urgent first; with `settled` what was settled too."""
    query = select(ITEMS).order_by(ITEMS.c.ruling != "", ITEMS.c.due, ITEMS.c.id).limit(PAGE)
    if not settled:
        query = query.where(ITEMS.c.ruling == "")
    return [_item(row) for row in connection.execute(query)]


def get_release(connection: Connection, release: str) -> Release:
    """Return a request for release.

    Raises
    ------
    NotFoundError
        `persons.no_release`.
    """
    row = connection.execute(select(RELEASES).where(RELEASES.c.id == release)).first()
    if row is None:
        raise NotFoundError("persons.no_release")
    return _release(row)


def list_releases(connection: Connection, *, digest: str = "") -> list[Release]:
    """List requests for release, the newest first; of one thing if `digest` is given."""
    query = select(RELEASES).order_by(RELEASES.c.requested.desc(), RELEASES.c.id).limit(PAGE)
    if digest:
        query = query.where(RELEASES.c.digest == digest)
    return [_release(row) for row in connection.execute(query)]


def list_consents(connection: Connection, thing: str) -> list[PersonId]:
    """List who has said yes to an item or a release, in the order they did."""
    query = select(CONSENTS.c.person).where(CONSENTS.c.thing == thing)
    query = query.order_by(CONSENTS.c.given, CONSENTS.c.person)
    return [PersonId(person) for person in connection.execute(query).scalars()]


def add_consent(tx: Transaction, thing: str, by: PersonId, *, clock: Clock) -> None:
    """Write one person's yes.

    Raises
    ------
    StateError
        `persons.said_already`.
    """
    if by in list_consents(tx.connection, thing):
        raise StateError("persons.said_already", now="given", wanted="another person")
    tx.execute(insert(CONSENTS).values(thing=thing, person=by, given=write_time(clock.now())))


def _person(connection: Connection, row: Row[Any]) -> Person:
    query = select(ROLES).where(ROLES.c.person == row.id)
    query = query.order_by(ROLES.c.role, ROLES.c.study, ROLES.c.organisation)
    return Person(
        id=PersonId(row.id),
        name=row.name,
        is_active=row.state == ACTIVE,
        grants=tuple(
            Grant(role=Role(one.role), study=one.study, organisation=one.organisation)
            for one in connection.execute(query)
        ),
        created=row.created,
    )


def _item(row: Row[Any]) -> QueueItem:
    values = {entry.name: getattr(row, entry.name) for entry in fields(QueueItem)}
    return QueueItem(**values | {"id": ItemId(row.id), "role": Role(row.role)})


def _release(row: Row[Any]) -> Release:
    values = {entry.name: getattr(row, entry.name) for entry in fields(Release)}
    return Release(**values | {"id": ReleaseId(row.id), "state": ReleaseState(row.state)})

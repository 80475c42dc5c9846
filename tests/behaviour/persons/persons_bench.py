"""A hospital's persons on a real database; one for all tests, emptied before each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from sqlalchemy import create_engine, text

from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import ConsiliumError
from consilium.ledger.database import Database
from consilium.ledger.evidence import EvidenceEntry
from consilium.persons.accounts import add_person, grant_role
from consilium.persons.approvals import request_release
from consilium.persons.passwords import Cost, hash_password
from consilium.persons.queue import ask
from consilium.persons.records import Grant, Person, QueueItem, Release, Role

CHEAP = Cost(memory_kib=8, passes=1)
"""What a test's password costs to guess; nothing."""
PASSWORD = "正确的 horse battery"
TABLES = (
    "session",
    "second_factor",
    "welcome_code",
    "person_consents",
    "person_releases",
    "person_queue",
    "person_roles",
    "persons",
)
MODEL = digest_of(b"weights")


class Office:
    """The database, the clock, and short ways to make persons and what waits for them."""

    def __init__(self, database: Database, clock: HeldClock) -> None:
        self.database = database
        self.clock = clock
        self.start = database.evidence.size

    def person(self, name: str, *roles: Role | Grant, password: str = PASSWORD) -> Person:
        secret = hash_password(password, name=name, cost=CHEAP)
        with self.database.write() as tx:
            person = add_person(tx, name=name, secret=secret, by="test", clock=self.clock)
            for role in roles:
                grant = role if isinstance(role, Grant) else Grant(role=role)
                person = grant_role(tx, person, grant, by="test", clock=self.clock)
        return person

    def item(self, subject: str = "urn:uuid:process", **changes: Any) -> QueueItem:
        given = {
            "kind": "agreement",
            "subject": subject,
            "reason": "an agreement is asked for",
            "due": self.clock.now() + timedelta(hours=72),
            "role": Role.STEWARD,
            "clock": self.clock,
        }
        with self.database.write() as tx:
            return ask(tx, **(given | changes))

    def release(self, by: Person, **changes: Any) -> Release:
        given = {
            "kind": "model",
            "digest": MODEL,
            "reason": "for the paper's readers",
            "by": by,
            "lasts": timedelta(days=30),
            "clock": self.clock,
        }
        with self.database.write() as tx:
            return request_release(tx, **(given | changes))

    def entries(self) -> list[EvidenceEntry]:
        return self.database.evidence.entries(after=self.start, limit=1000)

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries()]

    def race(self, *calls: Any) -> list[Any]:
        """Run calls at once; each gives its result, or the code of its refusal."""

        def run(call: Any) -> Any:
            try:
                return call()
            except ConsiliumError as error:
                return error.code

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, calls))


def empty(url: str) -> None:
    """Remove all persons and their things; the evidence log goes on."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()

"""Sessions under any order of events: what a plain model allows, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consilium.kernel.clock import HeldClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.persons.accounts import add_person, disable, enable, grant_role, set_password
from consilium.persons.passwords import Cost, hash_password
from consilium.persons.records import Grant, Person, Role
from consilium.persons.sessions import begin, end, end_all, find_session, list_sessions, sweep

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
NAMES = ("one", "two")
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
COARSE = timedelta(seconds=30)
"""A use within this time of the last one need not be kept."""


class Doors(RuleBasedStateMachine):
    """Two persons, their sessions, a clock; the model is a table of last uses."""

    @initialize()
    def open(self) -> None:
        self.folder = TemporaryDirectory()
        self.clock = HeldClock(START)
        self.database: Database = open_database(
            f"sqlite:///{Path(self.folder.name) / 'node.db'}",
            key=SigningKey.generate(),
            clock=self.clock,
            origin="did:web:example.org:north",
        )
        self.secret = hash_password("a password of length", name="x", cost=Cost(memory_kib=8))
        self.persons: dict[str, Person] = {}
        with self.database.write() as tx:
            for name in (*NAMES, "administrator"):
                person = add_person(tx, name=name, secret=self.secret, by="t", clock=self.clock)
                self.persons[name] = person
            keeper = Grant(role=Role.ADMINISTRATOR)
            grant_role(tx, self.persons["administrator"], keeper, by="t", clock=self.clock)
        self.alive: dict[str, tuple[str, str, datetime, datetime]] = {}
        """By token: whose, number, begun, last use that must have been kept."""
        self.dead: set[str] = set()
        self.disabled: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()

    @rule(name=st.sampled_from(NAMES))
    def sign_in(self, name: str) -> None:
        if name in self.disabled:
            return
        now = self.clock.now()
        with self.database.write() as tx:
            session, token = begin(tx, self.persons[name], agent="", factors=1, clock=self.clock)
        self.alive[token] = (name, session.id, now, now)

    @rule(minutes=st.sampled_from([0.2, 1, 10, 29, 30, 31, 200]))
    def wait(self, minutes: float) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), is_use=st.booleans())
    def ask(self, data: st.DataObject, is_use: bool) -> None:
        token = data.draw(st.sampled_from(sorted(self.alive)))
        name, number, begun, used = self.alive[token]
        now = self.clock.now()
        found = find_session(self.database, token, clock=self.clock, is_use=is_use)
        is_over = now - used >= IDLE or now - begun >= LONGEST
        assert (found is None) == is_over
        if found is None:
            self.forget(token)
            return
        assert found[1].name == name
        if is_use and now - used >= COARSE:
            self.alive[token] = (name, number, begun, now)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def sign_out(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.alive)))
        with self.database.write() as tx:
            end(tx, self.alive[token][1], by="t")
        self.forget(token)

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["password", "disable", "all"]))
    def take_trust_away(self, name: str, how: str) -> None:
        person = self.persons[name]
        with self.database.write() as tx:
            if how == "password":
                set_password(tx, person, self.secret, by="t")
            elif how == "all":
                end_all(tx, person.id, by="t", why="second factor reset")
            elif name not in self.disabled:
                self.persons[name] = disable(tx, person, by="t", reason="left")
                self.disabled.add(name)
        for token in [one for one, told in self.alive.items() if told[0] == name]:
            self.forget(token)

    @rule(name=st.sampled_from(NAMES))
    def come_back(self, name: str) -> None:
        with self.database.write() as tx:
            self.persons[name] = enable(tx, self.persons[name], by="t", reason="back")
        self.disabled.discard(name)

    @rule()
    def clean(self) -> None:
        now = self.clock.now()
        over = [
            token
            for token, (_, _, begun, used) in self.alive.items()
            if now - used >= IDLE or now - begun >= LONGEST
        ]
        assert sweep(self.database, clock=self.clock) == len(over)
        for token in over:
            self.forget(token)

    def forget(self, token: str) -> None:
        del self.alive[token]
        self.dead.add(token)

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        for token in getattr(self, "dead", ()):
            assert find_session(self.database, token, clock=self.clock) is None

    @invariant()
    def each_beginning_and_end_is_evidence(self) -> None:
        if not hasattr(self, "database"):
            return
        kinds = [one.kind for one in self.database.evidence.entries(after=0, limit=5000)]
        with self.database.read() as connection:
            kept = len(list_sessions(connection))
        assert kept == len(self.alive)
        assert kinds.count("session.began") == len(self.alive) + len(self.dead)
        assert kinds.count("session.ended") == len(self.dead)


Doors.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestDoors = pytest.mark.slow(Doors.TestCase)

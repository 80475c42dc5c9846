"""A whole space in one process: real connectors, gates, coordinator, engine and counter.

What is missing is the network and the processes. The hub is reached through
`Line`, which carries JSON both ways as the wire does, and breaks when a test
says so. Tests of several folders load this file (see their `conftest.py`).
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from dataspace_rehearsal import (
    GOVERNANCE,
    SCHEMA,
    Hospital,
    Space,
    empty_database,
    participant,
    terms,
)

from consilium.dataspace.connector import Connector
from consilium.dataspace.directory import HeldDirectory
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.records import Dataset, Role, Terms, Transfer
from consilium.dataspace.store import find_transfer
from consilium.federation.coordination import Coordinator
from consilium.federation.local import LocalEngine
from consilium.federation.patience import Patience
from consilium.federation.ports import Desk, Engine
from consilium.federation.registry import Recipes
from consilium.federation.states import LIVE, StudyState
from consilium.federation.store import get_study, list_events
from consilium.gate.gate import Gate
from consilium.gate.orders import Study
from consilium.hub.studies import StudyCounter, Submission
from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.clock import SystemClock, write_time
from consilium.kernel.errors import ConsiliumError, PeerError, error_from_record
from consilium.kernel.identifiers import ParticipantId, StudyId, new_urn
from consilium.ledger.database import Database, Transaction, open_database
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.node.leading import Lead, Leading, Office

CLOCK = SystemClock()
LONGEST_S = 90.0
"""Wait for anything; far beyond what it takes on a quiet machine."""
RECIPES = Recipes()
HASTE = Patience(
    all_sites_s=0.5,
    quorum_s=1.5,
    start_s=30.0,
    margin_s=30.0,
    ended_s=0.2,
    tries=2,
    rest_s=0.05,
    look_s=0.02,
    ask_s=0.02,
)
"""Waits that fit a test."""


class KilledError(BaseException):
    """Stands for kill -9: nothing may catch it."""


def in_days(days: float) -> str:
    return write_time(CLOCK.now() + timedelta(days=days))


def array_file(seed: int, *, n: int = 90) -> bytes:
    """Write a dataset of invented patients: age, sex, outcome; a third held out."""
    generator = np.random.default_rng(seed)
    age, sex = generator.normal(60, 9, n), generator.integers(0, 2, n)
    y = (generator.random(n) < 1 / (1 + np.exp(-(age - 60) / 5 - sex + 0.5))).astype(float)
    stream = io.BytesIO()
    np.savez(
        stream,
        x=np.column_stack([age, sex]).astype(np.float64),
        y=y,
        group=np.arange(n, dtype=np.int64),
        part=(np.arange(n) % 3 == 0).astype(np.int8),
    )
    return stream.getvalue()


def own_terms(lead: str, **changes: Any) -> Terms:
    found = terms(
        lead,
        not_after=in_days(300),
        count=5,
        max_rounds=40,
        algorithms=(RECIPES.digests["tabular-logistic"],),
    )
    return replace(found, **changes)


def make_draft(*sites: Hospital, **changes: Any) -> dict[str, Any]:
    """Write a draft as a person's node takes it."""
    draft: dict[str, Any] = {
        "title": "Heart disease",
        "question": "Does it hold everywhere?",
        "purpose": "research",
        "recipe": "tabular-logistic",
        "settings": {"local_steps": 5},
        "rule": "fedavg",
        "rounds": 2,
        "deadline_s": 60.0,
        "invite": [{"participant": site.me, "dataset": "heart"} for site in sites],
    }
    return draft | changes


@dataclass
class Line:
    """A member's line to the hub: carries JSON, fails before or after, as the test says."""

    counter: Callable[[], StudyCounter]
    member: ParticipantId
    before: Callable[[str, str], None] = lambda _method, _target: None
    after: Callable[[str, str], None] = lambda _method, _target: None
    edit: Callable[[str, Any], Any] = lambda _target, answer: answer
    asked: list[tuple[str, str]] = field(default_factory=list)

    def call(self, method: str, target: str, document: Json = None) -> Any:
        self.before(method, target)
        self.asked.append((method, target))
        try:
            answer = self._answer(method, target, _wired(document))
        except ConsiliumError as error:
            found = error_from_record(error.as_record())
            if isinstance(found, PeerError):
                found.retryable = True
            raise found from None
        self.after(method, target)
        return self.edit(target, _wired(answer))

    def _answer(self, method: str, target: str, document: Any) -> Any:
        counter, (path, _, query) = self.counter(), target.partition("?")
        study, _, verb = path.removeprefix("/studies").strip("/").partition("/")
        routes: dict[tuple[str, str], Callable[[], Any]] = {
            ("POST", ""): lambda: counter.submit(self.member, Submission(**document)),
            ("POST", "stop"): lambda: counter.stop(self.member, StudyId(study)),
            ("GET", "result"): lambda: counter.result(self.member, StudyId(study)),
            ("GET", "events"): lambda: counter.watch(
                self.member, StudyId(study), after=int(query.removeprefix("after="))
            ),
        }
        return routes[method, verb]()


def _wired(value: Any) -> Any:
    return read_json(canonical_bytes(value))


class HubSide:
    """The hub without its door: database, engine, coordinator, counter."""

    def __init__(self, folder: Path, keys: Mapping[ParticipantId, Any]) -> None:
        folder.mkdir()
        self.folder = folder
        self.key = SigningKey.generate()
        self.directory = HeldDirectory(keys)  # type: ignore[arg-type]
        self.desks: dict[ParticipantId, Desk] = {}
        self.patience = HASTE
        (folder / "hub.db").write_bytes(empty_database())
        (folder / "hub.db").chmod(0o600)
        self.open()

    def open(self, *, engine: Engine | None = None) -> None:
        """Serve as after a start; `coordinator.resume` is the test's to call."""
        self.database: Database = open_database(
            f"sqlite:///{self.folder / 'hub.db'}",
            key=self.key,
            clock=CLOCK,
            origin=participant("hub"),
        )
        self.engine: Engine = engine or LocalEngine(self.desks, recipes=RECIPES)
        self.coordinator = Coordinator(
            self.database,
            self.engine,
            self.folder / "studies",
            clock=CLOCK,
            patience=self.patience,
        )
        self.counter = StudyCounter(
            database=self.database,
            coordinator=self.coordinator,
            directory=self.directory,
            clock=CLOCK,
        )

    def close(self) -> None:
        self.coordinator.close()
        self.engine.close()
        self.database.close()

    def row(self, study: StudyId) -> dict[str, Any]:
        with self.database.read() as connection:
            return get_study(connection, study)

    def events(self, study: StudyId, kind: str = "") -> list[dict[str, Any]]:
        with self.database.read() as connection:
            found = list_events(connection, study, limit=10_000)
        return [event for event in found if kind in {"", event["kind"]}]

    def await_state(self, study: StudyId, *states: StudyState, timeout_s: float = LONGEST_S) -> str:
        return await_state(lambda: self.row(study)["state"], *states, timeout_s=timeout_s)


class Door:
    """A hospital's door that can be shut; whoever is inside leaves first."""

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        self._inside = 0
        self._open = True
        self._changed = threading.Condition()

    def __call__(self, request: WireRequest) -> WireReply:
        with self._changed:
            if not self._open:
                raise PeerError("dataspace.unreachable", peer=self._hospital.me)
            self._inside += 1
        try:
            return self._hospital.answer(request)
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def shut(self) -> Iterator[None]:
        with self._changed:
            self._open = False
            self._changed.wait_for(lambda: not self._inside, 10)
        yield
        with self._changed:
            self._open = True


class StudySpace:
    """Hospitals and a hub; hospitals that have data keep a gate for the hub's engine."""

    def __init__(self, folder: Path) -> None:
        self.space = Space(folder, clock=CLOCK)
        self.hub = HubSide(folder / "hub", self.space.keys)
        self.folder = folder
        self._leadings: list[Leading] = []
        self._doors: dict[ParticipantId, Door] = {}

    def add(self, name: str, **options: Any) -> Hospital:
        hospital = self.space.add(name, **options)
        self._doors[hospital.me] = self.space.doors[hospital.me] = Door(hospital)
        hospital.outbox.start()
        return hospital

    def add_data(self, hospital: Hospital, *, lead: str = "north", **changes: Any) -> Dataset:
        """Register a dataset with a real array file, and open the hospital's gate."""
        blobs = BlobStore(self.folder / f"{hospital.name}-blobs")
        seed = sum(hospital.name.encode())
        given: dict[str, Any] = {
            "arrays": blobs.put(array_file(seed)),
            "n_train": 60,
            "n_test": 30,
            "schema": SCHEMA,
            "governance": {**GOVERNANCE, "ethics_expires": in_days(400)},
            "terms": own_terms(lead),
            "clock": CLOCK,
        }
        dataset = hospital.register(**(given | changes))
        self.hub.desks[hospital.me] = Gate(
            hospital.database,
            me=hospital.me,
            key=hospital.key,
            clock=CLOCK,
            blobs=blobs,
            installed=RECIPES.digests,
        )
        return dataset

    def restart(self, hospital: Hospital) -> None:
        """Kill a hospital without data and start it again."""
        door = self._doors[hospital.me]
        with door.shut():
            hospital.outbox.stop()
            hospital.crash()
        hospital.outbox.start()

    def line(self, hospital: Hospital) -> Line:
        return Line(lambda: self.hub.counter, hospital.me)

    def office(self, hospital: Hospital, **changes: Any) -> Office:
        given: dict[str, Any] = {
            "connector": hospital.connector,
            "hub": self.line(hospital),
            "recipes": RECIPES,
            "space": "example.org",
            "aggregator": "https://hub.example.org/studies",
            "models": self.folder / f"{hospital.name}-models",
            "titles": dict,
        }
        return Office(**(given | changes))

    def leading(self, office: Office) -> Leading:
        found = Leading(office)
        self._leadings.append(found)
        return found

    def close(self) -> None:
        for one in self._leadings:
            one.close()
        self.hub.close()
        for one in self._leadings:
            for thread in one._threads.values():
                thread.join(10)
        self.space.close()


def lead_once(office: Office, study: StudyId) -> None:
    """Lead a study in this thread until it ends, or the process does."""
    Lead(office, study, closing=threading.Event()).run()


class DyingDatabase:
    """A database whose process dies right after it has committed an event of some kind."""

    def __init__(self, inner: Database, kind: str, *, study: StudyId | None = None) -> None:
        self._inner = inner
        self._kind = kind
        self._study = study
        self._dead = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        if self._dead.is_set():
            raise KilledError
        with self._inner.write() as tx:
            yield tx
        if self._study is not None:
            with self._inner.read() as connection:
                kinds = [event["kind"] for event in list_events(connection, self._study)]
            if self._kind in kinds:
                self._dead.set()
                raise KilledError


def dying(connector: Connector, kind: str, study: StudyId) -> Connector:
    database: Any = DyingDatabase(connector.database, kind, study=study)
    return replace(connector, database=database)


def study_row(hospital: Hospital, study: StudyId) -> dict[str, Any]:
    with hospital.database.read() as connection:
        return get_study(connection, study)


def study_events(hospital: Hospital, study: StudyId, *kinds: str) -> list[dict[str, Any]]:
    with hospital.database.read() as connection:
        found = list_events(connection, study, limit=10_000)
    return [event for event in found if not kinds or event["kind"] in kinds]


def await_study(
    hospital: Hospital, study: StudyId, *, timeout_s: float = LONGEST_S
) -> dict[str, Any]:
    """Wait until a hospital's own record of a study has ended."""
    await_state(lambda: study_row(hospital, study)["state"], timeout_s=timeout_s)
    return study_row(hospital, study)


def await_state(read: Callable[[], str], *states: StudyState, timeout_s: float = LONGEST_S) -> str:
    """Wait for one of some states, or for the end."""
    ends = time.monotonic() + timeout_s
    while True:
        now = StudyState(read())
        if now in states or now not in LIVE:
            return now
        if time.monotonic() > ends:
            raise TimeoutError(f"the study is still {now}")
        time.sleep(0.02)


def wait_until(holds: Callable[[], object], *, timeout_s: float = LONGEST_S) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError("it did not come about in time")
        time.sleep(0.02)


def transfers_of(hospital: Hospital, plan: Study, *, role: Role) -> dict[ParticipantId, Transfer]:
    """Return one side's transfers of a study, by the site of its plan."""
    with hospital.database.read() as connection:
        found = {
            site.participant: find_transfer(
                connection, agreement=site.agreement, study=plan.study, role=role
            )
            for site in plan.sites
        }
    return {site: transfer for site, transfer in found.items() if transfer is not None}


def new_study() -> StudyId:
    return StudyId(new_urn())

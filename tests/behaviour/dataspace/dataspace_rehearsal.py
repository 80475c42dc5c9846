"""Two hospitals and a stranger, each with its own key and database, in one process.

Tests of several folders load this file (see their `conftest.py`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from consilium.dataspace.connector import Connector
from consilium.dataspace.datasets import Dataset, register_dataset
from consilium.dataspace.decisions import PolicyDecide
from consilium.dataspace.directory import HeldDirectory
from consilium.dataspace.endpoints import answer
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.ports import Decide, Transport, WireReply, WireRequest
from consilium.dataspace.records import Agreement, Negotiation, Role, Terms, Transfer
from consilium.dataspace.settings import DataspaceSettings
from consilium.dataspace.store import get_agreement, get_process
from consilium.dataspace.wire.transports import LocalTransport
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import Clock, HeldClock
from consilium.kernel.errors import PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import Database, open_database
from consilium.ledger.engines import open_engines
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.migration import migrate
from consilium.ledger.statements import sign_statement
from consilium.readers.schema import Schema

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
RECIPE = digest_of(b"tabular-logistic 1.0.0")
SCHEMA = Schema.from_record(
    {
        "title": "heart",
        "fields": [
            {"name": "age", "kind": "number", "unit": "a"},
            {"name": "sex", "kind": "category", "categories": ["f", "m"]},
            {"name": "outcome", "kind": "number"},
        ],
        "label": {"field": "outcome", "rule": "> 0"},
    }
).as_record()
GOVERNANCE = {
    "ethics_approval": "2026-117",
    "ethics_expires": "2028-01-01T00:00:00Z",
    "consent_basis": "broad consent",
    "deidentification": "pseudonymised",
    "retention": "P10Y",
    "human_genetic_resources": False,
    "owner": "Department of Neurology",
    "contact": "data-office@example.org",
}


def participant(name: str) -> ParticipantId:
    return ParticipantId(f"did:web:example.org:{name}")


def terms(*recipients: str, **changes: Any) -> Terms:
    found = Terms(
        purposes=("research",),
        not_after="2027-06-30T00:00:00Z",
        count=3,
        max_rounds=20,
        min_cohort=50,
        recipients=tuple(participant(name) for name in recipients),
        algorithms=(RECIPE,),
    )
    return replace(found, **changes)


@cache
def empty_database() -> bytes:
    """Migrate one database and keep its bytes: the tests open many."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        engines = open_engines(f"sqlite:///{path}")
        with engines.begin_write() as connection:
            migrate(connection)
        engines.close()
        return path.read_bytes()


class FailingTransport:
    """Passes requests on, or fails before or after, as the test says; counts them."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.before: Callable[[WireRequest], None] = _nothing
        self.after: Callable[[WireRequest], None] = _nothing
        self.sent: list[WireRequest] = []

    def send(self, participant: ParticipantId, request: WireRequest) -> WireReply:
        self.before(request)
        reply = self.inner.send(participant, request)
        self.sent.append(request)
        self.after(request)
        return reply


def _nothing(_request: WireRequest) -> None:
    return


def unreachable(_request: WireRequest) -> None:
    raise PeerError("dataspace.unreachable", peer="somebody")


@dataclass
class Hospital:
    """One participant; `open` it again after a crash."""

    name: str
    url: str
    key: SigningKey
    space: Space
    decide: Decide = field(default_factory=PolicyDecide)
    settings: DataspaceSettings = field(default_factory=DataspaceSettings)
    database: Database = field(init=False)
    connector: Connector = field(init=False)
    outbox: Outbox = field(init=False)
    transport: FailingTransport = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    @property
    def me(self) -> ParticipantId:
        return participant(self.name)

    def open(self) -> None:
        self.database = open_database(
            self.url, key=self.key, clock=self.space.clock, origin=self.me
        )
        self.transport = FailingTransport(self.space.transport)
        self.connector = Connector(
            me=self.me,
            title=f"Hospital {self.name}",
            root=f"https://hub.example.org/members/{self.name}/dsp",
            database=self.database,
            key=self.key,
            clock=self.space.clock,
            directory=HeldDirectory(self.space.keys, locations=self.space.places),
            transport=self.transport,
            decide=self.decide,
            settings=self.settings,
        )
        self.outbox = Outbox(self.connector)

    def crash(self) -> None:
        """Lose everything but the database file, and start anew."""
        self.database.close()
        self.open()

    def answer(self, request: WireRequest) -> WireReply:
        return answer(self.connector, request)

    def register(self, name: str = "heart", **changes: Any) -> Dataset:
        given: dict[str, Any] = {
            "name": name,
            "title": "Heart disease",
            "schema": SCHEMA,
            "quality": {},
            "governance": GOVERNANCE,
            "public": False,
            "fingerprint": digest_of(b"source"),
            "arrays": digest_of(b"arrays"),
            "n_train": 200,
            "n_test": 100,
            "terms": terms("north"),
            "clock": self.space.clock,
        }
        with self.database.write() as tx:
            return register_dataset(tx, **(given | changes))

    def negotiation(self, pid: str) -> Negotiation:
        with self.database.read() as connection:
            return get_process(connection, Negotiation, pid)

    def transfer(self, pid: str) -> Transfer:
        with self.database.read() as connection:
            return get_process(connection, Transfer, pid)

    def agreement(self, agreement: str, *, role: Role = Role.PROVIDER) -> Agreement:
        with self.database.read() as connection:
            return get_agreement(connection, agreement, role=role)

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.database.evidence.entries(limit=1000)]

    def post(self, peer: Hospital, path: str, document: Any) -> tuple[int, dict[str, Any]]:
        return self.connector.client.post(peer.me, path, document)

    def get(self, peer: Hospital, path: str) -> tuple[int, dict[str, Any]]:
        return self.connector.client.get(peer.me, path)


class Space:
    """The member list, the clock and the way between hospitals."""

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self.folder = folder
        self.held = HeldClock(START)
        self.clock: Clock = clock or self.held
        self.keys: dict[ParticipantId, PublicKey] = {}
        self.places: dict[ParticipantId, str] = {}
        self.doors: dict[ParticipantId, Callable[[WireRequest], WireReply]] = {}
        self.transport: Transport = LocalTransport(self.doors)
        self.hospitals: dict[str, Hospital] = {}

    def add(self, name: str, **options: Any) -> Hospital:
        key = SigningKey.generate()
        self.keys[participant(name)] = key.public
        path = self.folder / f"{name}.db"
        path.write_bytes(empty_database())
        path.chmod(0o600)
        url = f"sqlite:///{path}"
        hospital = Hospital(name, url, key, self, **options)
        self.doors[hospital.me] = hospital.answer
        self.hospitals[name] = hospital
        return hospital

    def settle(self, *, most: int = 50) -> None:
        """Deliver until nothing is due anywhere."""
        for _ in range(most):
            if not sum(one.outbox.deliver_due() for one in self.hospitals.values()):
                return
        raise AssertionError("the outboxes never come to rest")

    def close(self) -> None:
        for one in self.hospitals.values():
            one.outbox.stop()
            one.database.close()


def study_claims(
    lead: Hospital, provider: Hospital, agreement: Agreement, **changes: Any
) -> dict[str, Any]:
    """Give the payload of a study as far as an agreement speaks of it."""
    claims: dict[str, Any] = {
        "study": "urn:uuid:5a0f6c3e-0000-4000-8000-000000000001",
        "space": "example.org",
        "title": "Heart disease",
        "lead": lead.me,
        "purpose": "research",
        "rounds": 10,
        "recipe": {"name": "tabular-logistic", "digest": RECIPE},
        "expires": "2026-12-01T00:00:00Z",
        "sites": [
            {
                "participant": provider.me,
                "agreement": agreement.id,
                "dataset": agreement.dataset,
                "key": provider.key.public.text,
            }
        ],
    }
    return claims | changes


def sign_claims(lead: Hospital, claims: dict[str, Any], *, kind: str = "study") -> str:
    return sign_statement(lead.key, kind, claims)

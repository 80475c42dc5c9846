"""One hospital's node as the gate sees it: agreement, transfer, dataset, array file.

`World` is the hospital `south`; `north` leads, `west` takes part too, and the
stranger belongs to nobody. The array file holds canaries, and the blob store
counts every look at it. The benchmarks are made importable: their measures,
made small, are tests here.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from consilium.dataspace.policy import agreement_of, offer_for, policy_of
from consilium.dataspace.records import Agreement, Dataset, Negotiation, Role, Terms, Transfer
from consilium.dataspace.store import add
from consilium.dataspace.tables import AGREEMENTS, NEGOTIATIONS, TRANSFERS
from consilium.gate.gate import Gate
from consilium.gate.orders import (
    ArrayNeed,
    FieldNeed,
    Invitation,
    Order,
    RecipeRef,
    Study,
    sign_study,
)
from consilium.gate.replies import sign_round
from consilium.kernel.canonical import Digest, canonical_bytes, digest_of
from consilium.kernel.clock import Clock, HeldClock, SystemClock
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    OfferId,
    ParticipantId,
    ProcessId,
    StudyId,
)
from consilium.ledger.database import Database, open_database
from consilium.ledger.evidence import EvidenceEntry
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays

sys.path.insert(
    0, str(next(place.parent for place in Path(__file__).parents if place.name == "tests"))
)

CANARY = 77_310_001.0
"""A value planted in the data; it must appear nowhere else."""
NAMES = ("north", "south", "west")
RECIPE = digest_of(b"tabular-logistic 1.0.0")
MODEL = pack_arrays({"bias": np.zeros(1), "weight": np.zeros(2)})
SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "age", "kind": "number", "unit": "a"},
        {"name": "sex", "kind": "category", "categories": ["f", "m"]},
        {"name": "weight", "kind": "number", "unit": "kg"},
        {"name": "outcome", "kind": "number"},
    ],
    "label": {"field": "outcome", "rule": "> 0"},
    "split": {},
}


def participant(name: str) -> ParticipantId:
    return ParticipantId(f"did:web:example.org:{name}")


class CountingBlobs(BlobStore):
    """A blob store that remembers how often anybody looked for a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.looks = 0

    def path(self, digest: Digest) -> Path:
        self.looks += 1
        return super().path(digest)


@dataclass
class World:
    """The hospital's gate and what it stands on; tests change one thing and look."""

    database: Database
    blobs: CountingBlobs
    clock: HeldClock
    keys: dict[str, SigningKey]
    dataset: Dataset
    study: Study
    gate: Gate = field(init=False)
    installed: dict[str, Digest] = field(default_factory=lambda: {"tabular-logistic": RECIPE})
    places: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reopen()

    def reopen(self) -> None:
        """Make the gate anew, as after a restart."""
        self.gate = Gate(
            self.database,
            me=participant("south"),
            key=self.keys["south"],
            clock=self.clock,
            blobs=self.blobs,
            installed=self.installed,
            location_of=lambda who: self.places.get(who, ""),
        )

    def order(self, *, study: Study | None = None, signer: str = "north", **changes: Any) -> bytes:
        """Write an order for the study, by default its first segment."""
        plan = study or self.study
        order = Order(
            signed_study=sign_study(self.keys[signer], plan),
            segment=1,
            attempt=1,
            first_round=1,
            start=plan.start,
        )
        return replace(order, **changes).as_json()

    def countersign(self, round_: int, digest: Digest, *names: str) -> tuple[str, ...]:
        """Let hospitals say that this was the round's model."""
        study = self.study.study
        return tuple(
            sign_round(self.keys[name], study=study, round=round_, digest=digest) for name in names
        )

    def write(self, table: sa.Table, **values: Any) -> None:
        """Change the one row of a dataspace table."""
        with self.database.write() as tx:
            tx.execute(sa.update(table).values(**values))

    def set_terms(self, **changes: Any) -> None:
        """Put other terms into the agreement."""
        terms = replace(self.dataset.terms, **changes)
        policy = canonical_bytes(_agreed(terms)).decode()
        self.write(AGREEMENTS, policy=policy)

    def set_agreement(self, state: str) -> None:
        self.write(NEGOTIATIONS, state=state)

    def set_transfer(self, **values: Any) -> None:
        self.write(TRANSFERS, **values)

    def start_transfer(self, study: Study) -> None:
        """Let the transfer of another study start under the same agreement."""
        with self.database.write() as tx:
            add(tx, _transfer(study))

    def break_evidence(self) -> None:
        """Make every evidence entry fail, as on a full disk."""
        with self.database.write() as tx:
            tx.connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE INSERT ON evidence "
                "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )

    def mend_evidence(self) -> None:
        with self.database.write() as tx:
            tx.connection.exec_driver_sql("DROP TRIGGER full")

    def evidence(self, kind: str) -> list[EvidenceEntry]:
        return self.database.evidence.entries(limit=1000, kind=kind)

    def train(self, *, round_: int = 1, model: bytes = MODEL, order: bytes | None = None) -> bytes:
        """Take a lease and release an honest update under it."""
        lease = self.gate.lease(
            order or self.order(), kind="train", round=round_, model=digest_of(model)
        )
        lease.file.close()
        return self.gate.release(lease.id, update=MODEL, facts={"n": 60, "work_s": 0.25})


def make_study(keys: dict[str, SigningKey], **changes: Any) -> Study:
    study = Study(
        study=StudyId("urn:uuid:study-1"),
        space="example.org",
        title="A study",
        question="Does it hold everywhere?",
        purpose="research",
        lead=participant("north"),
        recipe=RecipeRef(name="tabular-logistic", version="1.0.0", digest=RECIPE),
        features=(
            FieldNeed(name="age", kind="number", unit="a"),
            FieldNeed(name="sex", kind="category", categories=("f", "m")),
        ),
        label="outcome",
        rule="fedavg",
        start=digest_of(MODEL),
        rounds=3,
        quorum=2,
        deadline_s=30.0,
        seed=42,
        sites=tuple(
            Invitation(
                participant=participant(name),
                agreement=AgreementId(f"urn:uuid:agreement-{name}"),
                dataset=DatasetId(f"urn:uuid:dataset-{name}"),
                key=keys[name].public.text,
            )
            for name in NAMES
        ),
        created="2026-01-01T00:00:00.000000Z",
        expires="2026-03-01T00:00:00.000000Z",
        layout=(ArrayNeed(name="bias", shape=(1,)), ArrayNeed(name="weight", shape=(2,))),
    )
    return replace(study, **changes)


def array_file() -> bytes:
    """Write an array file of 100 cases with canaries in it."""
    buffer = BytesIO()
    x = np.full((100, 3), CANARY)
    part = np.array([0] * 60 + [1] * 40, dtype=np.int8)
    np.savez(buffer, x=x, y=np.arange(100) % 2.0, group=np.arange(100), part=part)
    return buffer.getvalue()


def _open(path: Path, keys: dict[str, SigningKey], clock: Clock) -> Database:
    return open_database(
        f"sqlite:///{path}", key=keys["south"], clock=clock, origin=participant("south")
    )


def _terms() -> Terms:
    return Terms(
        purposes=("research",),
        not_after="2026-02-01T00:00:00Z",
        count=2,
        max_rounds=8,
        min_cohort=20,
        recipients=(participant("north"),),
        algorithms=(RECIPE,),
    )


def _agreed(terms: Terms) -> dict[str, Any]:
    policy = policy_of(terms, offer=OfferId("urn:uuid:offer"))
    return agreement_of(
        offer_for(policy, target=DatasetId("urn:uuid:dataset-south")),
        agreement=AgreementId("urn:uuid:agreement-south"),
        assigner=participant("south"),
        assignee=participant("north"),
        timestamp="2026-01-01T00:00:00Z",
    )


def _transfer(study: Study) -> Transfer:
    return Transfer(
        pid=ProcessId(f"urn:uuid:transfer-{study.study}"),
        peer_pid=ProcessId("urn:uuid:peer"),
        role=Role.PROVIDER,
        peer=participant("north"),
        agreement=AgreementId("urn:uuid:agreement-south"),
        study=study.study,
        study_digest=study.digest,
        signed_study="",
        data_address={},
        state="STARTED",
        code="",
        reason="",
        created="",
        updated="",
    )


@pytest.fixture(scope="session")
def keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate() for name in (*NAMES, "stranger")}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, SigningKey]) -> Path:
    """Make a database once; each test gets a copy of the file."""
    path = tmp_path_factory.mktemp("gate") / "empty.db"
    _open(path, keys, SystemClock()).close()
    return path


@pytest.fixture
def make_world(
    tmp_path: Path, keys: dict[str, SigningKey], empty_database: Path
) -> Iterator[Callable[..., World]]:
    """Give a maker of worlds; `public`, `n_train` and `n_test` can be chosen."""
    opened: list[Database] = []

    def make(**changes: Any) -> World:
        clock = HeldClock(datetime(2026, 1, 10, tzinfo=UTC))
        copy = Path(shutil.copy(empty_database, tmp_path / f"node-{len(opened)}.db"))
        database = _open(copy, keys, clock)
        opened.append(database)
        blobs = CountingBlobs(tmp_path / f"blobs-{len(opened)}")
        terms, study = _terms(), make_study(keys)
        dataset = Dataset(
            id=DatasetId("urn:uuid:dataset-south"),
            name="hearts",
            title="Hearts",
            schema=SCHEMA,
            quality={},
            governance={},
            public=False,
            fingerprint=digest_of(b"source"),
            arrays=blobs.put(array_file()),
            n_train=60,
            n_test=40,
            terms=terms,
            offer=OfferId("urn:uuid:offer"),
            created="",
        )
        dataset = replace(dataset, **changes)
        with database.write() as tx:
            for record in (dataset, *_agreement(keys, terms), _transfer(study)):
                add(tx, record)
        return World(database, blobs, clock, keys, dataset, study)

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def _agreement(keys: dict[str, SigningKey], terms: Terms) -> tuple[Negotiation, Agreement]:
    policy = _agreed(terms)
    agreement = AgreementId("urn:uuid:agreement-south")
    negotiation = Negotiation(
        pid=ProcessId("urn:uuid:negotiation"),
        peer_pid=ProcessId("urn:uuid:peer"),
        role=Role.PROVIDER,
        peer=participant("north"),
        peer_key=keys["north"].public.text,
        state="FINALIZED",
        dataset=DatasetId("urn:uuid:dataset-south"),
        offer=OfferId("urn:uuid:offer"),
        policy=policy,
        agreement=agreement,
        callback="",
        code="",
        reason="",
        created="",
        updated="",
    )
    agreed = Agreement(
        id=agreement,
        role=Role.PROVIDER,
        dataset=DatasetId("urn:uuid:dataset-south"),
        provider=participant("south"),
        consumer=participant("north"),
        provider_key=keys["south"].public.text,
        consumer_key=keys["north"].public.text,
        policy=policy,
        terms=terms,
        negotiation=negotiation.pid,
        state="FINALIZED",
        agreed="2026-01-01T00:00:00Z",
    )
    return negotiation, agreed

"""Orders and a desk for the engine's unit tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consilium.gate.orders import FieldNeed, Invitation, Order, RecipeRef, Study, sign_study
from consilium.gate.sums import Question
from consilium.kernel.canonical import Digest, Json, digest_of
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    LeaseId,
    StudyId,
    participant_id,
)
from consilium.ledger.keys import SigningKey
from consilium.node.job_main import OpenLease

SPACE = "test.example"
START = digest_of(b"start")


@pytest.fixture(scope="session")
def order() -> Order:
    """An order over three hospitals, quorum two; its title holds what FLARE would replace."""
    sites = tuple(
        Invitation(
            participant=participant_id(SPACE, name),
            agreement=AgreementId(f"agreement-{name}"),
            dataset=DatasetId(f"dataset-{name}"),
            key=SigningKey.generate().public.text,
        )
        for name in ("west", "east", "north")
    )
    study = Study(
        study=StudyId("urn:uuid:1"),
        space=SPACE,
        title="{JOB_ID} and {$HOME}",
        question="Who is ill?",
        purpose="testing",
        lead=participant_id(SPACE, "lead"),
        recipe=RecipeRef(name="tabular-logistic", version="1.0.0", digest=START),
        features=(FieldNeed(name="age", kind="number"),),
        label="ill",
        rule="fedavg",
        start=START,
        rounds=3,
        quorum=2,
        deadline_s=5.0,
        seed=1,
        sites=sites,
        created="2026-01-01T00:00:00.000000Z",
        expires="2027-01-01T00:00:00.000000Z",
    )
    signed = sign_study(SigningKey.generate(), study)
    return Order(signed_study=signed, segment=1, attempt=1, first_round=1, start=START)


@dataclass
class FakeDesk:
    """Remembers what it was asked, and refuses when told to."""

    data: Path
    refusal: Exception | None = None
    asked: list[tuple[str, object]] = field(default_factory=list)
    mode: str = "rb"
    kept: bytes = b""

    def admit(self, order: bytes) -> None:
        self._hear("admit", order)

    def stay(self, order: bytes) -> None:
        self._hear("stay", order)

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        assert reason
        self._hear("refused", code if what == "admission" else f"{what} {code}")

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> OpenLease:  # noqa: A002
        self._hear("lease", (order, kind, round, model))
        return OpenLease(
            id=LeaseId("lease-1"),
            file=self.data.open(self.mode),  # type: ignore[arg-type]
            facts={"participant": "did:web:test.example:west"},
        )

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        self._hear("release", (lease, update, dict(facts)))
        self.kept = kept
        return b"reply to " + update

    def converse(self, order: bytes, question: Question) -> bytes:
        self._hear("converse", (order, question))
        return b"answer to " + question.message

    def _hear(self, call: str, what: object) -> None:
        self.asked.append((call, what))
        if self.refusal:
            raise self.refusal


@pytest.fixture
def make_desk(tmp_path: Path) -> Callable[..., FakeDesk]:
    """Make desks over a small data file."""

    def make(refusal: ConsiliumError | None = None) -> FakeDesk:
        data = tmp_path / "data.npz"
        data.write_bytes(b"patients")
        return FakeDesk(data, refusal)

    return make

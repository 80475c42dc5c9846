"""A small study of three sites, and the keys of those who take part."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consilium.gate.orders import ArrayNeed, FieldNeed, Invitation, RecipeRef, Study
from consilium.kernel.canonical import digest_of
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, StudyId
from consilium.ledger.keys import SigningKey

NAMES = ("north", "south", "west")


@pytest.fixture(scope="session")
def keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate() for name in (*NAMES, "stranger")}


@pytest.fixture
def make_study(keys: dict[str, SigningKey]) -> Callable[..., Study]:
    def make(**changes: Any) -> Study:
        study = Study(
            study=StudyId("urn:uuid:11111111-1111-4111-8111-111111111111"),
            space="example.org",
            title="胶质瘤分型",
            question="Does the model hold in every hospital?",
            purpose="research",
            lead=ParticipantId("did:web:example.org:north"),
            recipe=RecipeRef(
                name="tabular-logistic", version="1", digest=digest_of(b"r"), settings={"l2": 0.5}
            ),
            features=(
                FieldNeed(name="age", kind="number", unit="a"),
                FieldNeed(name="sex", kind="category", categories=("f", "m")),
            ),
            label="outcome",
            rule="fedavg",
            rule_settings={},
            start=digest_of(b"start"),
            rounds=5,
            quorum=2,
            deadline_s=30.0,
            seed=42,
            sites=tuple(
                Invitation(
                    participant=ParticipantId(f"did:web:example.org:{name}"),
                    agreement=AgreementId(f"urn:uuid:{name}"),
                    dataset=DatasetId(f"dataset-{name}"),
                    key=keys[name].public.text,
                )
                for name in NAMES
            ),
            created="2026-01-01T00:00:00.000000Z",
            expires="2026-02-01T00:00:00.000000Z",
            layout=(ArrayNeed(name="w", shape=(2,)), ArrayNeed(name="b", shape=())),
        )
        return replace(study, **changes)

    return make

"""A passport of a small study, and the weights that it names."""

from typing import Any

import numpy as np
import pytest

from consilium.kernel.canonical import digest_of
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.ledger.keys import SigningKey
from consilium.models.passports import Capability, Input, Lineage, Passport, SiteRecord
from consilium.models.weights import pack_arrays

WEIGHTS = pack_arrays({"bias": np.array([0.5]), "weight": np.array([1.0, -2.0])})


def _figure(value: float | None, **changes: Any) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - 0.05, value + 0.05)
    plain = {"value": value, "low": low, "high": high, "n": 40, "reason": None, "skipped": 0}
    return plain | changes


def _site(name: str, auroc: float | None) -> SiteRecord:
    reason = None if auroc else "models.not_weights"
    return SiteRecord(
        participant=ParticipantId(f"did:web:example.org:{name}"),
        agreement=AgreementId(f"urn:uuid:{name}"),
        fingerprint=digest_of(name.encode()),
        n_train=60,
        n_test=40,
        rounds=5,
        rows={
            "federated": {"auroc": _figure(auroc, reason=reason), "brier": _figure(0.2)},
            "local": {"auroc": _figure(0.7)},
        },
        chosen="federated",
        reply=digest_of(b"statement"),
    )


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def weights() -> bytes:
    return WEIGHTS


@pytest.fixture
def passport() -> Passport:
    return Passport(
        weights=digest_of(WEIGHTS),
        name="Hearts | 心脏",
        capability=Capability(
            task="classification",
            family="logistic regression",
            recipe="tabular-logistic",
            recipe_version="1.0.0",
            recipe_digest=digest_of(b"recipe"),
            settings={"learning_rate": 0.01},
            inputs=(
                Input(name="age", kind="number", unit="a"),
                Input(name="sex", kind="category", categories=("f", "m")),
            ),
            label="outcome",
            arrays={"bias": (1,), "weight": (2,)},
        ),
        lineage=Lineage(
            study=StudyId("urn:uuid:study"),
            plan=digest_of(b"plan"),
            title="A study",
            question="Does it hold <everywhere>?",
            purpose="research",
            lead=ParticipantId("did:web:example.org:north"),
            rule="fedavg",
            rounds=5,
            seed=42,
            start=digest_of(b"start"),
        ),
        sites=(_site("north", 0.8), _site("south", None), _site("west", 0.6)),
        issuer=ParticipantId("did:web:example.org:north"),
        created="2026-01-10T00:00:00.000000Z",
    )

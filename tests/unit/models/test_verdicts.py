"""A verdict's outcome follows from its figures, whoever signed what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import AgreementId
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.models.card import write_card
from consilium.models.marks import (
    read_marked,
    sign_audit_mark,
    verify_audit_mark,
    verify_marked,
    write_marks,
)
from consilium.models.passports import Passport, sign_passport
from consilium.models.verdicts import (
    CONTROL_FAILED,
    INCONCLUSIVE,
    KIND,
    LEAKS,
    PASSED,
    TOO_FEW,
    Attack,
    Verdict,
    conclude,
    read_verdict,
    sign_verdict,
    verify_verdict,
)

QUIET = Attack(
    name="loss",
    auc=0.51,
    auc_low=0.45,
    auc_high=0.57,
    fpr=0.05,
    tpr=0.06,
    tpr_low=0.02,
    tpr_high=0.1,
    control=0.99,
)
HOSPITAL = SigningKey.generate()


def verdict_of(passport: Passport, **changes: Any) -> Verdict:
    site = passport.sites[1]
    found = Verdict(
        passport=passport.digest,
        weights=passport.weights,
        study=passport.lineage.study,
        agreement=site.agreement,
        participant=site.participant,
        method="loss threshold and reference models, 1",
        time="2026-01-10T00:00:00.000000Z",
        members=300,
        others=100,
        references=0,
        limit=0.6,
        attacks=(QUIET,),
        outcome=PASSED,
        reason="",
    )
    return replace(found, **changes)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ConsiliumError) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({}, PASSED, ""),
        ({"control": 0.8}, INCONCLUSIVE, CONTROL_FAILED),
        ({"auc_high": 0.61}, INCONCLUSIVE, TOO_FEW),
        ({"auc": 0.7, "auc_low": 0.62, "auc_high": 0.78}, LEAKS, ""),
        ({"auc": 0.7, "auc_low": 0.48, "auc_high": 0.8}, INCONCLUSIVE, TOO_FEW),
        ({"tpr": 0.3, "tpr_low": 0.2}, LEAKS, ""),
        ({"tpr": None, "tpr_low": None, "tpr_high": None, "fpr": None}, PASSED, ""),
        ({"auc": 0.9, "auc_low": 0.8, "auc_high": 1.0, "control": 0.5}, LEAKS, ""),
    ],
)
def test_an_audit_passes_only_with_its_control_and_enough_patients(
    changes: dict[str, Any], outcome: str, reason: str
) -> None:
    attack = replace(QUIET, **changes)
    assert conclude([QUIET, attack], limit=0.6) == (outcome, reason)


def test_a_verdict_that_says_more_than_its_figures_is_neither_signed_nor_read(
    passport: Passport,
) -> None:
    failed = (replace(QUIET, control=0.5),)
    for changes in (
        {"attacks": failed},
        {"attacks": ()},
        {"outcome": LEAKS},
        {"limit": 1.5},
        {"members": -1},
        {"members": 3.5},
        {"attacks": (replace(QUIET, auc=float("nan")),)},
    ):
        verdict = verdict_of(passport, **changes)
        assert code_of(lambda one=verdict: sign_verdict(HOSPITAL, one)) == "models.bad_verdict"  # type: ignore[misc]
    record = verdict_of(passport, attacks=failed).as_record()
    forged = sign_statement(HOSPITAL, KIND, record)
    assert code_of(lambda: verify_verdict(forged, key=HOSPITAL.public)) == "models.bad_verdict"
    more = sign_statement(HOSPITAL, KIND, {**verdict_of(passport).as_record(), "patient": "x"})
    assert code_of(lambda: read_verdict(more)) == "models.bad_verdict"
    honest = verdict_of(passport, attacks=failed, outcome=INCONCLUSIVE, reason=CONTROL_FAILED)
    text = sign_verdict(HOSPITAL, honest)
    assert verify_verdict(text, key=HOSPITAL.public) == read_verdict(text) == honest
    other = SigningKey.generate().public
    assert code_of(lambda: verify_verdict(text, key=other)) == "ledger.bad_signature"


def test_a_passport_is_verified_together_with_its_verdicts(
    tmp_path: Path, passport: Passport, key: SigningKey
) -> None:
    path = tmp_path / "model.passport"
    path.write_text(sign_passport(key, passport))
    statement = sign_verdict(HOSPITAL, verdict_of(passport))
    mark = sign_audit_mark(key, passport, statement=statement, by=HOSPITAL.public)
    write_marks(path, [mark])
    found = verify_marked(path, key=key.public)
    assert [one.verdict for one in found.audits] == [verdict_of(passport)]
    assert found.marks == ()
    assert read_marked(path) == found
    assert code_of(lambda: verify_audit_mark(mark, key=HOSPITAL.public)) == "ledger.bad_signature"
    card = write_card(passport, audits=found.audits)
    assert "passed 通过" in card
    assert "0.510 (0.450 to 0.570)" in card
    assert "No hospital has laid a verdict" in write_card(passport)


def test_a_verdict_is_bound_to_its_model_and_hospital(passport: Passport, key: SigningKey) -> None:
    def sign(**changes: Any) -> str:
        statement = sign_verdict(HOSPITAL, replace(verdict_of(passport), **changes))
        return sign_audit_mark(key, passport, statement=statement, by=HOSPITAL.public)

    for changes in (
        {"passport": digest_of(b"another")},
        {"weights": digest_of(b"another")},
        {"agreement": AgreementId("urn:uuid:another")},
    ):
        assert code_of(lambda changes=changes: sign(**changes)) == "models.other_verdict"  # type: ignore[misc]
    statement = sign_verdict(HOSPITAL, verdict_of(passport))
    assert (
        code_of(lambda: sign_audit_mark(key, passport, statement=statement, by=key.public))
        == "ledger.bad_signature"
    )

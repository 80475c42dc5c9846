"""Marks beside a passport: signed, bound to it, and told with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import ConsiliumError
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.models.card import write_card
from consilium.models.marks import (
    Mark,
    marks_path,
    read_marks,
    sign_mark,
    verify_mark,
    verify_marked,
    write_marks,
)
from consilium.models.passports import Passport, sign_passport


def mark_of(passport: Passport) -> Mark:
    site = passport.sites[1]
    return Mark(
        passport=passport.digest,
        weights=passport.weights,
        study=passport.lineage.study,
        agreement=site.agreement,
        participant=site.participant,
        rounds=site.rounds,
        by=site.participant,
        time="2026-01-10T00:00:00.000000Z",
        reason="consent | withdrawn",
        statement="a.b.c",
    )


@pytest.fixture
def lay(tmp_path: Path, passport: Passport, key: SigningKey) -> Callable[..., Path]:
    def make(*statements: str) -> Path:
        path = tmp_path / "model.passport"
        path.write_text(sign_passport(key, passport))
        if statements:
            write_marks(path, statements)
        return path

    return make


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ConsiliumError) as refused:
        call()
    return refused.value.code


def test_a_passport_is_verified_together_with_its_marks(
    lay: Callable[..., Path], passport: Passport, key: SigningKey, weights: bytes
) -> None:
    mark = mark_of(passport)
    found = verify_marked(lay(sign_mark(key, mark)), key=key.public, weights=weights)
    assert found.passport == passport
    assert found.marks == (mark,)


def test_a_passport_without_marks_has_none(
    lay: Callable[..., Path], key: SigningKey, tmp_path: Path
) -> None:
    path = lay()
    assert marks_path(path) == tmp_path / "model.marks.json"
    assert read_marks(path) == []
    assert verify_marked(path, key=key.public).marks == ()
    nowhere = tmp_path / "nothing.passport"
    assert code_of(lambda: verify_marked(nowhere, key=key.public)) == "models.no_passport"


def test_marks_of_others_and_junk_are_found_out(
    lay: Callable[..., Path], passport: Passport, key: SigningKey
) -> None:
    mark = mark_of(passport)
    elsewhere = sign_mark(key, replace(mark, passport=digest_of(b"another")))
    forged = sign_mark(SigningKey.generate(), mark)
    for statement, code in ((elsewhere, "models.other_mark"), (forged, "ledger.bad_signature")):
        path = lay(statement)
        assert code_of(lambda path=path: verify_marked(path, key=key.public)) == code  # type: ignore[misc]
    path = lay()
    for junk in ("{", "{}", "[1]"):
        marks_path(path).write_text(junk)
        assert code_of(lambda: read_marks(path)) == "models.bad_mark"


def test_a_mark_with_other_fields_is_none(key: SigningKey, passport: Passport) -> None:
    text = sign_statement(key, "passport-mark", {"passport": passport.digest})
    assert code_of(lambda: verify_mark(text, key=key.public)) == "models.bad_mark"


def test_the_card_tells_of_revoked_agreements_first(passport: Passport) -> None:
    plain, marked = write_card(passport), write_card(passport, marks=[mark_of(passport)])
    assert "Revoked" not in plain
    assert marked.index("Revoked agreements") < marked.index("What it is")
    assert "consent \\| withdrawn" in marked

"""Signed statements: what passes, and all that does not."""

import base64
import json

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

KEY = SigningKey.generate()
FACTS = {"study": "s-1", "rounds": 3, "sites": ["a", "b"], "题": "胶质瘤"}
TEXT = sign_statement(KEY, "study", FACTS)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def resign(header: dict[str, object], payload: bytes) -> str:
    signed = f"{encode(json.dumps(header, separators=(',', ':')).encode())}.{encode(payload)}"
    return f"{signed}.{encode(KEY.sign(signed.encode()))}"


def test_a_statement_gives_back_what_was_signed() -> None:
    assert verify_statement(TEXT, "study", KEY.public) == FACTS
    assert peek_statement(TEXT) == FACTS


def test_one_meaning_has_one_text() -> None:
    turned = dict(reversed(FACTS.items()))
    assert sign_statement(KEY, "study", turned) == TEXT


def test_a_foreign_library_agrees_with_the_signature() -> None:
    with pytest.warns(SecurityWarning):
        found = jws.deserialize_compact(TEXT, OKPKey(KEY.ed25519, KEY.ed25519), ["EdDSA"])
    assert found.headers() == {
        "alg": "EdDSA",
        "kid": KEY.public.fingerprint,
        "typ": "consilium-study",
    }
    assert json.loads(found.payload) == FACTS


def test_a_statement_of_another_kind_is_refused() -> None:
    with pytest.raises(IntegrityError):
        verify_statement(TEXT, "reply", KEY.public)


def test_a_statement_of_another_key_is_refused() -> None:
    with pytest.raises(IntegrityError):
        verify_statement(TEXT, "study", SigningKey.generate().public)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_letter_is_found(part: int) -> None:
    parts = TEXT.split(".")
    letter = "A" if parts[part][3] != "A" else "B"
    parts[part] = parts[part][:3] + letter + parts[part][4:]
    with pytest.raises(IntegrityError):
        verify_statement(".".join(parts), "study", KEY.public)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": KEY.public.fingerprint, "typ": "consilium-study"},
        {"alg": "HS256", "kid": KEY.public.fingerprint, "typ": "consilium-study"},
        {"alg": "EdDSA", "typ": "consilium-study"},
        {"alg": "EdDSA", "crit": ["b64"], "kid": KEY.public.fingerprint, "typ": "consilium-study"},
        {"typ": "consilium-study", "kid": KEY.public.fingerprint, "alg": "EdDSA"},
    ],
)
def test_another_header_is_refused_even_when_signed(header: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        verify_statement(resign(header, b'{"a":1}'), "study", KEY.public)


@pytest.mark.parametrize("payload", [b'{ "a":1}', b'{"a":1,"a":1}', b"[1]", b"null", b"\xff", b""])
def test_another_form_of_the_payload_is_refused_even_when_signed(payload: bytes) -> None:
    header = {"alg": "EdDSA", "kid": KEY.public.fingerprint, "typ": "consilium-study"}
    with pytest.raises(IntegrityError):
        verify_statement(resign(header, payload), "study", KEY.public)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "a.b", TEXT + ".x", TEXT + "=", "é.é.é"])
def test_a_text_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        verify_statement(text, "study", KEY.public)


@pytest.mark.parametrize("text", ["", "a.b", "a.W10.c", "a.!.c", "a.e30=.c", "a.bm90IGpzb24.c"])
def test_a_text_that_is_no_statement_cannot_be_peeked_into(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        peek_statement(text)
    assert refusal.value.code == "ledger.not_a_statement"

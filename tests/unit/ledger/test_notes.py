"""Checkpoints in the form of C2SP."""

import base64

import pytest

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.notes import (
    check_origin,
    read_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_note,
)

KEY = SigningKey.generate()
ORIGIN = "did:web:space:tiantan"
ROOT = bytes(range(32))
NOTE = sign_checkpoint(KEY, ORIGIN, size=42, root=ROOT)


def test_a_note_of_the_reference_implementation_is_verified() -> None:
    # golang.org/x/mod/sumdb/note, the example of its documentation
    name, hashed = "PeterNeumann", "c74f20a3"
    key = PublicKey(base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:])
    body = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    signature = (
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZIn"
        "NIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert base64.b64decode(signature)[:4].hex() == hashed
    assert verify_note(f"{body}\n— {name} {signature}\n", name, key) == body


def test_a_checkpoint_has_the_form_of_c2sp() -> None:
    body, _, signatures = NOTE.text.partition("\n\n")
    assert body.split("\n") == [ORIGIN, "42", base64.b64encode(ROOT).decode()]
    mark, name, blob = signatures.split(" ")
    assert (mark, name) == ("—", ORIGIN)
    assert blob.endswith("\n")
    assert len(base64.b64decode(blob)) == 4 + 64


def test_a_checkpoint_is_read_back() -> None:
    assert read_checkpoint(NOTE.text) == NOTE
    assert verify_checkpoint(NOTE.text, KEY.public) == NOTE


def test_a_witness_may_sign_too_and_a_line_may_be_added_by_the_owner() -> None:
    witness = SigningKey.generate()
    cosigned = NOTE.text + sign_checkpoint(witness, "hub", size=42, root=ROOT).text.split("\n\n")[1]
    assert verify_checkpoint(cosigned, KEY.public).size == 42


def test_a_checkpoint_of_another_key_is_refused() -> None:
    with pytest.raises(IntegrityError):
        verify_checkpoint(NOTE.text, SigningKey.generate().public)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n42\n", "\n43\n"),
        (ORIGIN, "did:web:space:other"),
        (base64.b64encode(ROOT).decode()[:5], "AAAAA"),
    ],
)
def test_a_changed_checkpoint_is_refused(old: str, new: str) -> None:
    with pytest.raises(IntegrityError):
        verify_checkpoint(NOTE.text.replace(old, new), KEY.public)


def test_the_signature_of_another_log_of_the_same_owner_is_refused() -> None:
    other = sign_checkpoint(KEY, "did:web:space:other", size=42, root=ROOT).text.split("\n\n")[1]
    text = NOTE.text.split("\n\n")[0] + "\n\n" + other.replace("did:web:space:other", ORIGIN)
    with pytest.raises(IntegrityError):
        verify_checkpoint(text, KEY.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        NOTE.text.rstrip("\n"),
        NOTE.text.replace("\n42\n", "\n042\n"),
        NOTE.text.replace("\n42\n", "\n-1\n"),
        NOTE.text.replace("\n42\n", "\n\n"),
        NOTE.text.replace("—", "-"),
        NOTE.text.replace(base64.b64encode(ROOT).decode(), "AAAA"),
        NOTE.text.replace(base64.b64encode(ROOT).decode(), "!" * 44),
        NOTE.text + "x" * 70_000 + "\n",
        NOTE.text.replace("tiantan", "tian\udc80tan"),
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        verify_checkpoint(text, KEY.public)
    assert refusal.value.code == "ledger.not_a_checkpoint"


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\n", "x" * 201, "a\u2028"])
def test_a_name_that_a_note_cannot_carry_is_refused(origin: str) -> None:
    with pytest.raises(InputError):
        check_origin(origin)

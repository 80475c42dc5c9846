"""Cosignatures in the form of C2SP cosignature/v1."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.cosigning import cosign, verify_cosignature
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.notes import sign_checkpoint, verify_checkpoint

OWNER, WITNESS = SigningKey.generate(), SigningKey.generate()
ORIGIN, HUB = "did:web:space:tiantan", "did:web:space:hub"
NOTE = sign_checkpoint(OWNER, ORIGIN, size=42, root=bytes(range(32))).text
NOW = datetime(2026, 1, 15, 8, tzinfo=UTC)
LINE = cosign(WITNESS, HUB, NOTE, moment=NOW)


def test_a_cosignature_is_read_back_with_its_time() -> None:
    said = verify_cosignature(NOTE + LINE, HUB, WITNESS.public)
    assert (said.witness, said.key, said.moment) == (HUB, WITNESS.public, NOW)
    assert verify_checkpoint(NOTE + LINE, OWNER.public).size == 42


def test_a_cosignature_has_the_form_of_c2sp() -> None:
    mark, name, blob = LINE.rstrip("\n").split(" ")
    data = base64.b64decode(blob)
    key_id = hashlib.sha256(HUB.encode() + b"\n\x04" + WITNESS.public.raw).digest()[:4]
    assert (mark, name, data[:4], len(data)) == ("—", HUB, key_id, 4 + 8 + 64)
    seconds = int(NOW.timestamp())
    assert int.from_bytes(data[4:12], "big") == seconds
    body = NOTE[: NOTE.index("\n\n") + 1]
    signed = f"cosignature/v1\ntime {seconds}\n{body}".encode()
    PublicKey(WITNESS.public.raw).verify(signed, data[12:])


def test_several_witnesses_may_cosign() -> None:
    others = [SigningKey.generate() for _ in range(3)]
    lines = [cosign(key, f"peer-{n}", NOTE, moment=NOW) for n, key in enumerate(others)]
    text = NOTE + LINE + "".join(lines)
    for number, key in enumerate(others):
        assert verify_cosignature(text, f"peer-{number}", key.public).moment == NOW


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        (NOTE, HUB, WITNESS.public),
        (NOTE + LINE, "did:web:space:other", WITNESS.public),
        (NOTE + LINE, HUB, SigningKey.generate().public),
        (NOTE.replace("\n42\n", "\n43\n") + LINE, HUB, WITNESS.public),
        (NOTE + sign_checkpoint(WITNESS, HUB, size=1, root=bytes(32)).text.split("\n\n")[1], HUB,
         WITNESS.public),
    ],
)  # fmt: skip
def test_what_was_not_cosigned_is_refused(text: str, name: str, key: PublicKey) -> None:
    with pytest.raises(IntegrityError):
        verify_cosignature(text, name, key)


def test_a_changed_time_is_refused() -> None:
    mark, name, blob = LINE.rstrip("\n").split(" ")
    data = bytearray(base64.b64decode(blob))
    data[11] ^= 1
    line = f"{mark} {name} {base64.b64encode(data).decode()}\n"
    with pytest.raises(IntegrityError):
        verify_cosignature(NOTE + line, HUB, WITNESS.public)


def test_a_text_that_is_no_note_is_refused() -> None:
    with pytest.raises(InputError):
        verify_cosignature("nothing", HUB, WITNESS.public)


def test_a_signature_has_one_form_only() -> None:
    blob = LINE.rstrip("\n").split(" ")[2]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(blob[-3]) ^ 1]  # a bit that no byte comes from
    assert base64.b64decode(blob[:-3] + other + "==") == base64.b64decode(blob)
    with pytest.raises(InputError):
        verify_cosignature(NOTE + LINE.replace(blob, blob[:-3] + other + "=="), HUB, WITNESS.public)

"""Keys: the file, its rights, and what the two halves do."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, StateError
from consilium.ledger.keys import PublicKey, SigningKey


def test_a_key_signs_as_rfc_8032_says() -> None:
    # RFC 8032, section 7.1, test 2
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(secret))
    assert (
        key.public.raw.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_key_file_is_read_back_as_the_same_key(tmp_path: Path) -> None:
    made = SigningKey.create(tmp_path / "participant.key")
    loaded = SigningKey.load(tmp_path / "participant.key")
    assert loaded.public == made.public
    assert loaded.sign(b"data") == made.sign(b"data")


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    SigningKey.create(tmp_path / "participant.key")
    assert stat.S_IMODE((tmp_path / "participant.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["participant.key"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    made = SigningKey.create(tmp_path / "participant.key")
    with pytest.raises(StateError) as refusal:
        SigningKey.create(tmp_path / "participant.key")
    assert refusal.value.code == "ledger.key_exists"
    assert SigningKey.load(tmp_path / "participant.key").public == made.public


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    SigningKey.create(tmp_path / "participant.key")
    (tmp_path / "participant.key").chmod(0o640)
    with pytest.raises(InputError) as refusal:
        SigningKey.load(tmp_path / "participant.key")
    assert refusal.value.code == "ledger.key_exposed"


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"absent\.key"):
        SigningKey.load(tmp_path / "absent.key")


@pytest.mark.parametrize("kind", ["noise", "empty", "rsa", "encrypted"])
def test_a_file_without_an_ed25519_key_is_refused(tmp_path: Path, kind: str) -> None:
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    contents = {
        "noise": b"not a key",
        "empty": b"",
        "rsa": rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "encrypted": rsa.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
    }
    path = tmp_path / "participant.key"
    path.touch(mode=0o600)
    path.write_bytes(contents[kind])
    with pytest.raises(InputError) as refusal:
        SigningKey.load(path)
    assert refusal.value.code == "ledger.bad_key"


def test_a_public_key_is_read_back_from_its_text() -> None:
    public = SigningKey.generate().public
    assert len(public.text) == 43
    assert PublicKey.from_text(public.text) == public
    assert hash(PublicKey.from_text(public.text)) == hash(public)


@pytest.mark.parametrize("text", ["", "AA", "A" * 42 + "=", "A" * 42 + "B", "A" * 44, "é" * 43])
def test_a_text_that_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        PublicKey.from_text(text)
    assert refusal.value.code == "ledger.bad_public_key"


def test_a_signature_of_another_key_or_over_other_data_is_refused() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    key.public.verify(b"data", key.sign(b"data"))
    for data, signature in [
        (b"data", other.sign(b"data")),
        (b"date", key.sign(b"data")),
        (b"data", b""),
    ]:
        with pytest.raises(IntegrityError):
            key.public.verify(data, signature)


def test_a_signing_key_does_not_show_itself() -> None:
    key = SigningKey.generate()
    assert key.ed25519.private_bytes_raw().hex() not in repr(key)
    assert key.public.fingerprint in repr(key)

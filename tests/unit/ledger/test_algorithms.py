"""Hashes and signatures by name: what is known, what is refused."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError, StateError
from consilium.ledger.algorithms import check_signature, get_hash
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.notes import read_checkpoint, sign_checkpoint, verify_checkpoint
from consilium.ledger.verification import verify_log

KEY = SigningKey.generate()
ORIGIN = "did:web:space:tiantan"


def open_at(path: Path, name: str) -> Database:
    return open_database(
        f"sqlite:///{path}", key=KEY, clock=SystemClock(), origin=ORIGIN, tree=get_hash(name)
    )


@pytest.fixture
def national(tmp_path: Path) -> Iterator[Database]:
    """Give a log that is hashed with SM3, with 20 entries."""
    database = open_at(tmp_path / "node.db", "sm3")
    with database.write() as tx:
        for number in range(20):
            tx.record("ward.opened", f"ward-{number}", {})
    database.evidence.checkpoint()
    yield database
    database.close()


def test_the_hashes_give_the_published_values() -> None:
    assert get_hash("sha256").digest(b"abc") == hashlib.sha256(b"abc").digest()
    # GB/T 32905-2016, example 1
    expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert get_hash("sm3").digest(b"abc").hex() == expected


@pytest.mark.parametrize("name", ["md5", "SHA256", "", "sm2", "x" * 100])
def test_an_unknown_name_is_refused(name: str) -> None:
    for ask in (get_hash, check_signature):
        with pytest.raises(InputError) as refusal:
            ask(name)
        assert refusal.value.code == "ledger.unknown_algorithm"
    assert check_signature("ed25519") == "ed25519"


def test_the_name_of_another_hash_is_signed_with_the_checkpoint(national: Database) -> None:
    note = national.evidence.checkpoint()
    assert "\nconsilium hash=sm3 signature=ed25519\n\n" in note
    assert verify_checkpoint(note, KEY.public).tree == get_hash("sm3")
    plain = sign_checkpoint(KEY, ORIGIN, size=1, root=bytes(32)).text
    assert "consilium" not in plain
    assert read_checkpoint(plain).tree == get_hash("sha256")


@pytest.mark.parametrize("line", ["hash=md5 signature=ed25519", "hash=sm3 signature=rsa", "hash"])
def test_a_checkpoint_of_an_unknown_algorithm_is_refused(national: Database, line: str) -> None:
    note = national.evidence.checkpoint().replace("hash=sm3 signature=ed25519", line)
    with pytest.raises(InputError):
        read_checkpoint(note)


def test_a_log_of_another_hash_is_verified(national: Database, tmp_path: Path) -> None:
    assert national.evidence.root().startswith("sm3:")
    assert national.evidence.entries()[0].leaf.startswith("sm3:")
    verdict = verify_log(tmp_path / "node.db", key=KEY.public)
    assert (verdict.verified, verdict.entries) == (True, 20)
    assert verdict.root == national.evidence.root()


def test_a_log_never_mixes(national: Database, tmp_path: Path) -> None:
    national.close()
    with pytest.raises(StateError) as refusal:
        open_at(tmp_path / "node.db", "sha256")
    assert refusal.value.code == "ledger.other_hash"
    open_at(tmp_path / "node.db", "sm3").close()

"""Whatever is done to the log, the verification finds it and names the first bad entry."""

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import InputError, NotFoundError, StateError
from consilium.ledger.database import Database
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import Frontier, leaf_hash
from consilium.ledger.notes import sign_checkpoint
from consilium.ledger.verification import verify_log

ORIGIN = "did:web:space:tiantan"
COLUMNS = "seq, time, kind, subject, body, leaf_hash"


@pytest.fixture
def log(place: Any, database: Database) -> Any:
    """Give a place with ten entries and checkpoints handed out at 3, 6 and 9."""
    for number in range(1, 11):
        place.put(database, f"ward-{number}", beds=number)
        if number % 3 == 0:
            database.evidence.checkpoint()
    return place


def body_of(place: Any, seq: int) -> bytes:
    return bytes(place.meddle("SELECT body FROM evidence WHERE seq = :seq", seq=seq)[0][0])


def rewrite(place: Any, seq: int, **facts: Any) -> None:
    """Change an entry together with its hash."""
    told: Any = read_json(body_of(place, seq))
    body = canonical_bytes({**told, "facts": facts})
    place.meddle(
        "UPDATE evidence SET body = :body, leaf_hash = :leaf WHERE seq = :seq",
        body=body,
        leaf=leaf_hash(body),
        seq=seq,
    )


def rebuild_head(place: Any, key: SigningKey) -> None:
    """Build the tree again over what is there, and sign it with a key."""
    frontier = Frontier()
    for (leaf,) in place.meddle("SELECT leaf_hash FROM evidence ORDER BY seq"):
        frontier = frontier.append(bytes(leaf))
    note = sign_checkpoint(key, ORIGIN, size=frontier.size, root=frontier.root())
    place.meddle(
        "UPDATE evidence_head SET size = :size, frontier = :frontier, note = :note",
        size=frontier.size,
        frontier=frontier.as_bytes(),
        note=note.text,
    )


def swap(place: Any, first: int, second: int, columns: str) -> None:
    rows = [
        place.meddle(f"SELECT {columns} FROM evidence WHERE seq = :seq", seq=seq)[0]
        for seq in (first, second)
    ]
    names = columns.split(", ")
    for seq, row in ((first, rows[1]), (second, rows[0])):
        values = dict(zip(names, row, strict=True))
        sets = ", ".join(f"{name} = :{name}" for name in names)
        place.meddle(f"UPDATE evidence SET {sets} WHERE seq = :seq", seq=seq, **values)


def test_an_untouched_log_is_verified(log: Any) -> None:
    verdict = log.verify()
    assert (verdict.entries, verdict.verified, verdict.checkpoints) == (10, True, 4)
    assert (verdict.first_bad, verdict.reason_code, verdict.text("en")) == (None, None, "")
    assert verdict.root == log.open().evidence.root()
    assert verdict.as_record()["verified"] is True


def test_a_log_without_entries_is_verified(place: Any, database: Database) -> None:
    assert place.verify(checkpoint=database.evidence.checkpoint()).verified


@pytest.mark.parametrize("column", ["body", "leaf_hash"])
def test_a_flipped_bit_is_named(log: Any, column: str) -> None:
    change = f"UPDATE evidence SET {column} = :data WHERE seq = :seq"
    for seq, position in itertools.product([1, 5, 10], [0, 17, -1]):
        (kept,) = log.meddle(f"SELECT {column} FROM evidence WHERE seq = :seq", seq=seq)[0]
        data = bytearray(kept)
        data[position] ^= 1
        log.meddle(change, data=bytes(data), seq=seq)
        verdict = log.verify()
        log.meddle(change, data=bytes(kept), seq=seq)
        assert (verdict.verified, verdict.first_bad) == (False, seq)
        assert verdict.reason_code == "ledger.entry_changed"
        assert f"entry {seq} was changed" in verdict.text("en")
        assert f"第 {seq} 条" in verdict.text("zh")


@pytest.mark.parametrize("column", ["time", "kind", "subject"])
def test_a_changed_column_is_named(log: Any, column: str) -> None:
    log.meddle(f"UPDATE evidence SET {column} = 'x' WHERE seq = 4")
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entry_changed", 4)


def test_a_deleted_entry_is_named(log: Any) -> None:
    log.meddle("DELETE FROM evidence WHERE seq = 4")
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad, verdict.entries) == (
        "ledger.entry_missing",
        4,
        9,
    )


def test_a_closed_gap_is_named(log: Any) -> None:
    log.meddle("DELETE FROM evidence WHERE seq = 4")
    for seq in range(5, 11):
        log.meddle("UPDATE evidence SET seq = seq - 1 WHERE seq = :seq", seq=seq)
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entry_moved", 4)


def test_two_swapped_rows_are_named(log: Any) -> None:
    swap(log, 3, 7, COLUMNS.removeprefix("seq, "))
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entry_moved", 3)


def test_two_swapped_bodies_are_named(log: Any) -> None:
    swap(log, 3, 7, "body")
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entry_changed", 3)


def test_a_swap_with_new_hashes_is_narrowed_down(log: Any) -> None:
    for seq, beds in ((4, 5), (5, 4)):
        rewrite(log, seq, beds=beds)
    rebuild_head(log, log.key)
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entries_rewritten", 4)
    assert "from 4 to 6" in verdict.text("en")


def test_a_rewrite_with_new_hashes_is_found_by_the_signed_end(log: Any) -> None:
    rewrite(log, 10, beds=99)
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entries_rewritten", 10)


def test_a_rewrite_by_somebody_without_the_key_is_found(log: Any) -> None:
    log.meddle("DELETE FROM evidence_checkpoints")
    rewrite(log, 2, beds=99)
    rebuild_head(log, SigningKey.generate())
    assert log.verify().reason_code == "ledger.checkpoint_forged"


def test_a_rewrite_by_the_owner_is_found_by_the_checkpoint_that_a_peer_holds(
    log: Any, database: Database
) -> None:
    held = database.evidence.checkpoint()
    log.meddle("DELETE FROM evidence_checkpoints")
    rewrite(log, 2, beds=99)
    rebuild_head(log, log.key)
    assert log.verify().verified
    verdict = log.verify(checkpoint=held)
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.log_forked", 1)


def test_a_checkpoint_that_a_peer_holds_narrows_a_rewrite_down(
    log: Any, database: Database
) -> None:
    held = database.evidence.checkpoint()
    log.meddle("DELETE FROM evidence_checkpoints")
    log.put(database, "ward-11")
    rewrite(log, 11, beds=99)
    assert log.verify().first_bad == 1
    verdict = log.verify(checkpoint=held)
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entries_rewritten", 11)


def test_a_cut_tail_is_found(log: Any) -> None:
    log.meddle("DELETE FROM evidence WHERE seq > 7")
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad, verdict.entries) == ("ledger.tail_cut", 8, 7)


def test_a_tail_cut_back_to_an_earlier_end_is_found_by_the_checkpoint_that_a_peer_holds(
    log: Any, database: Database
) -> None:
    held = database.evidence.checkpoint()
    log.meddle("DELETE FROM evidence WHERE seq > 7", "DELETE FROM evidence_checkpoints")
    rebuild_head(log, log.key)
    assert log.verify().verified
    verdict = log.verify(checkpoint=held)
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.tail_cut", 8)
    assert "shows 10 entries" in verdict.text("en")


def test_an_old_checkpoint_of_a_peer_still_fits(log: Any, database: Database) -> None:
    held = database.evidence.checkpoint()
    log.put(database, "one-more")
    assert log.verify(checkpoint=held).verified


def test_an_added_entry_is_named(log: Any) -> None:
    copy = f"INSERT INTO evidence ({COLUMNS}) SELECT {{}}, time, kind, subject, body, leaf_hash"
    log.meddle(copy.format("0") + " FROM evidence WHERE seq = 10")
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entry_added", 0)


def test_an_entry_added_at_the_end_is_named(log: Any) -> None:
    body = body_of(log, 10).replace(b'"seq":10', b'"seq":11')
    log.meddle(
        f"INSERT INTO evidence ({COLUMNS}) SELECT 11, time, kind, subject, :body, :leaf"
        " FROM evidence WHERE seq = 10",
        body=body,
        leaf=leaf_hash(body),
    )
    verdict = log.verify()
    assert (verdict.reason_code, verdict.first_bad) == ("ledger.entry_added", 11)


@pytest.mark.parametrize("size", [3, 6, 9])
def test_a_forged_checkpoint_in_the_database_is_found(log: Any, size: int) -> None:
    forged = sign_checkpoint(SigningKey.generate(), ORIGIN, size=size, root=bytes(32)).text
    change = "UPDATE evidence_checkpoints SET note = :note WHERE size = :size"
    for note in (forged, "nonsense", ""):
        log.meddle(change, note=note, size=size)
        verdict = log.verify()
        assert verdict.reason_code == "ledger.checkpoint_forged"
        assert verdict.facts["size"] == size


def test_a_checkpoint_under_another_size_is_found(log: Any) -> None:
    log.meddle("UPDATE evidence_checkpoints SET size = 4 WHERE size = 3")
    assert log.verify().reason_code == "ledger.checkpoint_forged"


def test_a_forged_checkpoint_of_a_peer_is_found(log: Any) -> None:
    forged = sign_checkpoint(SigningKey.generate(), ORIGIN, size=10, root=bytes(32)).text
    assert log.verify(checkpoint=forged).reason_code == "ledger.checkpoint_forged"


def test_a_checkpoint_of_another_log_is_refused(log: Any) -> None:
    other = sign_checkpoint(log.key, "did:web:space:other", size=3, root=bytes(32)).text
    verdict = log.verify(checkpoint=other)
    assert verdict.reason_code == "ledger.other_log"
    assert "did:web:space:other" in verdict.text("en")


def test_another_key_verifies_nothing(log: Any) -> None:
    verdict = log.verify(key=SigningKey.generate().public)
    assert (verdict.verified, verdict.reason_code) == (False, "ledger.checkpoint_forged")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM evidence_head",
        "UPDATE evidence_head SET frontier = (SELECT leaf_hash FROM evidence WHERE seq = 1)",
        "INSERT INTO evidence_head SELECT 2, size, frontier, note FROM evidence_head",
    ],
)
def test_a_damaged_end_is_found(log: Any, damage: str) -> None:
    log.meddle(damage)
    assert log.verify().reason_code == "ledger.head_damaged"
    log.meddle("UPDATE evidence SET kind = 'x' WHERE seq = 4")
    assert log.verify().first_bad == 4


def test_a_text_that_is_no_checkpoint_is_refused(log: Any) -> None:
    with pytest.raises(InputError) as refusal:
        log.verify(checkpoint="nonsense")
    assert refusal.value.code == "ledger.not_a_checkpoint"


def test_a_database_without_a_log_is_named(place: Any) -> None:
    place.meddle("CREATE TABLE wards (name TEXT)")
    with pytest.raises(NotFoundError) as refusal:
        place.verify()
    assert refusal.value.code == "ledger.no_log"


def test_the_verification_changes_nothing(log: Any, tmp_path: Path) -> None:
    log.close()
    before = log.meddle("SELECT * FROM evidence_head")
    assert log.verify().verified
    assert log.meddle("SELECT * FROM evidence_head") == before
    if log.is_sqlite:
        assert os.listdir(tmp_path) == ["node.db"]


def test_a_log_is_verified_while_it_is_written(log: Any, database: Database) -> None:
    with database.write() as transaction:
        transaction.record("ward.opened", "open", {})
        verdict = log.verify()
        assert (verdict.entries, verdict.verified) == (10, True)
    assert log.verify().entries == 11


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
class TestSqliteFiles:
    """What only a file can suffer."""

    @pytest.fixture
    def copy(self, log: Any, tmp_path: Path) -> Path:
        log.close()
        shutil.copy(tmp_path / "node.db", tmp_path / "copy.db")
        return tmp_path / "copy.db"

    def test_a_copy_in_a_folder_that_cannot_be_written_is_verified(
        self, log: Any, copy: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "read only"
        folder.mkdir()
        copy.rename(folder / "copy.db")
        folder.chmod(0o500)
        assert verify_log(folder / "copy.db", key=log.key.public).entries == 10
        folder.chmod(0o700)
        assert os.listdir(folder) == ["copy.db"]

    def test_a_damaged_file_is_named(self, log: Any, copy: Path) -> None:
        data = bytearray(copy.read_bytes())
        data[4096:] = bytes(len(data) - 4096)
        copy.write_bytes(data)
        verdict = verify_log(copy, key=log.key.public)
        assert verdict.reason_code == "ledger.database_damaged"

    def test_a_text_that_is_no_utf_8_is_named(self, log: Any, copy: Path) -> None:
        data = copy.read_bytes()
        assert data.count(b"ward-4") >= 2
        copy.write_bytes(data.replace(b"ward.openedward-4", b"ward.opened\xff\xfe\xfd-4x"))
        verdict = verify_log(copy, key=log.key.public)
        assert (verdict.verified, verdict.first_bad) == (False, 4)

    def test_a_file_that_is_not_there_is_named(self, log: Any, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError) as refusal:
            verify_log(tmp_path / "absent.db", key=log.key.public)
        assert refusal.value.code == "ledger.no_log"


@pytest.mark.postgres
def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(StateError) as refusal:
        verify_log("postgresql://x@127.0.0.1:1/x", key=SigningKey.generate().public)
    assert refusal.value.code == "ledger.no_connection"

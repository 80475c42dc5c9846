"""A backup of a served home is whole, proves itself, and restores to the same or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_rehearsal import CLOCK, Rehearsal, open_rehearsal

from consilium.kernel.errors import ConsiliumError
from consilium.ledger import backup as backups
from consilium.ledger.backup import back_up, prove_backup, restore_backup
from consilium.ledger.database import Database, open_database
from consilium.ledger.verification import verify_log
from consilium.node.membership import KEYS, KeyFolder, load_membership

BLOB = bytes(range(256)) * 12_000


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with open_rehearsal(tmp_path_factory.mktemp("backup")) as found:
        yield found


@pytest.fixture(scope="module")
def home(space: Rehearsal) -> Path:
    """A hospital's folder, with everything that a backup must or must not hold."""
    found = space.join(space.hubs[0], "north")
    others = {"blobs/ab/c": BLOB, "run/desk": b"", "engine/log.txt": b"", "backups/old.tar": b""}
    for name, data in others.items():
        (found / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (found / name).write_bytes(data)
    return found


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    """The home's database, open as in its process."""
    key, origin = KeyFolder(home / KEYS).signing_key(), load_membership(home).participant
    found = open_database(f"sqlite:///{home / 'node.db'}", key=key, clock=CLOCK, origin=origin)
    record(found)
    yield found
    found.close()


def record(database: Database) -> None:
    with database.write() as tx:
        tx.record("test.happened", "north", {})


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and ".db" not in path.name
    }


def refusal(call: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(ConsiliumError) as caught:
        call(*given, **named)
    assert caught.value.public
    return caught.value.code


def test_a_home_that_is_written_to_is_copied_whole(
    home: Path, database: Database, tmp_path: Path
) -> None:
    stop, written = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            record(database)
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = back_up(home, tmp_path / "有名字 1.tar", clock=CLOCK)
    finally:
        stop.set()
        writer.join()
    assert written
    assert stat.S_IMODE(found.file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [found.file]
    restored = restore_backup(found.file, tmp_path / "new" / "home")
    assert (restored.entries, restored.root) == (found.entries, found.root)
    expected = {
        name: kept
        for name, kept in contents(home).items()
        if name.split("/")[0] not in {"run", "engine", "backups"}
    }
    assert expected["blobs/ab/c"][1] == BLOB
    copied = contents(tmp_path / "new" / "home")
    assert {name: data for name, (_, data) in copied.items()} == {
        name: data for name, (_, data) in expected.items()
    }
    assert all(mode & 0o077 == 0 for mode, _ in copied.values())


def test_a_restored_home_goes_on_where_the_backup_was_made(
    home: Path, database: Database, tmp_path: Path
) -> None:
    found = back_up(home, tmp_path / "one.tar", clock=CLOCK)
    restored = tmp_path / "home"
    restored.mkdir()  # an empty folder is as good as none
    restore_backup(found.file, restored)
    key, origin = KeyFolder(restored / KEYS).signing_key(), load_membership(restored).participant
    url = f"sqlite:///{restored / 'node.db'}"
    again = open_database(url, key=key, clock=CLOCK, origin=origin)
    record(again)
    again.close()
    verdict = verify_log(url, key=key.public)
    assert verdict.verified
    assert verdict.entries == found.entries + 1


def test_a_hub_is_backed_up_with_its_signer(space: Rehearsal, tmp_path: Path) -> None:
    found = back_up(space.hubs[0].home, tmp_path / "hub.tar", clock=CLOCK)
    assert found.kind == "hub"
    with tarfile.open(found.file) as tar:
        assert {"hub.db", "hub.toml", "keys/hub.key"} <= set(tar.getnames())


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_backup_with_one_changed_byte_is_refused(
    home: Path, database: Database, tmp_path: Path, place: float
) -> None:
    file = back_up(home, tmp_path / "one.tar", clock=CLOCK).file
    raw = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        data = [(each.offset_data, each.size) for each in tar if each.size]
    start, size = max(data, key=lambda each: each[1])
    raw[start + int(size * place)] ^= 1
    file.write_bytes(raw)
    assert refusal(prove_backup, file) == "ledger.backup_damaged"
    assert refusal(restore_backup, file, tmp_path / "home") == "ledger.backup_damaged"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.99])
def test_a_backup_that_was_cut_off_is_refused(
    home: Path, database: Database, tmp_path: Path, kept: float
) -> None:
    file = back_up(home, tmp_path / "one.tar", clock=CLOCK).file
    with tarfile.open(file) as tar:
        end = max(each.offset for each in tar)  # where the list of all files begins
    os.truncate(file, int(end * kept))
    assert refusal(prove_backup, file) == "ledger.backup_damaged"


def test_a_forged_log_is_no_backup(home: Path, database: Database, tmp_path: Path) -> None:
    """A copy whose files fit its list, but whose evidence somebody shortened."""
    file = back_up(home, tmp_path / "one.tar", clock=CLOCK).file
    copy = tmp_path / "copy"
    restore_backup(file, copy)
    backups.sqlite3.connect(copy / "node.db").executescript(
        "DELETE FROM evidence WHERE seq = 1;"
    ).close()
    code = refusal(back_up, copy, tmp_path / "two.tar", clock=CLOCK)
    assert code.startswith("ledger.")
    assert not (tmp_path / "two.tar").exists()


def test_nothing_is_overwritten(home: Path, database: Database, tmp_path: Path) -> None:
    file = back_up(home, tmp_path / "one.tar", clock=CLOCK).file
    before = file.read_bytes()
    assert refusal(back_up, home, file, clock=CLOCK) == "ledger.backup_exists"
    assert file.read_bytes() == before
    assert refusal(restore_backup, file, home) == "ledger.home_in_use"
    assert refusal(restore_backup, file, file) == "ledger.home_in_use"


def test_what_is_no_home_or_backup_is_named(home: Path, tmp_path: Path) -> None:
    assert refusal(back_up, tmp_path, tmp_path / "one.tar", clock=CLOCK) == "ledger.no_home"
    assert refusal(prove_backup, tmp_path / "none.tar") == "ledger.no_backup"
    assert refusal(prove_backup, tmp_path) == "ledger.no_backup"
    (tmp_path / "words.tar").write_text("no tar", encoding="utf-8")
    assert refusal(prove_backup, tmp_path / "words.tar") == "ledger.backup_damaged"
    (tmp_path / "node.toml").touch()
    assert refusal(back_up, tmp_path, tmp_path / "x.tar", clock=CLOCK) == "ledger.backup_elsewhere"


def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    for name in ("../outside", "/etc/outside"):
        file = tmp_path / "bad.tar"
        with tarfile.open(file, "w") as tar:
            entry = tarfile.TarInfo(name)
            tar.addfile(entry)
        assert refusal(restore_backup, file, tmp_path / "home") == "ledger.backup_damaged"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_nothing_behind(
    home: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backups.os, "fsync", full)
    assert refusal(back_up, home, tmp_path / "one.tar", clock=CLOCK) == "ledger.disk_full"
    assert list(tmp_path.iterdir()) == []

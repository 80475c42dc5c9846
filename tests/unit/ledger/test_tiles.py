"""Tiles are derived from the log, whatever has happened to their files."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, StateError
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import Frontier, leaf_hash
from consilium.ledger.notes import read_checkpoint, sign_checkpoint
from consilium.ledger.proofs import verify_consistency, verify_inclusion
from consilium.ledger.tiles import LogTiles, tile_path

SIZE = 600


KEY = SigningKey.generate()
ORIGIN = "did:web:space:tiantan"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a log of 600 entries, for reading."""
    yield from fill(tmp_path_factory.mktemp("tiles") / "node.db")


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Database]:
    """Give a log of 600 entries, for writing."""
    yield from fill(tmp_path / "node.db")


@pytest.fixture
def tiles(filled: Database, folder: Path) -> LogTiles:
    return make(filled, folder)


def fill(path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{path}", key=KEY, clock=SystemClock(), origin=ORIGIN)
    write(database, SIZE)
    yield database
    database.close()


def make(database: Database, folder: Path) -> LogTiles:
    found = LogTiles(database.evidence, folder)
    found.checkpoint()
    return found


def write(database: Database, count: int) -> None:
    with database.write() as tx:
        for number in range(count):
            tx.record("ward.opened", f"ward-{number}", {})


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 67, 5, "tile/0/067.p/5"),
        (1, 1234067, 256, "tile/1/x001/x234/067"),
        ("entries", 1000, 1, "tile/entries/x001/000.p/1"),
    ],
)
def test_tiles_are_named_as_c2sp_says(level: Any, number: int, width: int, path: str) -> None:
    assert tile_path(level, number, width) == path


def test_the_files_are_those_of_c2sp(tiles: LogTiles, filled: Database, folder: Path) -> None:
    leaves = list(filled.evidence.leaves(after=0, to=SIZE))
    found = files(folder)
    assert found["tile/0/000"] == b"".join(leaves[:256])
    assert found["tile/0/001"] == b"".join(leaves[256:512])
    assert found["tile/0/002.p/88"] == b"".join(leaves[512:])
    tops = [Frontier().extend(leaves[n : n + 256]).root() for n in (0, 256)]
    assert found["tile/1/000.p/2"] == b"".join(tops)
    assert found["checkpoint"].decode() == filled.evidence.checkpoint()
    assert len(found) == 5
    assert all((folder / name).stat().st_mode & 0o077 == 0 for name in found)


def test_every_entry_and_every_growth_can_be_proved(tiles: LogTiles, filled: Database) -> None:
    note = read_checkpoint(filled.evidence.checkpoint())
    bodies = list(filled.evidence.bodies(after=0, to=SIZE))
    leaves = [leaf_hash(body) for body in bodies]
    for seq in (1, 2, 255, 256, 257, 512, 513, 599, 600):
        proof = tiles.inclusion(seq, SIZE)
        verify_inclusion(leaves[seq - 1], seq - 1, SIZE, proof=proof, root=note.root)
    for old in (1, 2, 100, 256, 300, 512, 599):
        roots = (Frontier().extend(leaves[:old]).root(), note.root)
        verify_consistency(old, SIZE, proof=tiles.consistency(old, SIZE), roots=roots)


def test_bundles_hold_the_entries_with_their_lengths(tiles: LogTiles, filled: Database) -> None:
    data, bodies = tiles.read("tile/entries/002.p/88"), []
    while data:
        (length,) = struct.unpack(">H", data[:2])
        bodies.append(data[2 : 2 + length])
        data = data[2 + length :]
    assert bodies == list(filled.evidence.bodies(after=512, to=SIZE))
    assert len(tiles.read("tile/entries/000")) > 256


def test_a_shorter_width_is_served_too(tiles: LogTiles) -> None:
    whole = tiles.read("tile/0/002.p/88")
    assert tiles.read("tile/0/002.p/3") == whole[:96]
    assert tiles.read("tile/0/001.p/9") == tiles.read("tile/0/001")[: 9 * 32]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002",
        "tile/0/002.p/89",
        "tile/0/002.p/0",
        "tile/0/000.p/256",
        "tile/0/003.p/1",
        "tile/0/x000/001",
        "tile/0/0",
        "tile/2/000.p/1",
        "tile/6/000",
        "tile/0/../../node.db",
        "tile/entries/002",
        "tile/entries/003.p/1",
        "checkpoint",
        "",
    ],
)
def test_what_is_not_there_is_not_served(tiles: LogTiles, path: str) -> None:
    with pytest.raises(NotFoundError):
        tiles.read(path)


def test_tiles_grow_with_the_log_and_full_ones_stay(growing: Database, folder: Path) -> None:
    tiles, before = make(growing, folder), files(folder)
    write(growing, 200)
    assert tiles.checkpoint().size == 800
    after = files(folder)
    for name in ("tile/0/000", "tile/0/001"):
        assert after[name] == before[name]
    assert sorted(after) == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002",
        "tile/0/003.p/32",
        "tile/1/000.p/3",
    ]


def test_another_process_goes_on_where_the_files_end(growing: Database, folder: Path) -> None:
    make(growing, folder)
    write(growing, 10)
    again = LogTiles(growing.evidence, folder)
    note = again.checkpoint()
    (leaf,) = growing.evidence.leaves(after=604, to=605)
    proof = again.inclusion(605, 610)
    verify_inclusion(leaf, 604, 610, proof=proof, root=note.root)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("checkpoint", b"nonsense"),
        ("checkpoint", None),
        ("tile/0/002.p/88", None),
        ("tile/0/002.p/88", bytes(88 * 32)),
        ("tile/0/002.p/88", b"short"),
        ("tile/1/000.p/2", bytes(64)),
        ("tile/0", None),
    ],
)
def test_damaged_files_are_made_again(
    tiles: LogTiles, filled: Database, folder: Path, name: str, data: bytes | None
) -> None:
    whole, place = files(folder), folder / name
    if data is not None:
        place.write_bytes(data)
    elif place.is_dir():
        for path in place.rglob("*.p"):
            for each in path.iterdir():
                each.unlink()
    else:
        place.unlink()
    again = LogTiles(filled.evidence, folder)
    again.checkpoint()
    assert files(folder) == whole


def test_the_folder_may_be_deleted_at_any_time(
    tiles: LogTiles, filled: Database, folder: Path
) -> None:
    whole = files(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    LogTiles(filled.evidence, folder).checkpoint()
    assert files(folder) == whole


def test_a_log_that_does_not_give_its_signed_root_has_no_tiles(
    filled: Database, folder: Path
) -> None:
    wrong = sign_checkpoint(KEY, ORIGIN, size=SIZE, root=bytes(32))
    with pytest.raises(IntegrityError) as refusal:
        LogTiles(filled.evidence, folder).grow(wrong)
    assert refusal.value.code == "ledger.head_damaged"


def test_nothing_is_proved_beyond_the_tiles(tiles: LogTiles) -> None:
    with pytest.raises(InputError):
        tiles.inclusion(601, 601)
    with pytest.raises(InputError):
        tiles.consistency(3, 700)


def test_a_folder_that_cannot_be_written_is_named(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file stands where the folder should")
    tiles = LogTiles(filled.evidence, tmp_path / "log")
    with pytest.raises(StateError) as refusal:
        tiles.checkpoint()
    assert refusal.value.code == "ledger.cannot_write"
    (tmp_path / "log").unlink()
    assert tiles.checkpoint().size == SIZE


def test_an_empty_log_has_a_checkpoint_and_no_tiles(tmp_path: Path, folder: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    database = open_database(url, key=KEY, clock=SystemClock(), origin=ORIGIN)
    assert LogTiles(database.evidence, folder).checkpoint().size == 0
    assert list(files(folder)) == ["checkpoint"]
    database.close()

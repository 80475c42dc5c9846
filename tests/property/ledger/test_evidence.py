"""No single change of any stored entry goes unseen."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import NotFoundError
from consilium.ledger.database import open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import leaf_hash
from consilium.ledger.verification import verify_log

SIZE = 13
KEY = SigningKey.generate()
COLUMNS = ("time", "kind", "subject", "body", "leaf_hash")
PLACES = st.integers(1, SIZE)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "node.db"
    clock = HeldClock(datetime(2026, 1, 15, tzinfo=UTC))
    database = open_database(f"sqlite:///{path}", key=KEY, clock=clock, origin="did:web:s:t")
    for number in range(SIZE):
        with database.write() as transaction:
            transaction.record("ward.opened", f"ward-{number}", {"beds": number})
        if number == 4:
            database.evidence.checkpoint()
    database.close()
    return path


class Meddler:
    """Changes a log, and puts it back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = path.read_bytes()
        self.connection = sqlite3.connect(path, isolation_level=None)

    def row(self, seq: int) -> tuple[Any, ...]:
        query = f"SELECT {', '.join(COLUMNS)} FROM evidence WHERE seq = ?"
        return tuple(self.connection.execute(query, (seq,)).fetchone())

    def put(self, seq: int, column: str, value: object) -> None:
        self.connection.execute(f"UPDATE evidence SET {column} = ? WHERE seq = ?", (value, seq))

    def __enter__(self) -> "Meddler":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        for beside in self._path.parent.iterdir():
            beside.unlink()
        self._path.write_bytes(self._before)


def first_bad(path: Path) -> int | None:
    verdict = verify_log(path, key=KEY.public)
    assert not verdict.verified
    assert verdict.text("en")
    return verdict.first_bad


@settings(max_examples=60, deadline=None)
@given(seq=PLACES, column=st.sampled_from(COLUMNS), data=st.data())
def test_any_flipped_bit_is_named(log: Path, seq: int, column: str, data: st.DataObject) -> None:
    with Meddler(log) as meddler:
        value = meddler.row(seq)[COLUMNS.index(column)]
        raw = bytearray(value.encode() if isinstance(value, str) else value)
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        kind = "TEXT" if isinstance(value, str) else "BLOB"
        meddler.connection.execute(
            f"UPDATE evidence SET {column} = CAST(? AS {kind}) WHERE seq = ?", (bytes(raw), seq)
        )
        assert first_bad(log) == seq


@settings(max_examples=30, deadline=None)
@given(seq=PLACES, value=st.text(max_size=5) | st.binary(max_size=5) | st.integers(0, 9))
def test_any_other_value_is_named(log: Path, seq: int, value: object) -> None:
    with Meddler(log) as meddler:
        for column in ("body", "leaf_hash"):
            meddler.put(seq, column, value)
        assert first_bad(log) == seq


@settings(max_examples=15, deadline=None)
@given(seq=PLACES)
def test_any_deleted_entry_is_named(log: Path, seq: int) -> None:
    with Meddler(log) as meddler:
        meddler.connection.execute("DELETE FROM evidence WHERE seq = ?", (seq,))
        assert first_bad(log) == seq


@settings(max_examples=30, deadline=None)
@given(pair=st.lists(PLACES, min_size=2, max_size=2, unique=True))
def test_any_two_swapped_entries_are_named(log: Path, pair: list[int]) -> None:
    with Meddler(log) as meddler:
        rows = [meddler.row(seq) for seq in pair]
        for seq, row in zip(pair, reversed(rows), strict=True):
            for column, value in zip(COLUMNS, row, strict=True):
                meddler.put(seq, column, value)
        assert first_bad(log) == min(pair)


@settings(max_examples=15, deadline=None)
@given(seq=PLACES)
def test_any_rewrite_with_its_hash_is_narrowed_down(log: Path, seq: int) -> None:
    with Meddler(log) as meddler:
        body = meddler.row(seq)[COLUMNS.index("body")].replace(b'"beds":', b'"cots":')
        meddler.put(seq, "body", body)
        meddler.put(seq, "leaf_hash", leaf_hash(body))
        assert first_bad(log) == (1 if seq <= 5 else 6)


@settings(max_examples=15, deadline=None)
@given(size=st.integers(0, SIZE - 1))
def test_any_cut_is_named(log: Path, size: int) -> None:
    with Meddler(log) as meddler:
        meddler.connection.execute("DELETE FROM evidence WHERE seq > ?", (size,))
        assert first_bad(log) == size + 1


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_flipped_bit_of_the_file_changes_what_is_told(log: Path, data: st.DataObject) -> None:
    """Also below SQL: the verdict is either bad, or the entries are the ones that were signed."""
    right = verify_log(log, key=KEY.public)
    with Meddler(log):
        raw = bytearray(log.read_bytes())
        raw[data.draw(st.integers(100, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        log.write_bytes(bytes(raw))
        try:
            verdict = verify_log(log, key=KEY.public)
        except NotFoundError:
            return  # the file says no more that it has a log
        assert not verdict.verified or verdict.root == right.root

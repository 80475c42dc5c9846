"""State and its evidence: together or not at all, on both databases."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError as ConstraintError

from consilium.kernel.errors import InputError, IntegrityError, StateError
from consilium.ledger.database import Database
from consilium.ledger.keys import SigningKey

INSERT = text("INSERT INTO wards VALUES (:name, 1)")


def test_state_and_evidence_are_committed_together(place: Any, database: Database) -> None:
    assert place.put(database, "icu", beds=8) == 1
    place.clock.advance(timedelta(seconds=1))
    assert place.put(database, "er") == 2
    assert place.wards(database) == ["er", "icu"]
    first, second = database.evidence.entries()
    assert (first.seq, first.kind, first.subject, first.facts) == (
        1,
        "ward.opened",
        "icu",
        {"beds": 8},
    )
    assert (first.time, second.time) == (
        "2026-01-15T08:00:00.000000Z",
        "2026-01-15T08:00:01.000000Z",
    )
    assert place.verify().verified


def test_an_error_takes_both_back(place: Any, database: Database) -> None:
    def change() -> None:
        with database.write() as transaction:
            transaction.execute(INSERT, {"name": "icu"})
            transaction.record("ward.opened", "icu", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert place.wards(database) == []
    assert database.evidence.size == 0
    assert place.put(database, "er") == 1


@pytest.mark.parametrize(
    ("kind", "facts", "code"),
    [
        ("ward.opened", {"note": "x" * 70_000}, "ledger.entry_too_long"),
        ("ward.opened", {"beds": float("nan")}, "kernel.not_canonical"),
        ("", {}, "ledger.bad_entry"),
        ("a\x00b", {}, "ledger.bad_entry"),
    ],
)
def test_without_evidence_there_is_no_change(
    place: Any, database: Database, kind: str, facts: dict[str, Any], code: str
) -> None:
    def change() -> None:
        with database.write() as transaction:
            transaction.execute(INSERT, {"name": "icu"})
            transaction.record(kind, "icu", facts)

    with pytest.raises(InputError) as refusal:
        change()
    assert refusal.value.code == code
    assert place.wards(database) == []


def test_without_a_change_there_is_no_evidence(place: Any, database: Database) -> None:
    place.put(database, "icu")

    def change() -> None:
        with database.write() as transaction:
            transaction.record("ward.opened", "icu", {})
            transaction.execute(INSERT, {"name": "icu"})

    with pytest.raises(ConstraintError):
        change()
    assert database.evidence.size == 1


def test_evidence_that_a_savepoint_takes_back_stops_the_commit(
    place: Any, database: Database
) -> None:
    def change() -> None:
        with database.write() as transaction:
            transaction.execute(INSERT, {"name": "icu"})
            with transaction.connection.begin_nested() as savepoint:
                transaction.record("ward.opened", "icu", {})
                savepoint.rollback()

    with pytest.raises(IntegrityError) as refusal:
        change()
    assert refusal.value.code == "ledger.entries_lost"
    assert (place.wards(database), database.evidence.size) == ([], 0)
    assert place.put(database, "er") == 1


def test_a_transaction_sees_what_it_wrote(database: Database) -> None:
    with database.write() as transaction:
        transaction.execute(INSERT, {"name": "icu"})
        assert transaction.record("ward.opened", "icu", {}) == 1
        assert transaction.record("ward.opened", "icu", {}) == 2
        assert transaction.execute(text("SELECT count(*) FROM evidence")).scalar_one() == 2
    assert database.evidence.size == 2


def test_a_call_waits_for_the_commit(place: Any, database: Database) -> None:
    seen: list[list[str]] = []
    with database.write() as transaction:
        transaction.execute(INSERT, {"name": "icu"})
        transaction.after_commit(lambda: seen.append(place.wards(database)))
        transaction.after_commit(lambda: place.put(database, "er"))
        assert seen == []
    assert seen == [["icu"]]
    assert place.wards(database) == ["er", "icu"]


def test_no_call_follows_a_rollback(database: Database) -> None:
    seen: list[str] = []

    def change() -> None:
        with database.write() as transaction:
            transaction.after_commit(lambda: seen.append("called"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert seen == []


def test_a_reader_sees_one_moment(place: Any, database: Database) -> None:
    count = text("SELECT count(*) FROM wards")
    with database.read() as connection:
        assert connection.execute(count).scalar_one() == 0
        with ThreadPoolExecutor(1) as other:
            other.submit(place.put, database, "icu").result()
        assert connection.execute(count).scalar_one() == 0
    assert place.wards(database) == ["icu"]


def test_a_reader_cannot_write(place: Any, database: Database) -> None:
    with pytest.raises(StateError) as refusal, database.read() as connection:
        connection.execute(INSERT, {"name": "icu"})
    assert refusal.value.code == "ledger.cannot_write"
    assert place.wards(database) == []
    place.put(database, "icu")


def test_many_threads_take_turns(place: Any, database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda n: place.put(database, f"ward-{n}"), range(64)))
    assert sorted(places) == list(range(1, 65))
    verdict = place.verify()
    assert (verdict.entries, verdict.verified) == (64, True)


def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_itself(
    place: Any, database: Database
) -> None:
    with pytest.raises(StateError) as refusal, database.write(), database.write():
        pass
    assert refusal.value.code == "ledger.nested_write"
    place.put(database, "icu")


def test_a_writer_that_waits_too_long_is_told_so(place: Any, database: Database) -> None:
    second = place.open(wait_s=1.0)
    with database.write(), ThreadPoolExecutor(1) as other:
        refusal = other.submit(place.put, second, "icu").exception()
    assert isinstance(refusal, StateError)
    assert refusal.code == "ledger.busy"
    place.put(second, "icu")


def test_a_thread_that_waits_too_long_is_told_so(place: Any, database: Database) -> None:
    second = place.open(wait_s=1.0)
    with second.write(), ThreadPoolExecutor(1) as other:
        refusal = other.submit(place.put, second, "icu").exception()
    assert isinstance(refusal, StateError)
    assert refusal.code == "ledger.busy"


def test_two_owners_of_one_database_do_not_lose_entries(place: Any, database: Database) -> None:
    second = place.open()
    for number in range(6):
        place.put(database if number % 2 else second, f"ward-{number}")
    assert place.verify().entries == 6


def test_a_full_disk_changes_nothing(place: Any, database: Database) -> None:
    place.put(database, "icu")

    def change() -> None:
        with database.write() as transaction:
            transaction.execute(INSERT, {"name": "er"})
            fill_the_disk(place, transaction)

    with pytest.raises(StateError) as refusal:
        change()
    assert refusal.value.code == "ledger.disk_full"
    assert "free some space" in refusal.value.public
    assert (place.wards(database), database.evidence.size) == (["icu"], 1)
    if place.is_sqlite:
        place.meddle("PRAGMA max_page_count = 1000000")
    place.close()
    again = place.open()
    assert place.put(again, "er") == 2
    assert place.verify().verified


def fill_the_disk(place: Any, transaction: Any) -> None:
    if place.is_sqlite:
        transaction.execute(text("PRAGMA max_page_count = 1"))
        for number in range(1000):
            transaction.record("ward.opened", f"ward-{number}", {"note": "x" * 1000})
    else:
        transaction.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$"))


def test_a_database_that_cannot_be_written_changes_nothing(place: Any, database: Database) -> None:
    def change() -> None:
        with database.write() as transaction:
            transaction.execute(INSERT, {"name": "er"})
            transaction.record("ward.opened", "er", {})
            readonly = "PRAGMA query_only = ON" if place.is_sqlite else "SET TRANSACTION READ ONLY"
            transaction.execute(text(readonly))

    with pytest.raises(StateError) as refusal:
        change()
    assert refusal.value.code == "ledger.cannot_write"
    assert (place.wards(database), database.evidence.size) == ([], 0)


def test_entries_are_listed_in_pages(place: Any, database: Database) -> None:
    for number in range(5):
        place.put(database, f"ward-{number}")
    log = database.evidence
    assert [entry.seq for entry in log.entries(limit=2)] == [1, 2]
    assert [entry.seq for entry in log.entries(after=2, limit=2)] == [3, 4]
    assert [entry.seq for entry in log.entries(after=5)] == []
    assert [entry.seq for entry in log.entries(subject="ward-3")] == [4]
    assert [entry.seq for entry in log.entries(kind="ward.closed")] == []
    assert log.entries(limit=1)[0].as_record()["facts"] == {"beds": 1}


def test_entries_are_searched_by_kind_subject_and_time(place: Any, database: Database) -> None:
    for number in range(6):
        with database.write() as tx:
            tx.record(("a.one", "a.two", "b")[number % 3], f"s{number % 2}", {})
    search = database.evidence.search
    assert [one.seq for one in search()] == [6, 5, 4, 3, 2, 1]
    assert [one.seq for one in search(kind="a.")] == [5, 4, 2, 1]
    assert [one.seq for one in search(kind="a.two", subject="s1")] == [2]
    assert [one.seq for one in search(limit=2, behind=4)] == [3, 2]
    assert [one.seq for one in search(behind=4, is_falling=False)] == [5, 6]
    assert search(until="1990") == []
    assert len(search(since="1990", until="2999")) == 6


def test_a_changed_entry_is_not_listed_as_if_it_were_true(place: Any, database: Database) -> None:
    place.put(database, "icu")
    place.put(database, "er")
    change = "UPDATE evidence SET body = (SELECT body FROM evidence WHERE seq = 1) WHERE seq = 2"
    place.meddle(change)
    assert database.evidence.entries(limit=1)[0].subject == "icu"
    with pytest.raises(IntegrityError) as refusal:
        database.evidence.entries()
    assert (refusal.value.code, refusal.value.facts) == ("ledger.entry_changed", {"seq": 2})


def test_a_log_goes_on_after_it_is_opened_again(place: Any, database: Database) -> None:
    place.put(database, "icu")
    root = database.evidence.root()
    database.close()
    again = place.open()
    assert again.evidence.root() == root
    assert place.put(again, "er") == 2
    assert again.evidence.root() != root


def test_a_checkpoint_stays_until_the_log_grows(place: Any, database: Database) -> None:
    empty = database.evidence.checkpoint()
    assert database.evidence.checkpoint() == empty
    place.put(database, "icu")
    moved = database.evidence.checkpoint()
    assert moved != empty
    assert database.evidence.checkpoint() == moved
    assert [note.size for note in database.evidence.checkpoints()] == [0, 1]
    assert [note.text for note in database.evidence.checkpoints()] == [empty, moved]
    assert moved.startswith("did:web:space:tiantan\n1\n")


def test_a_database_of_another_owner_is_refused(place: Any, database: Database) -> None:
    place.put(database, "icu")
    for other in ({"key": SigningKey.generate()}, {"origin": "did:web:space:other"}):
        with pytest.raises(IntegrityError) as refusal:
            place.open(**other)
        assert refusal.value.code == "ledger.other_owner"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("DELETE FROM evidence WHERE seq = 3", "ledger.head_damaged"),
        ("DELETE FROM evidence_head", "ledger.head_damaged"),
        ("UPDATE evidence_head SET size = 2", "ledger.head_damaged"),
        ("UPDATE evidence_head SET note = 'x'", "ledger.other_owner"),
        ("UPDATE evidence_head SET frontier = (SELECT leaf_hash FROM evidence WHERE seq = 1)", ""),
    ],
)
def test_nothing_is_added_to_a_log_whose_end_does_not_fit(
    place: Any, database: Database, damage: str, code: str
) -> None:
    for name in ("a", "b", "c"):
        place.put(database, name)
    place.meddle(damage)
    if not damage.startswith("DELETE FROM evidence WHERE"):  # noticed when it is opened
        with pytest.raises(IntegrityError) as refusal:
            place.put(database, "d")
        assert refusal.value.code == (code or "ledger.head_damaged")
        assert place.wards(database) == ["a", "b", "c"]
    database.close()
    with pytest.raises(IntegrityError) as refusal:
        place.open()
    assert refusal.value.code == (code or "ledger.head_damaged")


WRITER = """
import sys, threading
from pathlib import Path
from sqlalchemy import text
from consilium.kernel.clock import SystemClock
from consilium.ledger.database import open_database
from consilium.ledger.keys import SigningKey

url, key, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
database = open_database(url, key=SigningKey.load(key), clock=SystemClock(), origin="did:web:s:t")
for number in range(count):
    with database.write() as transaction:
        seq = transaction.record("ward.opened", str(number), {"process": 1})
    print(seq, flush=True)
"""


def start_writer(place: Any, folder: Any, count: int) -> "subprocess.Popen[str]":
    key = folder / "participant.key"
    place.key = SigningKey.load(key) if key.exists() else SigningKey.create(key)
    command = [sys.executable, "-c", WRITER, place.url, str(key), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_may_open_a_new_database_together(place: Any, tmp_path: Any) -> None:
    writers = [start_writer(place, tmp_path, 10) for _ in range(2)]
    told = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(int(seq) for one in told for seq in one) == list(range(1, 21))
    verdict = place.verify()
    assert (verdict.entries, verdict.verified) == (20, True)


def test_a_killed_writer_loses_nothing_that_it_told(place: Any, tmp_path: Any) -> None:
    told = 0
    for _ in range(3):
        writer = start_writer(place, tmp_path, 100_000)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(15)]
        writer.kill()
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        told = int([line for line in lines if line.endswith("\n")][-1])
        verdict = place.verify()
        assert verdict.verified, verdict.text("en")
        assert verdict.entries - told in (0, 1)
    assert told >= 45


def test_threads_may_open_databases_together(place: Any) -> None:
    barrier = threading.Barrier(4)

    def work(_: int) -> None:
        barrier.wait()
        place.open()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert place.verify().verified

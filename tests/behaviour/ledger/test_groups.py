"""Writers that arrive together share one commit: all of it, each for itself, or nothing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError as ConstraintError

from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, StateError
from consilium.ledger.database import Database, Transaction

INSERT = text("INSERT INTO wards VALUES (:name, 1)")
Part = Callable[[Transaction], object]


class Crowd:
    """Writers that all wait for the first one to end, so that they form one group."""

    def __init__(self, place: Any, database: Database) -> None:
        self.place = place
        self.database = database
        self.commits = 0
        event.listen(database._engines.writer, "commit", self._count)

    def _count(self, _connection: object) -> None:
        self.commits += 1

    def run(self, *parts: Part) -> list[Future[Any]]:
        """Run the parts in this order, each in a thread of its own, in one group."""
        entered, go = threading.Event(), threading.Event()

        def lead(tx: Transaction) -> object:
            entered.set()
            assert go.wait(10)
            return parts[0](tx)

        with ThreadPoolExecutor(len(parts)) as pool:
            futures = [pool.submit(self.write, lead)]
            assert entered.wait(10)
            for number, part in enumerate(parts[1:], start=1):
                futures.append(pool.submit(self.write, part))
                while len(self.database._queue._waiting) < number:
                    time.sleep(0.001)
            go.set()
        return futures

    def write(self, part: Part) -> Any:
        with self.database.write() as tx:
            return part(tx)


@pytest.fixture
def crowd(place: Any) -> Crowd:
    """Give writers that have all the time to join, however busy the machine is."""
    database = place.open(share_s=60.0)
    with database.write() as tx:
        tx.execute(text("CREATE TABLE wards (name TEXT PRIMARY KEY, beds INTEGER)"))
    return Crowd(place, database)


def test_a_group_ends_when_its_first_writer_has_waited_long_enough(place: Any) -> None:
    crowd = Crowd(place, place.open(share_s=0.0))
    crowd.run(lambda tx: None, lambda tx: None, lambda tx: None)
    assert crowd.commits == 3


def opening(name: str, *, fails: bool = False) -> Part:
    def part(tx: Transaction) -> int:
        tx.execute(INSERT, {"name": name})
        seq = tx.record("ward.opened", name, {"beds": 1})
        if fails:
            raise RuntimeError(name)
        return seq

    return part


def subjects(database: Database) -> list[str]:
    return [entry.subject for entry in database.evidence.entries()]


def test_writers_that_wait_share_one_commit(crowd: Crowd) -> None:
    names = [f"ward-{n}" for n in range(6)]
    futures = crowd.run(*map(opening, names))
    assert [future.result() for future in futures] == [1, 2, 3, 4, 5, 6]
    assert crowd.commits == 1
    assert crowd.place.wards(crowd.database) == names
    assert crowd.place.verify().entries == 6


def test_a_writer_alone_commits_at_once(crowd: Crowd) -> None:
    for number in range(3):
        crowd.place.put(crowd.database, f"ward-{number}")
        assert crowd.commits == number + 1


@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_one_that_fails_takes_back_its_own_part_alone(crowd: Crowd, bad: int) -> None:
    names = [f"ward-{n}" for n in range(4)]
    futures = crowd.run(*(opening(name, fails=n == bad) for n, name in enumerate(names)))
    assert isinstance(futures[bad].exception(), RuntimeError)
    kept = [name for n, name in enumerate(names) if n != bad]
    places = [future.result() for n, future in enumerate(futures) if n != bad]
    assert (places, subjects(crowd.database)) == ([1, 2, 3], kept)
    assert crowd.place.wards(crowd.database) == kept
    assert crowd.place.verify().verified
    assert crowd.place.put(crowd.database, "one-more") == 4


def test_a_constraint_that_fails_takes_back_its_own_part_alone(crowd: Crowd) -> None:
    futures = crowd.run(opening("icu"), opening("er"), opening("icu"), opening("lab"))
    assert isinstance(futures[2].exception(), ConstraintError)
    assert subjects(crowd.database) == ["icu", "er", "lab"]
    assert crowd.place.wards(crowd.database) == ["er", "icu", "lab"]
    assert crowd.place.verify().verified


def test_evidence_that_is_refused_takes_back_its_own_part_alone(crowd: Crowd) -> None:
    def bad(tx: Transaction) -> None:
        tx.execute(INSERT, {"name": "er"})
        tx.record("ward.opened", "er", {"note": "x" * 70_000})

    futures = crowd.run(opening("icu"), bad, opening("lab"))
    assert isinstance(futures[1].exception(), InputError)
    assert crowd.place.wards(crowd.database) == ["icu", "lab"]
    assert subjects(crowd.database) == ["icu", "lab"]


def test_entries_that_a_writer_loses_stop_that_writer_alone(crowd: Crowd) -> None:
    def bad(tx: Transaction) -> None:
        tx.execute(INSERT, {"name": "er"})
        with tx.connection.begin_nested() as savepoint:
            tx.record("ward.opened", "er", {})
            savepoint.rollback()

    futures = crowd.run(opening("icu"), bad, opening("lab"))
    error = futures[1].exception()
    assert isinstance(error, IntegrityError)
    assert error.code == "ledger.entries_lost"
    assert crowd.place.wards(crowd.database) == ["icu", "lab"]
    assert crowd.place.verify().entries == 2


def test_an_error_that_a_part_has_caught_with_a_savepoint_harms_nobody(crowd: Crowd) -> None:
    def careful(tx: Transaction) -> None:
        with pytest.raises(ConstraintError), tx.connection.begin_nested():
            tx.execute(INSERT, {"name": "icu"})
        opening("er")(tx)

    for future in crowd.run(opening("icu"), careful, opening("lab")):
        future.result()
    assert subjects(crowd.database) == ["icu", "er", "lab"]


def test_calls_follow_the_commit_and_only_for_those_who_stay(crowd: Crowd) -> None:
    seen: list[tuple[str, list[str]]] = []

    def calling(name: str, *, fails: bool = False) -> Part:
        def part(tx: Transaction) -> None:
            tx.after_commit(lambda: seen.append((name, crowd.place.wards(crowd.database))))
            opening(name, fails=fails)(tx)
            assert seen == []

        return part

    crowd.run(calling("a"), calling("b", fails=True), calling("c"))
    assert sorted(seen) == [("a", ["a", "c"]), ("c", ["a", "c"])]


def test_a_part_sees_those_before_it(crowd: Crowd) -> None:
    def look(tx: Transaction) -> list[str]:
        return list(tx.execute(text("SELECT name FROM wards ORDER BY name")).scalars())

    futures = crowd.run(opening("a"), opening("b", fails=True), opening("c"), look)
    assert futures[3].result() == ["a", "c"]


def test_a_commit_that_fails_is_told_to_every_writer(crowd: Crowd) -> None:
    readonly = "PRAGMA query_only = ON" if crowd.place.is_sqlite else "SET TRANSACTION READ ONLY"
    seen: list[str] = []

    def spoil(tx: Transaction) -> None:
        tx.after_commit(lambda: seen.append("called"))
        tx.execute(text(readonly))

    futures = crowd.run(opening("a"), opening("b"), spoil)
    for future in futures:
        error = future.exception()
        assert isinstance(error, StateError)
        assert error.code == "ledger.cannot_write"
    assert (crowd.place.wards(crowd.database), subjects(crowd.database), seen) == ([], [], [])


def test_a_full_disk_takes_nobody_halfway(crowd: Crowd) -> None:
    def fill(tx: Transaction) -> None:
        if not crowd.place.is_sqlite:
            tx.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$"))
        tx.execute(text("PRAGMA max_page_count = 1"))
        for number in range(1000):
            tx.record("ward.opened", f"ward-{number}", {"note": "x" * 1000})

    futures = crowd.run(opening("a"), fill, opening("b"))
    told = futures[1].exception()
    assert isinstance(told, StateError)
    assert told.code == "ledger.disk_full"
    kept = [n for n, f in zip("a_b", futures, strict=True) if f.exception() is None]
    assert subjects(crowd.database) == kept == crowd.place.wards(crowd.database)
    refused = [f.exception() for f in (futures[0], futures[2]) if f.exception() is not None]
    assert all(isinstance(error, ConsiliumError) for error in refused)
    assert crowd.place.verify().verified


def test_a_writer_inside_a_group_cannot_write_inside_itself(crowd: Crowd) -> None:
    def nest(_tx: Transaction) -> None:
        crowd.place.put(crowd.database, "inner")

    futures = crowd.run(opening("a"), nest, opening("b"))
    error = futures[1].exception()
    assert isinstance(error, StateError)
    assert error.code == "ledger.nested_write"
    assert subjects(crowd.database) == ["a", "b"]


def test_a_writer_that_gives_up_waiting_leaves_the_group_whole(place: Any) -> None:
    database = place.open(wait_s=0.3)
    with database.write() as tx:
        tx.execute(text("CREATE TABLE wards (name TEXT PRIMARY KEY, beds INTEGER)"))
    with ThreadPoolExecutor(4) as pool, database.write() as tx:
        opening("a")(tx)
        waiting = [pool.submit(place.put, database, f"late-{n}") for n in range(4)]
        errors = [future.exception() for future in waiting]
    assert [getattr(error, "code", "") for error in errors] == ["ledger.busy"] * 4
    assert place.put(database, "b") == 2
    assert place.verify().verified


def test_a_crowd_that_fails_at_random_loses_and_keeps_the_right_parts(crowd: Crowd) -> None:
    def work(number: int) -> int | None:
        try:
            return int(crowd.write(opening(f"ward-{number:03d}", fails=number % 3 == 0)))
        except RuntimeError:
            return None

    with ThreadPoolExecutor(12) as pool:
        places = list(pool.map(work, range(240)))
    kept = [f"ward-{n:03d}" for n in range(240) if n % 3]
    assert sorted(place for place in places if place) == list(range(1, len(kept) + 1))
    assert sorted(e.subject for e in crowd.database.evidence.entries(limit=1000)) == kept
    assert crowd.place.wards(crowd.database) == kept
    assert crowd.commits < len(kept)
    assert crowd.place.verify().verified


def test_writers_that_give_up_in_the_last_moment_hold_nobody_up(place: Any) -> None:
    database = place.open(wait_s=0.004)
    with database.write() as tx:
        tx.execute(text("CREATE TABLE wards (name TEXT PRIMARY KEY, beds INTEGER)"))

    def work(number: int) -> bool:
        try:
            place.put(database, f"ward-{number}")
        except StateError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        kept = sum(pool.map(work, range(320)))
    assert database.evidence.size == kept > 0
    assert place.verify().verified

"""Refusals are kept at a pace of our own, and none is forgotten without a count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consilium.kernel.canonical import Json
from consilium.kernel.clock import HeldClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.refusals import Refusals


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    clock = HeldClock(datetime(2026, 1, 10, tzinfo=UTC))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    found = open_database(url, key=SigningKey.generate(), clock=clock, origin="did:web:x:y")
    yield found
    found.close()


class Seconds:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def facts(database: Database) -> list[dict[str, object]]:
    return [dict(entry.facts) for entry in database.evidence.entries(limit=1000)]


def keep(refusals: Refusals, *, rule: str = "a", by: str = "") -> bool:
    return refusals.keep("request.refused", "x", {"rule": rule}, rule=rule, by=by)


def test_the_first_are_written_the_others_counted_until_time_has_passed(
    database: Database,
) -> None:
    seconds = Seconds()
    refusals = Refusals(database, burst=3, refill_s=10, now=seconds)
    assert [keep(refusals) for _ in range(10)] == [True] * 3 + [False] * 7
    seconds.now = 10
    assert [keep(refusals) for _ in range(2)] == [True, False]
    assert facts(database)[-1] == {"rule": "a", "unwritten": 7}
    assert len(facts(database)) == 4


def test_one_rule_or_sender_does_not_use_up_the_allowance_of_another(database: Database) -> None:
    refusals = Refusals(database, burst=1, now=Seconds())
    tries = [("a", ""), ("a", ""), ("b", ""), ("a", "north"), ("a", "north")]
    assert [keep(refusals, rule=rule, by=by) for rule, by in tries] == [
        True,
        False,
        True,
        True,
        False,
    ]


class Sink:
    """Takes entries and writes nothing."""

    def record(self, kind: str, subject: str, facts: Mapping[str, Json]) -> int:
        return 1

    @contextmanager
    def write(self) -> Iterator[Sink]:
        yield self


def test_so_many_rules_as_nobody_has_share_one_allowance() -> None:
    refusals = Refusals(Sink(), burst=1, now=Seconds())
    written = sum(
        refusals.keep("x.refused", "x", {}, rule=str(number), by="") for number in range(1_005)
    )
    assert written == 1_001


def test_a_refusal_within_a_turn_to_write_waits_for_the_next(database: Database) -> None:
    refusals = Refusals(database, now=Seconds())
    with database.write() as tx:
        assert keep(refusals)
        assert refusals.record(tx, "lease.refused", "y", {"rule": "b"}, rule="b")
    assert facts(database) == [{"rule": "b"}]
    keep(refusals, rule="c")
    assert facts(database) == [{"rule": "b"}, {"rule": "a"}, {"rule": "c"}]

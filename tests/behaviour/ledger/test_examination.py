"""What the doctor says of a database, on both kinds."""

from __future__ import annotations

from typing import Any

from consilium.kernel.findings import State
from consilium.ledger.examination import check_database, check_evidence


def test_a_database_of_this_release_is_in_order(place: Any) -> None:
    database = place.open()
    with database.write() as tx:
        tx.record("ward.opened", "a", {"beds": 1})
    assert check_database(place.url).code == "doctor.database"
    found = check_evidence(place.url, place.key.public)
    assert (found.state, found.facts) == (State.OK, {"entries": 1})


def test_a_database_that_was_never_used_is_nothing_yet(place: Any) -> None:
    found = check_database(place.url)
    assert (found.state, found.code) == (State.SKIPPED, "doctor.nothing_yet")


def test_an_earlier_release_is_told(place: Any) -> None:
    place.open()
    place.meddle("UPDATE schema_version SET version_num = '0004'")
    found = check_database(place.url)
    assert (found.state, found.code) == (State.WARNING, "doctor.database_behind")


def test_a_changed_entry_is_told(place: Any) -> None:
    database = place.open()
    with database.write() as tx:
        tx.record("ward.opened", "a", {"beds": 1})
    place.meddle("UPDATE evidence SET kind = 'ward.closed' WHERE seq = 1")
    found = check_evidence(place.url, place.key.public)
    assert (found.state, found.facts["seq"]) == (State.FAILED, 1)

"""A study's record: each verb is one transaction with its evidence, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from federation_rehearsal import Rehearsal, make_rehearsal
from sqlalchemy.exc import DatabaseError

sys.path.insert(0, str(Path(__file__).parents[2] / "behaviour" / "dataspace"))

from dataspace_rehearsal import empty_database

from consilium.federation.states import LIVE, StudyState
from consilium.federation.store import (
    PAGE,
    add_event,
    get_study,
    list_events,
    list_segments,
    list_studies,
)
from consilium.federation.studies import (
    accept_study,
    begin_segment,
    draft_study,
    end_segment,
    keep_result,
    move_study,
    name_job,
    sign_study,
)
from consilium.gate.orders import sign_study as sign_plan
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import NotFoundError, StateError
from consilium.kernel.identifiers import StudyId
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey

CLOCK = HeldClock(datetime(2026, 11, 23, 8, tzinfo=UTC))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "node.db"
    path.write_bytes(empty_database())
    path.chmod(0o600)
    found = open_database(
        f"sqlite:///{path}", key=SigningKey.generate(), clock=CLOCK, origin="did:web:x:north"
    )
    yield found
    found.close()


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return make_rehearsal(tmp_path / "attempts")


def accept(database: Database, rehearsal: Rehearsal) -> StudyState:
    with database.write() as tx:
        return accept_study(tx, rehearsal.study, rehearsal.signed, clock=CLOCK)


def row(database: Database, study: StudyId) -> dict[str, Any]:
    with database.read() as connection:
        return get_study(connection, study)


def kinds(database: Database) -> list[str]:
    return [entry.kind for entry in database.evidence.entries()]


def test_a_submitted_study_is_taken_once(database: Database, rehearsal: Rehearsal) -> None:
    assert accept(database, rehearsal) is StudyState.SUBMITTED
    with database.write() as tx:
        move_study(tx, rehearsal.study.study, StudyState.RUNNING, clock=CLOCK)
    assert accept(database, rehearsal) is StudyState.RUNNING
    assert kinds(database) == ["study.submitted", "study.running"]
    (entry,) = database.evidence.entries(kind="study.submitted")
    assert entry.facts == {"digest": rehearsal.study.digest, "lead": rehearsal.study.lead}


def test_another_plan_under_the_same_identifier_is_refused(
    database: Database, rehearsal: Rehearsal
) -> None:
    accept(database, rehearsal)
    other = replace(rehearsal.study, title="Another plan")
    signed = sign_plan(rehearsal.desks[other.lead].key, other)
    with pytest.raises(StateError) as caught, database.write() as tx:
        accept_study(tx, other, signed, clock=CLOCK)
    assert caught.value.code == "study.other_plan"
    assert row(database, other.study)["signed"] == rehearsal.signed


def test_a_draft_is_kept_with_its_title_and_then_signed(
    database: Database, rehearsal: Rehearsal
) -> None:
    plan = rehearsal.study
    with database.write() as tx:
        draft_study(tx, plan.study, lead=plan.lead, draft={"title": "心脏病"}, clock=CLOCK)
    with database.write() as tx:
        sign_study(tx, plan, rehearsal.signed, clock=CLOCK)
    found = row(database, plan.study)
    assert (found["state"], found["title"], found["draft"]) == (
        "RECRUITING",
        "心脏病",
        '{"title":"心脏病"}',
    )
    assert found["signed"] == rehearsal.signed
    assert kinds(database) == ["study.drafted", "study.signed"]


def test_a_step_that_the_table_lacks_changes_nothing(
    database: Database, rehearsal: Rehearsal
) -> None:
    accept(database, rehearsal)
    study = rehearsal.study.study
    with pytest.raises(StateError), database.write() as tx:
        move_study(tx, study, StudyState.COMPLETED, clock=CLOCK)
    assert row(database, study)["state"] == "SUBMITTED"
    assert kinds(database) == ["study.submitted"]
    with database.read() as connection:
        assert [event["kind"] for event in list_events(connection, study)] == ["submitted"]


def test_a_failed_study_says_why_in_record_event_and_evidence(
    database: Database, rehearsal: Rehearsal
) -> None:
    accept(database, rehearsal)
    study = rehearsal.study.study
    CLOCK.advance(timedelta(minutes=1))
    with database.write() as tx:
        move_study(tx, study, StudyState.FAILED, clock=CLOCK, reason="engine_ended")
    found = row(database, study)
    assert (found["state"], found["reason"]) == ("FAILED", "engine_ended")
    assert found["updated"] > found["created"]
    assert database.evidence.entries(kind="study.failed")[0].facts == {"reason": "engine_ended"}
    with database.read() as connection:
        assert list_events(connection, study)[-1]["facts"] == {"reason": "engine_ended"}
        assert list_studies(connection, states=LIVE) == []


def test_an_unknown_study_is_named(database: Database) -> None:
    with pytest.raises(NotFoundError) as caught, database.write() as tx:
        move_study(tx, StudyId("urn:uuid:none"), StudyState.RUNNING, clock=CLOCK)
    assert caught.value.code == "study.unknown"
    assert "urn:uuid:none" in caught.value.public


def test_attempts_are_numbered_without_a_gap_and_closed_with_a_word(
    database: Database, rehearsal: Rehearsal
) -> None:
    accept(database, rehearsal)
    study = rehearsal.study.study
    for number in (1, 2, 3):
        with database.write() as tx:
            begun = begin_segment(tx, study, segment=number, first_round=number, clock=CLOCK)
            name_job(tx, study, begun, f"job-{number}")
        with database.write() as tx:
            end_segment(tx, study, begun, outcome="engine_ended", clock=CLOCK)
    with database.read() as connection:
        found = list_segments(connection, study)
    assert [(one["attempt"], one["job"], one["outcome"]) for one in found] == [
        (number, f"job-{number}", "engine_ended") for number in (1, 2, 3)
    ]
    assert kinds(database)[1:] == ["segment.begun", "segment.ended"] * 3


def test_events_come_in_order_and_in_pages(database: Database, rehearsal: Rehearsal) -> None:
    accept(database, rehearsal)
    study = rehearsal.study.study
    with database.write() as tx:
        for number in range(PAGE + 10):
            add_event(tx, study, "noted", {"number": number}, clock=CLOCK)
    with database.read() as connection:
        first = list_events(connection, study)
        second = list_events(connection, study, after=first[-1]["id"])
    assert len(first) == PAGE
    numbers = [event["facts"].get("number") for event in first + second]
    assert numbers == [None, *range(PAGE + 10)]


def test_a_result_is_kept_with_its_study(database: Database, rehearsal: Rehearsal) -> None:
    accept(database, rehearsal)
    with database.write() as tx:
        keep_result(tx, rehearsal.study.study, {"rounds": 3, "mean": 0.75})
    assert row(database, rehearsal.study.study)["result"] == '{"mean":0.75,"rounds":3}'


def test_a_verb_whose_evidence_cannot_be_written_does_nothing(
    database: Database, rehearsal: Rehearsal
) -> None:
    with database.write() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON evidence "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(DatabaseError):
        accept(database, rehearsal)
    with database.read() as connection:
        assert list_studies(connection) == []

"""The stream of events of one page: what it begins with, what it replays, what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from console_bench import Browser, ConsoleBench

from consilium.federation.states import StudyState
from consilium.federation.store import add_event, add_study
from consilium.kernel.identifiers import StudyId
from consilium.persons.queue import ask
from consilium.persons.records import Grant, Role

pytestmark = pytest.mark.slow
ONE, TWO = StudyId("urn:uuid:one"), StudyId("urn:uuid:two")


@contextmanager
def listening(browser: Browser, last: str = "") -> Iterator[Iterator[dict[str, Any]]]:
    headers = {"last-event-id": last} if last else {}
    with browser.http.stream("GET", "/api/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        yield read(answer.iter_lines())


def read(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if not line and "data" in event:
            yield event
            event = {}
        elif name:
            event[name] = json.loads(value) if name == "data" else value


def say(console: ConsoleBench, study: StudyId, kind: str) -> None:
    with console.database.write() as tx:
        add_event(tx, study, kind, {"round": 1}, clock=console.clock)


@pytest.fixture
def studies(console: ConsoleBench) -> ConsoleBench:
    with console.database.write() as tx:
        for study in (ONE, TWO):
            row = {"title": "t", "lead": "did:web:example.org:north"}
            add_study(tx, study, state=StudyState.RUNNING, clock=console.clock, **row)
    say(console, ONE, "before")
    return console


def test_a_page_hears_what_is_now_then_what_happens(studies: ConsoleBench) -> None:
    with listening(studies.signed_in("one", Role.STEWARD)) as events:
        first = [next(events), next(events)]
        assert [(one["event"], one["data"]) for one in first] == [
            ("queue", {"open": 0}),
            ("link", {"online": True}),
        ]
        say(studies, ONE, "round")
        heard = next(events)
        assert heard["event"] == "study"
        assert {"study": ONE, "kind": "round"}.items() <= heard["data"].items()
        with studies.database.write() as tx:
            tx.record("agreement.finalized", "urn:uuid:agreement", {})
            tx.record("approval.released", "urn:uuid:release", {})
            ask(
                tx,
                kind="agreement",
                subject="urn:uuid:p",
                reason="r",
                due=studies.clock.now(),
                role=Role.STEWARD,
                clock=studies.clock,
            )
        told = next(events)
        assert told["data"] == {"agreement": "urn:uuid:agreement", "state": "FINALIZED"}
        heard = next(events)
        assert heard["event"] == "release"
        assert heard["data"] == {"release": "urn:uuid:release", "state": "RELEASED"}
        assert next(events)["data"] == {"open": 1}


def test_a_line_that_broke_goes_on_where_it_was(studies: ConsoleBench) -> None:
    browser = studies.signed_in("one", Role.STEWARD)
    with listening(browser) as events:
        last = next(events)["id"]
    for kind in ("a", "b", "c"):
        say(studies, TWO, kind)
    with listening(browser, last) as events:
        heard = [next(events) for _ in range(3)]
    assert [one["data"]["kind"] for one in heard] == ["a", "b", "c"]
    with listening(browser, heard[1]["id"]) as events:
        assert next(events)["data"]["kind"] == "c"
    with listening(browser, "no place of ours") as events:
        assert next(events)["event"] == "queue"


def test_a_limited_role_hears_of_its_study_alone(studies: ConsoleBench) -> None:
    grant = Grant(role=Role.RESEARCH_LEAD, study=TWO)
    with listening(studies.signed_in("guest", grant)) as events:
        next(events), next(events)
        say(studies, ONE, "hidden")
        say(studies, TWO, "seen")
        assert next(events)["data"]["kind"] == "seen"


def test_the_line_ends_with_its_session(studies: ConsoleBench) -> None:
    browser = studies.signed_in("one", Role.STEWARD)
    other = studies.browser()
    other.sign_in("one")
    with listening(browser) as events:
        next(events), next(events)
        mine = next(one for one in other.get("/sessions").json()["items"] if not one["current"])
        assert other.ask("DELETE", f"/sessions/{mine['id']}").status_code == 204
        say(studies, ONE, "too late")
        assert list(events) == []

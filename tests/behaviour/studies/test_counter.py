"""The hub's counter for studies: who may bring, watch, fetch and stop one."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from dataspace_rehearsal import participant
from fastapi import FastAPI, Header
from federation_rehearsal import Rehearsal, make_rehearsal
from studies_rehearsal import StudySpace

from consilium.dataspace.directory import HeldDirectory
from consilium.dataspace.wire.boundary import report_errors
from consilium.federation.attempts import study_folder
from consilium.federation.local import LocalEngine
from consilium.federation.states import StudyState
from consilium.gate.orders import peek_study, sign_study
from consilium.hub.studies import Departure, StudyCounter, Submission, studies_router
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.keys import SigningKey


class Counter:
    """A hub's counter, and a study of three hospitals to bring there."""

    def __init__(self, world: StudySpace, rehearsal: Rehearsal) -> None:
        self.hub = world.hub
        self.rehearsal = rehearsal
        self.plan = rehearsal.study
        self.study = self.plan.study
        self.lead = self.plan.lead
        self.site = next(one.participant for one in self.plan.sites if one.participant != self.lead)
        self.stranger = participant("stranger")
        keys = {site: desk.key.public for site, desk in rehearsal.desks.items()}
        keys[self.stranger] = SigningKey.generate().public
        world.hub.directory = HeldDirectory(keys)
        world.hub.close()
        world.hub.open(engine=LocalEngine(rehearsal.desks, recipes=rehearsal.recipes))

    @property
    def at(self) -> StudyCounter:
        return self.hub.counter

    def submission(self, **changes: str) -> Submission:
        start = base64.b64encode(self.rehearsal.start).decode()
        return Submission(**({"signed": self.rehearsal.signed, "start": start} | changes))

    def submit(self, **changes: str) -> dict[str, Any]:
        return self.at.submit(self.lead, self.submission(**changes))

    def resigned(self, **changes: Any) -> str:
        return sign_study(self.rehearsal.desks[self.lead].key, replace(self.plan, **changes))


@pytest.fixture
def counter(world: StudySpace, tmp_path: Any) -> Counter:
    settings = {"local_steps": 2}
    return Counter(world, make_rehearsal(tmp_path / "attempts", settings=settings, rounds=2))


def code_of(call: Callable[[], object], kind: type[ConsiliumError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def test_a_lead_brings_watches_and_fetches_its_study(counter: Counter) -> None:
    assert counter.submit() == {"study": counter.study, "digest": counter.plan.digest}
    assert counter.hub.await_state(counter.study) is StudyState.COMPLETED
    seen: list[dict[str, Any]] = []
    said: dict[str, Any] = {"state": ""}
    while said["state"] != "COMPLETED":
        after = seen[-1]["id"] if seen else 0
        said = counter.at.watch(counter.lead, counter.study, after=after)
        seen += said["events"]
    kinds = [event["kind"] for event in seen]
    assert kinds[:3] == ["submitted", "running", "segment_begun"]
    assert kinds[-1] == "completed"
    result = counter.at.result(counter.lead, counter.study)
    assert set(result["evaluation"]["replies"]) == set(counter.rehearsal.desks)
    shown = counter.at.show(counter.site, counter.study)
    assert (shown["state"], [one["outcome"] for one in shown["segments"]]) == (
        "COMPLETED",
        ["finished"],
    )


def test_the_same_study_brought_twice_runs_once(counter: Counter) -> None:
    for _ in range(3):
        counter.submit()
    counter.hub.await_state(counter.study)
    assert counter.submit()["study"] == counter.study
    assert len(counter.at.show(counter.lead, counter.study)["segments"]) == 1
    kinds = [entry.kind for entry in counter.hub.database.evidence.entries(limit=1000)]
    assert kinds.count("study.submitted") == kinds.count("study.completed") == 1


def test_a_study_that_was_stopped_is_not_revived_by_bringing_it_again(counter: Counter) -> None:
    desk = next(iter(counter.rehearsal.desks.values()))
    desk.silent_in = {1}
    counter.submit()
    counter.hub.await_state(counter.study, StudyState.RUNNING)
    assert counter.at.stop(counter.lead, counter.study) == {"study": counter.study}
    desk.quiet.set()
    assert counter.hub.await_state(counter.study) is StudyState.STOPPED
    before = counter.at.show(counter.lead, counter.study)
    counter.submit()
    time.sleep(0.2)
    assert counter.at.show(counter.lead, counter.study) == before


def test_another_plan_under_the_same_identifier_is_refused_and_writes_nothing(
    counter: Counter,
) -> None:
    counter.submit()
    signed = counter.resigned(title="Another")
    assert code_of(lambda: counter.submit(signed=signed), StateError) == "study.other_plan"
    folders = list((counter.hub.folder / "studies").iterdir())
    assert folders == [study_folder(counter.hub.folder / "studies", counter.plan)]


def test_only_its_lead_brings_a_study(counter: Counter) -> None:
    other = counter.submission()
    assert code_of(lambda: counter.at.submit(counter.site, other), DeniedError) == (
        "study.not_the_lead"
    )
    forged = sign_study(counter.rehearsal.desks[counter.site].key, counter.plan)
    assert code_of(lambda: counter.submit(signed=forged), IntegrityError) == "ledger.bad_signature"
    assert not (counter.hub.folder / "studies").exists()


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"start": "no base64!"}, InputError, "study.bad_plan"),
        ({"start": base64.b64encode(b"another").decode()}, IntegrityError, "study.wrong_start"),
        ({"start": ""}, IntegrityError, "study.wrong_start"),
        ({"signed": "nothing"}, InputError, "ledger.not_a_statement"),
        ({"signed": "a.e30.b"}, InputError, "gate.bad_order"),
    ],
)
def test_a_submission_that_is_not_whole_is_refused_and_writes_nothing(
    counter: Counter, changes: dict[str, str], kind: type[ConsiliumError], code: str
) -> None:
    assert code_of(lambda: counter.submit(**changes), kind) == code
    assert not (counter.hub.folder / "studies").exists()
    assert code_of(lambda: counter.at.show(counter.lead, counter.study), NotFoundError)


def test_for_strangers_a_study_does_not_exist(counter: Counter) -> None:
    counter.submit()
    unknown = StudyId("urn:uuid:99999999-9999-4999-8999-999999999999")
    at, who = counter.at, counter.stranger
    for call in (
        lambda study: at.show(who, study),
        lambda study: at.watch(who, study, after=0),
        lambda study: at.result(who, study),
        lambda study: at.stop(who, study),
    ):
        told = []
        for study in (counter.study, unknown):
            with pytest.raises(NotFoundError) as caught:
                call(study)
            told.append(str(caught.value.as_record()).replace(study, "-"))
        assert told[0] == told[1]


def test_a_site_sees_the_study_but_neither_its_result_nor_its_brake(counter: Counter) -> None:
    counter.submit()
    counter.hub.await_state(counter.study)
    assert counter.at.watch(counter.site, counter.study, after=0)["events"]
    assert code_of(lambda: counter.at.result(counter.site, counter.study), NotFoundError)
    assert code_of(lambda: counter.at.stop(counter.site, counter.study), NotFoundError)


def test_there_is_no_result_before_the_end(counter: Counter) -> None:
    desk = next(iter(counter.rehearsal.desks.values()))
    desk.silent_in = {1}
    counter.submit()
    counter.hub.await_state(counter.study, StudyState.RUNNING)
    assert code_of(lambda: counter.at.result(counter.lead, counter.study), StateError) == (
        "study.not_finished"
    )
    desk.quiet.set()


def test_a_watcher_waits_for_news_and_hears_of_the_end_at_once(counter: Counter) -> None:
    desk = next(iter(counter.rehearsal.desks.values()))
    desk.silent_in = {1}
    counter.submit()
    counter.hub.await_state(counter.study, StudyState.RUNNING)
    time.sleep(0.3)
    last = counter.hub.events(counter.study)[-1]["id"]
    counter.at.stop(counter.lead, counter.study)
    began = time.monotonic()
    said = counter.at.watch(counter.lead, counter.study, after=last)
    desk.quiet.set()
    assert said["events"]
    assert time.monotonic() - began < 10


def test_the_routes_take_the_sender_from_the_door_and_refuse_unknown_fields(
    counter: Counter,
) -> None:
    app = FastAPI()
    report_errors(app)

    def sender(who: str = Header()) -> ParticipantId:
        return ParticipantId(who)

    app.include_router(studies_router(counter.at, sender=sender))

    async def ask(method: str, path: str, body: Any = None, who: str = "") -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            headers = {"who": who or counter.lead}
            return await client.request(method, path, json=body, headers=headers)

    body = counter.submission().model_dump()
    answer = asyncio.run(ask("POST", "/studies", {**body, "colour": "blue"}))
    assert (answer.status_code, answer.json()["code"]) == (400, "boundary.malformed")
    assert "look at colour. " in answer.json()["en"]
    answer = asyncio.run(ask("POST", "/studies", body))
    assert answer.json()["digest"] == peek_study(body["signed"]).digest
    answer = asyncio.run(ask("GET", f"/studies/{counter.study}", who=counter.stranger))
    assert (answer.status_code, answer.json()["code"]) == (404, "study.unknown")
    answer = asyncio.run(ask("GET", f"/studies/{counter.study}/events?after=0"))
    assert answer.json()["events"][0]["kind"] == "submitted"
    assert asyncio.run(ask("GET", f"/studies/{counter.study}/events?after=x")).status_code == 400
    assert asyncio.run(ask("POST", f"/studies/{counter.study}/stop")).status_code == 200
    counter.hub.await_state(counter.study)


def test_a_hospital_leaves_a_study_once_and_others_cannot_do_it_for_it(counter: Counter) -> None:
    counter.submit()
    why = Departure(code="gate.agreement_revoked", reason="It was revoked.")
    leave = counter.at.leave
    assert code_of(lambda: leave(counter.stranger, counter.study, why), NotFoundError) == (
        "study.unknown"
    )
    for _ in range(2):
        assert leave(counter.site, counter.study, why) == {"study": counter.study}
    kinds = [entry.kind for entry in counter.hub.database.evidence.entries(limit=1000)]
    assert kinds.count("study.left") == 1
    counter.hub.await_state(counter.study)
    after = counter.hub.database.evidence.size
    leave(counter.lead, counter.study, why)
    assert counter.hub.database.evidence.size == after, "an ended study is left by nobody"


def test_a_member_that_was_revoked_takes_its_studies_along(counter: Counter) -> None:
    counter.submit()
    counter.at.expel(counter.site)
    events = counter.at.watch(counter.lead, counter.study, after=0)["events"]
    told = [event["facts"] for event in events if event["kind"] == "left"]
    assert [(one["participant"], one["code"]) for one in told] == [
        (counter.site, "hub.member_revoked")
    ]
    counter.at.expel(counter.lead)
    assert counter.hub.await_state(counter.study) in {StudyState.STOPPED, StudyState.COMPLETED}

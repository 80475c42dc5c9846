"""Deeds that are sent twice: done once, answered twice."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from httpx import ASGITransport, AsyncClient
from starlette.types import ASGIApp, Receive, Scope, Send

from consilium.persons.records import Person, PersonId
from consilium.persons.sessions import Session, SessionId
from consilium.web.repeats import Repeats
from consilium.web.seats import SEAT, Seat


class Seated:
    """Puts whoever the header `who` names into the request, as the guard does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = dict(scope["headers"]).get(b"who", b"").decode()
        if who:
            session = Session(
                id=SessionId("s"), person=PersonId(who), agent="", began="", used="", ends=""
            )
            person = Person(id=PersonId(who), name=who, is_active=True, grants=(), created="")
            scope[SEAT] = Seat(session=session, person=person, page_token="")
        await self._app(scope, receive, send)


class Bench:
    """An application that counts, behind `Repeats`, with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.now_s = 0.0
        app = FastAPI()

        @app.post("/deeds")
        async def deed(request: Request, answer: Response) -> dict[str, Any]:
            body = await request.json()
            await asyncio.sleep(0.01)
            self.done.append(body)
            answer.status_code = int(body.get("status", 200))
            if body.get("cookie"):
                answer.set_cookie("a", "b")
            return {"number": len(self.done)}

        self.app = Seated(Repeats(app, tell_s=lambda: self.now_s))

    def send(self, *asked: tuple[dict[str, Any], dict[str, str]]) -> list[Any]:
        """Send deeds at once; give statuses and records."""

        async def run() -> list[Any]:
            async with AsyncClient(transport=ASGITransport(self.app), base_url="http://x") as http:
                calls = [http.post("/deeds", json=body, headers=sent) for body, sent in asked]
                return [(it.status_code, it.json()) for it in await asyncio.gather(*calls)]

        return asyncio.run(run())


KEY = {"who": "one", "idempotency-key": "k"}


def test_the_same_deed_sent_at_once_and_later_is_done_once() -> None:
    bench = Bench()
    told = bench.send(*[({"a": 1}, KEY)] * 5) + bench.send(({"a": 1}, KEY))
    assert told == [(200, {"number": 1})] * 6
    assert bench.done == [{"a": 1}]


def test_another_body_under_the_same_key_is_refused() -> None:
    bench = Bench()
    bench.send(({"a": 1}, KEY))
    ((status, told),) = bench.send(({"a": 2}, KEY))
    assert (status, told["code"]) == (409, "web.other_deed")
    assert len(bench.done) == 1


def test_keys_are_each_persons_own_and_none_is_needed() -> None:
    bench = Bench()
    bench.send(({}, KEY), ({}, KEY | {"who": "two"}))
    bench.send(({}, {"who": "one"}), ({}, {"who": "one"}), ({}, {"idempotency-key": "k"}))
    assert len(bench.done) == 5


def test_what_failed_or_hands_out_a_cookie_is_not_kept() -> None:
    bench = Bench()
    for body in ({"status": 503}, {"cookie": True}):
        bench.done.clear()
        bench.send((body, KEY | {"idempotency-key": str(body)}))
        bench.send((body, KEY | {"idempotency-key": str(body)}))
        assert len(bench.done) == 2


def test_what_was_refused_may_be_tried_again() -> None:
    bench = Bench()
    for _ in range(2):
        bench.send(({"status": 409}, KEY))
    assert len(bench.done) == 2


def test_answers_are_kept_for_a_day_and_not_without_end() -> None:
    bench = Bench()
    bench.send(({}, KEY))
    bench.now_s = 25 * 3600
    bench.send(({}, KEY))
    assert len(bench.done) == 2
    bench.send(*[({}, KEY | {"idempotency-key": str(number)}) for number in range(600)])
    bench.send(({}, KEY))
    assert len(bench.done) == 603


def test_a_key_has_a_greatest_length() -> None:
    ((status, told),) = Bench().send(({}, KEY | {"idempotency-key": "k" * 201}))
    assert (status, told["code"]) == (400, "web.long_key")

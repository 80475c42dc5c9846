"""Every route of the console against every role: who comes in, and where the door stays shut.

The API is asked without a network, so that hundreds of questions cost little.
A request that is let in may still find nothing or be told that its body is
wrong; what counts here is whether the door refused it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from console_bench import CHEAP, PASSWORD, ConsoleBench
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from consilium.node.console.app import OPEN_TO_ALL, make_api, make_console
from consilium.node.console.routes import LARGE, TABLE
from consilium.persons.accounts import add_person, grant_role
from consilium.persons.passwords import hash_password
from consilium.persons.records import Grant, Role
from consilium.persons.roles import MAY, Action
from consilium.persons.sessions import begin, page_token
from consilium.web.cookies import SessionCookie
from consilium.web.guard import READING, Key, Open, Somewhere

PORT = 1
STUDY = "urn:uuid:a-study"
ELSEWHERE = "urn:uuid:another"
SLOW = {("POST", "/statistics"), ("GET", "/catalog"), ("POST", "/evidence/exports")}
"""Let in they would ask other hospitals; a refusal shows without that."""
REFUSED = {"persons.not_allowed", "persons.out_of_sight"}


class Matrix:
    """The console's application, and one session for each kind of person."""

    def __init__(self, console: ConsoleBench) -> None:
        self._console = console
        self.app = make_console(console.node.rooms, port=PORT)
        self.cookie = SessionCookie(port=PORT)

    def session(self, *grants: Grant) -> dict[str, str]:
        """Give the headers of somebody who has these roles."""
        database, clock = self._console.database, self._console.clock
        name = f"person {len(list(self._names()))}"
        secret = hash_password(PASSWORD, name=name, cost=CHEAP)
        with database.write() as tx:
            person = add_person(tx, name=name, secret=secret, by="test", clock=clock)
            for grant in grants:
                person = grant_role(tx, person, grant, by="test", clock=clock)
            _, token = begin(tx, person, agent="", factors=1, clock=clock)
        return {
            "cookie": f"{self.cookie.name}={token}",
            "x-consilium-token": page_token(token),
        }

    def _names(self) -> Iterator[Any]:
        yield from self._console.node.get("/persons")

    def ask(self, asked: list[tuple[Key, dict[str, str]]]) -> list[Response]:
        """Ask many routes, each with its headers."""

        async def run() -> list[Response]:
            transport = ASGITransport(app=self.app, raise_app_exceptions=False)
            async with AsyncClient(transport=transport, base_url="http://console") as http:
                return [
                    await http.request(method, f"/api{fill(path)}", headers=headers, json={})
                    for (method, path), headers in asked
                ]

        return asyncio.run(run())


def fill(path: str) -> str:
    """Write a path with names in the place of its parameters."""
    parts = {"study": STUDY, "digest": "sha256:" + "0" * 64, "seq": "1"}
    for name in path.split("{")[1:]:
        word = name.split("}")[0]
        path = path.replace(f"{{{word}}}", parts.get(word, "nobody"))
    return path


def routes_of(app: FastAPI) -> set[Key]:
    return {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }


@pytest.fixture
def matrix(console: ConsoleBench) -> Matrix:
    return Matrix(console)


@pytest.fixture
def api(console: ConsoleBench) -> FastAPI:
    return make_api(console.node.rooms, cookie=SessionCookie(port=PORT))


SOCKET_ALONE = {
    ("POST", "/members/key"),
    ("POST", "/exports"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/tile/{path}"),
}
"""Routes that answer at the socket and at no console, besides the steering of processes."""


def test_every_line_of_the_table_is_a_route_and_what_has_no_line_is_known(api: FastAPI) -> None:
    routes = routes_of(api)
    assert set(TABLE) <= routes
    left = {key for key in routes - set(TABLE) if not is_steering(key)}
    assert left == SOCKET_ALONE
    assert set(LARGE) <= routes | {("POST", "/uploads")}


def is_steering(key: Key) -> bool:
    method, path = key
    return method == "POST" and path.startswith(("/negotiations/", "/transfers/"))


def test_without_a_session_nothing_but_signing_in_answers(matrix: Matrix, api: FastAPI) -> None:
    matrix.session()  # somebody has an account
    asked = sorted(routes_of(api) | {("GET", "/nothing/of/the/kind")})
    for key, answer in zip(asked, matrix.ask([(key, {}) for key in asked]), strict=True):
        if key in OPEN_TO_ALL and key != ("GET", "/session"):
            assert answer.json()["code"] == "boundary.malformed", key
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "persons.no_session"), key
        assert answer.headers["content-type"] == "application/problem+json", key


def test_without_the_pages_token_nothing_changes(matrix: Matrix, api: FastAPI) -> None:
    everything = matrix.session(*(Grant(role=role) for role in Role))
    cookie_alone = {"cookie": everything["cookie"]}
    asked = [key for key in sorted(routes_of(api)) if key[0] not in READING | {"OPTIONS"}]
    for key, answer in zip(asked, matrix.ask([(key, cookie_alone) for key in asked]), strict=True):
        if key not in OPEN_TO_ALL:
            assert (answer.status_code, answer.json()["code"]) == (403, "persons.no_token"), key


def test_what_does_not_stand_in_the_table_is_refused_whoever_asks(
    matrix: Matrix, api: FastAPI
) -> None:
    everything = matrix.session(*(Grant(role=role) for role in Role))
    asked = sorted(routes_of(api) - set(TABLE))
    assert asked
    for key, answer in zip(asked, matrix.ask([(key, everything) for key in asked]), strict=True):
        assert (answer.status_code, answer.json()["code"]) == (403, "web.closed_route"), key


def lets_in(key: Key, grant: Grant | None) -> bool:
    """Say what the table says, written another way than the guard does it."""
    rule = TABLE[key]
    names_study = "{study}" in key[1]
    # The others' names stand for nothing here: who is limited gets no other word for that.
    names_other = any(f"{{{name}}}" in key[1] for name in ("agreement", "release", "digest"))
    if rule is Open.ANYBODY:
        return True
    if grant is None:
        return rule is Open.ANY_PERSON and not names_study and not names_other
    is_whole = not grant.study and not grant.organisation
    reaches = is_whole or (names_study and grant.study == STUDY)
    if rule is Open.HOUSE:
        return is_whole
    if rule is Open.ANY_PERSON:
        return reaches or not (names_study or names_other)
    if isinstance(rule, Somewhere):
        return rule.action in MAY[grant.role]
    assert isinstance(rule, Action)
    return rule in MAY[grant.role] and reaches


def scopes(role: Role) -> list[Grant]:
    return [
        Grant(role=role),
        Grant(role=role, study=STUDY),
        Grant(role=role, study=ELSEWHERE),
        Grant(role=role, organisation="did:web:example.org:west"),
    ]


@pytest.mark.slow
def test_each_role_in_each_scope_meets_the_table_at_every_route(matrix: Matrix) -> None:
    people: list[Grant | None] = [None, *(one for role in Role for one in scopes(role))]
    keys = [key for key in sorted(TABLE) if key != ("GET", "/events")]
    for grant in people:
        headers = matrix.session(*([grant] if grant else []))
        asked = [key for key in keys if key not in SLOW or not lets_in(key, grant)]
        # Ending the session comes last: it would refuse the rest.
        asked.sort(key=lambda key: key == ("DELETE", "/session"))
        for key, answer in zip(asked, matrix.ask([(k, headers) for k in asked]), strict=True):
            code = answer.json().get("code", "") if is_problem(answer) else ""
            if lets_in(key, grant):
                assert answer.status_code < 500, (grant, key, answer.text)
                assert code != "persons.out_of_sight", (grant, key)
                assert code != "persons.not_allowed" or is_asked_within(key), (grant, key)
            else:
                assert (answer.status_code, code in REFUSED) == (403, True), (grant, key, code)


def is_problem(answer: Response) -> bool:
    return answer.headers.get("content-type", "") == "application/problem+json"


def is_asked_within(key: Key) -> bool:
    """Some routes ask once more, for the very object."""
    return TABLE[key] in (Open.ANY_PERSON, Open.ANYBODY) or isinstance(TABLE[key], Somewhere)


def test_every_action_of_the_house_opens_some_route_or_has_none_yet() -> None:
    asked = {
        rule.action if isinstance(rule, Somewhere) else rule
        for rule in TABLE.values()
        if isinstance(rule, Action | Somewhere)
    }
    later = {Action.ANNOTATE, Action.ASK_ASSISTANT, Action.ADMIT_MEMBER}
    assert set(Action) - asked == later


def test_an_action_leaves_evidence_of_who_was_about_to_take_it(
    matrix: Matrix, console: ConsoleBench
) -> None:
    headers = matrix.session(Grant(role=Role.STEWARD))
    key = ("POST", "/studies/{study}/stop")
    (answer,) = matrix.ask([(key, headers)])
    assert answer.json()["code"] == "study.unknown"
    (entry,) = console.node.items("/evidence", kind="person.acts")
    assert entry["facts"]["action"] == "study.stop"
    assert entry["facts"]["of"] == {"study": STUDY}


def test_methods_and_paths_are_asked_together(matrix: Matrix) -> None:
    headers = matrix.session(Grant(role=Role.DOCTOR))
    pairs = product(["PUT", "PATCH", "DELETE"], ["/studies", "/persons"])
    for answer in matrix.ask([((method, path), headers) for method, path in pairs]):
        assert answer.status_code in {403, 404, 405}

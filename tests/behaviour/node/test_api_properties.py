"""The whole API at the console's door, asked whatever its description allows.

Each request is made by nobody and by every role: no answer is a broken one, each
has the shape that the description promises, none shows what lies in the data,
and nobody without a session learns more than that he has none. Every second
request names objects that are there: a finished study, its model, agreement and
hospital's dataset, an item of the queue, a request for release, a person.

`CONSILIUM_API_REQUESTS` says how many requests are made at least (2,000 unless
told), `CONSILIUM_API_SEED` which ones, `CONSILIUM_API_REPORT` where the count is
written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from console_bench import PASSWORD, ConsoleBench
from console_house import House
from hypothesis import HealthCheck, Phase, given, seed, settings
from node_bench import CANARY
from tests.support.extras import need

from consilium.node.console.app import make_api
from consilium.node.console.routes import TABLE
from consilium.persons.records import Role
from consilium.web.cookies import SessionCookie
from consilium.web.guard import Open

LEAST = int(os.environ.get("CONSILIUM_API_REQUESTS", "2000"))
SEED = int(os.environ.get("CONSILIUM_API_SEED", "42"))
NOBODY = "nobody"
OPEN = {f"{method} {path}" for (method, path), rule in TABLE.items() if rule is Open.ANYBODY}
ENDS_THE_SESSION = {
    "DELETE /session",
    "POST /session/password",
    "DELETE /sessions/{session}",
    "POST /persons/{who}/password",
    "POST /persons/{who}/disable",
    "DELETE /persons/{who}/second-factor",
}
"""Asked with invented names alone, or not at all: nobody would be left to ask the rest."""
NEVER = {"GET /events", "DELETE /session", "POST /session/password"}
ASKED = {f"{method} {path}" for method, path in TABLE} - NEVER
SPEAKERS = [NOBODY, *Role]


class Asking:
    """Everybody who asks, and what they were answered."""

    def __init__(self, house: House) -> None:
        import requests

        self.objects = house.objects
        self.base = f"http://127.0.0.1:{house.console.port}/api"
        self.speakers: dict[str, tuple[requests.Session, str]] = {NOBODY: (requests.Session(), "")}
        for role in Role:
            house.console.person(role, role)
            session = requests.Session()
            answer = session.post(f"{self.base}/session", json={"name": role, "password": PASSWORD})
            self.speakers[role] = session, answer.json()["csrf"]
        self.seen: dict[str, Counter[int]] = {name: Counter() for name in self.speakers}
        self.found: Counter[str] = Counter()

    def ask(self, case: Any, *, is_known: bool) -> None:
        """Let everybody send one request, with invented names or with those of the house."""
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi.checks import (
            content_type_conformance,
            response_schema_conformance,
            status_code_conformance,
        )

        checks = [
            not_a_server_error,
            response_schema_conformance,
            content_type_conformance,
            status_code_conformance,
        ]
        label = case.operation.label
        if is_known:
            case.path_parameters = {name: self.objects[name] for name in case.path_parameters}
        for name, (session, token) in self.speakers.items():
            headers = {"x-consilium-token": token}
            answer = case.call(base_url=self.base, session=session, headers=headers)
            self.seen[name][answer.status_code] += 1
            self.found[label] += answer.status_code < 300
            case.validate_response(answer, checks=checks)
            assert CANARY not in answer.text
            if label not in OPEN:
                assert (answer.status_code == 401) == (name == NOBODY), (name, label, answer.text)

    def asker(self, is_known: bool) -> Callable[[Any], None]:
        """Give what asks with names of the house, or with invented ones."""

        def ask(case: Any) -> None:
            self.ask(case, is_known=is_known)

        return ask

    def close(self) -> None:
        """End everybody's connections."""
        for session, _ in self.speakers.values():
            session.close()


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_no_request_of_anybody_breaks_the_api(house: House) -> None:
    need("schemathesis")
    import schemathesis

    asking = Asking(house)
    console = house.console
    api = make_api(console.node.rooms, cookie=SessionCookie(port=console.port))
    described = api.openapi()
    assert described["openapi"].startswith("3.1")
    schema = schemathesis.openapi.from_dict(described)
    # Invented cookies would take the place of real ones: everybody would be nobody.
    schema.config.generation.with_security_parameters = False
    operations = [found.ok() for found in schema.get_all_operations() if found.ok().label in ASKED]
    cases = max(1, -(-LEAST // (2 * len(operations) * len(SPEAKERS))))
    for operation in operations:
        names_one = "{" in operation.label and operation.label not in ENDS_THE_SESSION
        for is_known in (False, names_one):
            _repeat(given(case=operation.as_strategy())(asking.asker(is_known)), cases=cases)
    asking.close()
    total = sum(sum(counts.values()) for counts in asking.seen.values())
    _report(asking, total)
    assert total >= LEAST
    assert all(200 in counts for name, counts in asking.seen.items() if name != NOBODY)
    assert not [label for label in objects_read(operations) if not asking.found[label]]


def objects_read(operations: list[Any]) -> list[str]:
    """Name the routes that show one object of the house."""
    shown = ("study}", "digest}", "agreement}", "item}", "release}", "{who}", "name}", "other}")
    return [
        each.label
        for each in operations
        if each.label.startswith("GET ")
        and each.label.endswith(shown)
        and "/evidence/" not in each.label
    ]


def test_the_description_names_session_problems_and_a_shape_of_every_answer(
    console: ConsoleBench,
) -> None:
    described = make_api(console.node.rooms, cookie=SessionCookie(port=1)).openapi()
    assert set(described["components"]["securitySchemes"]) == {"session", "page"}
    problem, bare = {"application/problem+json"}, []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            assert operation["security"] or label in OPEN
            for status in ("400", "401", "403", "404", "409", "502"):
                assert set(operation["responses"][status]["content"]) == problem
            content = operation["responses"].get("200", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            is_bare = schema is not None and not {"$ref", "items", "anyOf"} & set(schema)
            if is_bare and (method.upper(), path) in TABLE:
                bare.append(label)
    assert set(bare) <= BARE


BARE = {
    "GET /studies/{study}/result",
    "POST /statistics",
    "POST /verdicts",
}
"""Answers whose fields another page describes: result record, statistics, marks."""


def _repeat(test: Any, *, cases: int) -> None:
    settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(seed(SEED)(test))()


def _report(asking: Asking, total: int) -> None:
    place = os.environ.get("CONSILIUM_API_REPORT", "")
    if place:
        told = {
            "requests": total,
            "operations": len(asking.found),
            "by_speaker": {
                name: {str(status): number for status, number in sorted(counts.items())}
                for name, counts in asking.seen.items()
            },
        }
        Path(place).write_text(json.dumps(told), encoding="utf-8")

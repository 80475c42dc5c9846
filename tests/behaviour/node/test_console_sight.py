"""What lies outside somebody's roles: he gets the answer that nothing gets, at every route.

Each route with an object in its path is asked twice by people whose roles are
limited to another study or another hospital: for an object that is there, and
for one that is not. But for the name itself the answers are alike. Lists, the
first page, the catalogue, comparisons and the stream say nothing of it either.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from console_house import ELSEWHERE, House
from dataspace_rehearsal import Hospital

from consilium.node.console.routes import TABLE
from consilium.persons.records import Grant, Role
from consilium.web.guard import READING, Key

pytestmark = pytest.mark.slow

NOT_THERE = "urn:uuid:00000000-0000-4000-8000-00000000bbbb"
BODIES: dict[Key, Any] = {
    ("POST", "/queue/{item}/settle"): {"ruling": "proceed", "reason": "because"},
    ("POST", "/queue/{item}/delegate"): {"to": "first", "reason": "because"},
    ("POST", "/approvals/{release}/withdraw"): {"reason": "because"},
    ("POST", "/agreements/{agreement}/revocation"): {"reason": "because"},
    ("POST", "/models/{digest}/export"): {"to": "/nowhere"},
    ("POST", "/persons/{who}/password"): {"password": "a long one that nobody knows"},
    ("POST", "/persons/{who}/disable"): {"reason": "because"},
    ("POST", "/persons/{who}/enable"): {"reason": "because"},
    ("POST", "/persons/{who}/roles"): {"role": "doctor"},
    ("DELETE", "/persons/{who}/second-factor"): {"reason": "because"},
}


def fill(path: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def alike(text: str, names: dict[str, str]) -> str:
    """Give an answer without the name that was asked for."""
    for value in sorted(names.values(), key=len, reverse=True):
        if len(value) > len("nothing"):
            text = text.replace(value, "it")
    return text


def test_what_is_out_of_sight_is_answered_like_what_is_not_there(house: House) -> None:
    missing = dict.fromkeys(house.objects, NOT_THERE)
    missing |= {"digest": "sha256:" + "0" * 64, "seq": "999999"}
    keys = [key for key in sorted(TABLE) if "{" in key[1]]
    assert len(keys) > 25
    for browser in house.limited():
        for method, path in keys:
            body = None if method in READING else BODIES.get((method, path), {})
            told = []
            for names in (house.objects, missing):
                answer = browser.ask(method, fill(path, names), body)
                assert answer.status_code in {403, 404}, (method, path, answer.text)
                told.append((answer.status_code, alike(answer.text, names)))
            assert told[0] == told[1], (method, path)


def test_lists_and_pages_say_nothing_of_it(house: House, south: Hospital) -> None:
    secrets = [house.objects[name] for name in ("study", "digest", "agreement", "item", "release")]
    lists = ("/home", "/queue", "/approvals", "/models", "/agreements", "/studies", "/catalog")
    for browser in house.limited():
        for path in (*lists, "/queue?settled=true", "/catalog?fresh=true"):
            answer = browser.get(path)
            assert answer.status_code == 200, (path, answer.text)
            assert not [one for one in (*secrets, south.me) if one in answer.text], path
        wanted = {"recipe": "tabular-logistic", "target": "", "fields": []}
        assert south.me not in browser.ask("POST", "/cohorts", wanted).text


def test_a_comparison_takes_nothing_along_that_is_out_of_sight(house: House) -> None:
    for browser in house.limited():
        answers = [
            browser.get(f"/studies/{ELSEWHERE}/compare?with={one}")
            for one in (house.objects["study"], NOT_THERE)
        ]
        codes = {(one.status_code, one.json()["code"]) for one in answers}
        assert len(codes) == 1
        assert codes <= {(404, "study.unknown"), (403, "persons.out_of_sight")}


def test_a_replayed_stream_leaves_out_what_is_out_of_sight(house: House) -> None:
    grant = Grant(role=Role.RESEARCH_LEAD, study=ELSEWHERE)
    browser = house.console.signed_in("guest", grant)
    heard = []
    with browser.http.stream("GET", "/api/events", headers={"last-event-id": "0-0"}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                heard.append(json.loads(line.removeprefix("data: ")))
            if len(heard) == 2:
                break
    assert heard == [{"open": 0}, {"online": True}]


def test_nobody_settles_or_lapses_what_he_does_not_see(house: House) -> None:
    item, body = house.objects["item"], {"ruling": "refuse", "reason": "because"}
    grant = Grant(role=Role.STEWARD, organisation="did:web:example.org:nowhere")
    browser = house.console.signed_in("guest", grant)
    answer = browser.ask("POST", f"/queue/{item}/settle", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "persons.no_item")
    assert item in {one["id"] for one in house.console.node.get("/queue")}

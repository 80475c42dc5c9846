"""The request boundary: every failure has a status, a code and both sentences, and no value."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict

from consilium.dataspace.wire.boundary import report_errors
from consilium.kernel.errors import (
    FAMILIES,
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    PeerError,
    RecipeError,
    StateError,
)

CANARY = "Zhang-Wei-19630412"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    age: int


class Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    rounds: int = 1
    inner: Inner | None = None


ERRORS: dict[str, ConsiliumError] = {
    "input": InputError("kernel.bad_name", name="Ä", detail=CANARY),
    "not_found": NotFoundError("study.unknown", study="urn:uuid:1"),
    "denied": DeniedError("study.not_the_lead", lead="did:web:x:y", rule="lead"),
    "state": StateError("study.not_finished", now="RUNNING", wanted="COMPLETED"),
    "peer": PeerError("study.peer_silent", participant="did:web:x:y", seconds=60),
    "integrity": IntegrityError("study.wrong_start"),
    "recipe": RecipeError("federation.recipe_failed", recipe="r", task="train", reason="x"),
}


class Client:
    """Asks an application without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._ask(method, path, options))

    async def _ask(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@pytest.fixture
def client() -> Client:
    app = FastAPI()
    report_errors(app)

    @app.post("/wishes")
    def wish(given: Wish) -> dict[str, Any]:
        return given.model_dump()

    @app.get("/pages")
    def pages(after: int = 0) -> dict[str, int]:
        return {"after": after}

    @app.get("/fail/{family}")
    def fail(family: str) -> None:
        raise ERRORS[family]

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError(CANARY)

    @app.get("/teapot")
    def teapot() -> None:
        raise HTTPException(418, CANARY)

    @app.post("/interrupted")
    def interrupted() -> None:
        error = HTTPException(400, "while the body was read")
        raise error from StateError("ledger.disk_full", place="somewhere")

    return Client(app)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_family_has_its_status_and_both_sentences(client: Client, family: str) -> None:
    answer = client.get(f"/fail/{family}")
    error = ERRORS[family]
    assert answer.status_code == FAMILIES[family].http_status
    assert answer.json() == {"code": error.code, "en": error.text("en"), "zh": error.text("zh")}
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["name"]),
        ({"name": "a", "colour": CANARY}, ["colour"]),
        ({"name": "a", "rounds": CANARY}, ["rounds"]),
        ({"name": [CANARY]}, ["name"]),
        ({"name": "a", "inner": {"age": CANARY}}, ["inner.age"]),
        ({"name": "a", "inner": {"age": 1, "sex": CANARY}}, ["inner.sex"]),
        ({"rounds": CANARY, "colour": CANARY}, ["colour", "name", "rounds"]),
        ([CANARY], ["the body"]),
        (CANARY, ["the body"]),
        (None, ["the body"]),
    ],
)
def test_a_malformed_request_is_told_its_fields_and_never_a_value(
    client: Client, body: Any, places: list[str]
) -> None:
    answer = client.post("/wishes", json=body)
    assert answer.status_code == 400
    record = answer.json()
    assert set(record) == {"code", "en", "zh"}
    assert record["code"] == "boundary.malformed"
    assert f"look at {', '.join(places)}. " in record["en"]
    assert CANARY not in answer.text


def test_a_body_that_is_no_json_is_told_so(client: Client) -> None:
    answer = client.post(
        "/wishes", content=CANARY.encode(), headers={"content-type": "application/json"}
    )
    assert answer.json()["code"] == "boundary.malformed"
    assert "the body, which is not JSON" in answer.json()["en"]
    assert CANARY not in answer.text


def test_many_flawed_fields_do_not_make_a_long_answer(client: Client) -> None:
    answer = client.post("/wishes", json={f"field-{n}": CANARY for n in range(1000)})
    assert len(answer.text) < 1000


def test_a_parameter_of_another_kind_is_named(client: Client) -> None:
    answer = client.get("/pages", params={"after": CANARY})
    assert (answer.status_code, answer.json()["code"]) == (400, "boundary.malformed")
    assert "look at after. " in answer.json()["en"]
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/pages", 405), ("GET", "/wishes", 405)],
)
def test_an_unknown_route_is_told_in_the_same_form(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, "boundary.no_route")
    assert answer.json()["zh"]
    if status == 405:
        assert answer.headers["allow"]


def test_a_fault_of_ours_is_one_sentence_and_its_trace_stays_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "boundary.broken")
    assert "ZeroDivisionError" in answer.json()["en"]
    assert CANARY not in answer.text
    assert any(record.exc_info for record in caplog.records)


def test_what_the_framework_refuses_is_told_in_our_form(client: Client) -> None:
    answer = client.get("/teapot")
    assert (answer.status_code, answer.json()["code"]) == (418, "boundary.malformed")
    assert CANARY not in answer.text


def test_an_error_of_ours_that_the_framework_wrapped_is_told_as_ours(client: Client) -> None:
    answer = client.post("/interrupted")
    assert (answer.status_code, answer.json()["code"]) == (409, "ledger.disk_full")


def test_a_detail_goes_into_the_local_log_only(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = client.get("/fail/input")
    assert CANARY not in answer.text
    assert CANARY in caplog.text

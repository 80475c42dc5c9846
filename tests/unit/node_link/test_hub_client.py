"""Signed requests to the hub, and how its answers are read."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import pytest
from list_bench import MEMBERSHIP, START

from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.tokens import check_token
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import DeniedError, IntegrityError, PeerError
from consilium.ledger.keys import SigningKey
from consilium.node.hub_client import Caller, connection_error, read_answer
from consilium.node.link import LinkSettings, Waits

KEY = SigningKey.generate()
CLOCK = HeldClock(START)
CALLER = Caller(membership=MEMBERSHIP, key=KEY, clock=CLOCK)


def test_a_request_is_signed_as_it_is_sent_query_and_all() -> None:
    request = CALLER.prepare("POST", "/studies/urn:uuid:1/events?after=3", {"x": "你好"})
    sender = check_token(
        request.headers["authorization"].removeprefix("Bearer "),
        key_of=lambda _: KEY.public,
        audience=MEMBERSHIP.hub_participant,
        method="POST",
        path="/studies/urn:uuid:1/events?after=3",
        body=request.content,
        clock=CLOCK,
        seen=ReplayGuard(),
    )
    assert sender == MEMBERSHIP.participant
    assert str(request.url).startswith("https://hub:8440/studies/")


def test_a_renewal_carries_no_token() -> None:
    assert "authorization" not in CALLER.prepare("POST", "/renew", {}, signed=False).headers


def answered(status: int, content: bytes) -> Any:
    return read_answer(httpx.Response(status, content=content), hub="https://hub")


def test_an_answer_is_read() -> None:
    assert answered(200, b'{"a":1}') == {"a": 1}
    assert answered(204, b"") is None


def test_a_refusal_comes_back_as_the_error_it_was() -> None:
    with pytest.raises(DeniedError) as caught:
        answered(403, b'{"code":"hub.token_used","en":"used","zh":"\xe5\xb7\xb2\xe7\x94\xa8"}')
    assert (caught.value.public, caught.value.text("zh")) == ("used", "已用")


@pytest.mark.parametrize(("status", "retryable"), [(503, True), (504, True), (400, False)])
def test_what_can_be_tried_again_says_so(status: int, retryable: bool) -> None:
    with pytest.raises(PeerError) as caught:
        answered(status, b'{"code":"hub.busy","en":"busy","zh":"x"}')
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("status", "content"), [(502, b"<html>"), (500, b"{}"), (200, b"<html>"), (404, b"[]")]
)
def test_an_answer_of_something_in_between_is_named(status: int, content: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        answered(status, content)
    assert caught.value.code == "link.hub_answer"
    assert str(status) in caught.value.public


def test_a_false_certificate_is_told_from_a_dead_line() -> None:
    dead = connection_error(httpx.ConnectError("refused"), hub="https://hub")
    assert isinstance(dead, PeerError)
    false = httpx.ConnectError("tls")
    false.__cause__ = ssl.SSLCertVerificationError("self-signed")
    assert isinstance(connection_error(false, hub="https://hub"), IntegrityError)


def test_waits_grow_to_a_limit_and_begin_anew() -> None:
    waits = Waits(LinkSettings())
    found = [waits.next_s() for _ in range(12)]
    assert found[0] == 0.5
    assert found == sorted(found)
    assert found[-1] == 10.0
    assert sum(found[:5]) < 7
    waits.reset()
    assert waits.next_s() == 0.5

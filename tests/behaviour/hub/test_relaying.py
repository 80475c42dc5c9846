"""Two hospitals that open no port exchange messages through the hub."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from hub_rehearsal import CLOCK, Hub, Node, Rehearsal, raw, wait_for

from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.wire.tokens import make_answer, make_token
from consilium.kernel.errors import IntegrityError, PeerError
from consilium.ledger.keys import SigningKey

pytestmark = pytest.mark.slow


def test_two_hospitals_exchange_a_relayed_request(asker: Node, asked: Node) -> None:
    status, document = asker.client.post(asked.me, "/2025-1/catalog/request", {"x": "你好"})
    assert status == 200
    assert document == {"asked": asker.me, "path": "/2025-1/catalog/request"}
    assert json.loads(asked.received[0].body) == {"x": "你好"}


def test_many_messages_at_once_find_their_own_answers(asker: Node, asked: Node) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = [f"/{number}" for number in range(40)]
        found = list(pool.map(lambda path: asker.client.get(asked.me, path)[1]["path"], paths))
    assert found == paths


def test_strangers_do_not_reach_a_hospitals_door(asker: Node, asked: Node) -> None:
    stranger = SigningKey.generate()
    for key in (stranger, None):
        request = _request(asker, asked, "/x", key=key)
        if key is None:
            del request.headers["authorization"]
        answer = raw(asker, request)
        assert answer.status_code == 401
        assert answer.json()["code"] == "dataspace.bad_token"
    assert asked.received == []


@pytest.mark.parametrize(
    "path", ["/../tasks", "/%2e%2e/tasks", "//tasks", "/a/..%2ftasks", "/a%5c..%5ctasks"]
)
def test_a_message_cannot_climb_out_of_the_protocols_root(
    asker: Node, asked: Node, path: str
) -> None:
    request = _request(asker, asked, "/x")
    raw_path = request.url.raw_path.decode().removesuffix("/x") + path
    request.url = request.url.copy_with(raw_path=raw_path.encode())
    assert raw(asker, request).status_code in {400, 404}
    assert asked.received == []


def test_nobody_else_takes_or_answers_a_hospitals_messages(asker: Node, asked: Node) -> None:
    stranger = replace(asker.membership, name="south")
    caller_key = asker.key
    token = make_token(
        caller_key,
        issuer=stranger.participant,
        audience=stranger.hub_participant,
        method="POST",
        path="/relay/next",
        body=b'{"most":1}',
        clock=CLOCK,
    )
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{stranger.hub}/relay/next"
    answer = raw(asker, httpx.Request("POST", url, headers=headers, content=b'{"most":1}'))
    assert answer.status_code == 401


def test_a_replayed_request_to_the_hub_is_refused(asker: Node) -> None:
    request = asker.hub._caller.prepare("GET", "/members")
    assert raw(asker, request).status_code == 200
    answer = raw(asker, request)
    assert (answer.status_code, answer.json()["code"]) == (401, "dataspace.bad_token")


def test_a_token_for_one_route_opens_no_other(asker: Node) -> None:
    request = asker.hub._caller.prepare("GET", "/members")
    request.url = request.url.copy_with(raw_path=b"/witness/checkpoints")
    assert raw(asker, request).status_code == 401


def test_a_forged_answer_is_found_out(asker: Node, asked: Node) -> None:
    """Whoever sits at the relay answers in the hospital's place."""
    forger = SigningKey.generate()

    def forge(request: WireRequest) -> WireReply:
        body = b'{"forged":true}'
        token = make_answer(forger, issuer=asked.me, request=request.token, status=200, body=body)
        return WireReply(status=200, body=body, token=token)

    def alter(request: WireRequest) -> WireReply:
        return replace(asked.answer(request), body=b'{"altered":true}')

    def strip(request: WireRequest) -> WireReply:
        return replace(asked.answer(request), token="")

    earlier = asked.answer(_wire(asker, asked, "/earlier"))

    def swap(request: WireRequest) -> WireReply:
        return earlier

    for door in (forge, alter, swap):
        asked.link._answer = door
        with pytest.raises(IntegrityError) as caught:
            asker.client.get(asked.me, "/x")
        assert caught.value.code == "dataspace.forged_answer"
    asked.link._answer = strip
    with pytest.raises(PeerError) as unsigned:
        asker.client.get(asked.me, "/x")
    assert unsigned.value.code == "dataspace.unsigned_answer"


def test_an_altered_message_is_refused_at_the_hospital(asker: Node, asked: Node) -> None:
    request = _request(asker, asked, "/x", body=b'{"rounds":1}')
    altered = httpx.Request("POST", request.url, headers=request.headers, content=b'{"rounds":9}')
    answer = raw(asker, altered)
    assert (answer.status_code, answer.json()["code"]) == (401, "dataspace.bad_token")
    assert "consilium-answer" not in answer.headers


def test_a_body_over_the_limit_is_refused(asker: Node, asked: Node) -> None:
    answer = raw(asker, _request(asker, asked, "/x", body=b" " * ((1 << 20) + 1)))
    assert (answer.status_code, answer.json()["code"]) == (413, "hub.too_large")

    def drip() -> object:
        for _ in range(20):
            yield b" " * (1 << 16)

    request = _request(asker, asked, "/x")
    headers = {"authorization": request.headers["authorization"]}
    with httpx.Client(verify=asker.keys.trust()) as client:
        slow = client.post(request.url, headers=headers, content=drip())  # type: ignore[arg-type]
    assert slow.status_code == 413
    assert asked.received == []


def test_a_hospital_reaches_itself_without_the_hub(asker: Node) -> None:
    """It does not poll the relay, so the answer cannot have come from there."""
    assert not asker.link.is_online()
    status, document = asker.client.get(asker.me, "/2025-1/catalog/datasets/a")
    assert (status, document["asked"]) == (200, asker.me)


def test_a_hospital_that_is_away_is_said_to_be_at_once(
    open_hub: Hub, asker: Node, asked: Node
) -> None:
    begun = time.monotonic()
    open_hub.relay._begun = begun - 60
    with pytest.raises(PeerError) as caught:
        asked.client.get(asker.me, "/x")
    assert caught.value.retryable
    answer = raw(asked, _request(asked, asker, "/x"))
    assert (answer.status_code, answer.json()["code"]) == (503, "hub.member_away")
    assert time.monotonic() - begun < open_hub.settings.relay.answer_s / 2


def test_a_hospital_that_takes_too_long_is_said_to_be_silent(
    open_hub: Hub, asker: Node, asked: Node
) -> None:
    done = threading.Event()

    def slow(request: WireRequest) -> WireReply:
        done.wait(10)
        return WireReply(status=200, body=request.body)

    asked.link._answer = slow
    usual = open_hub.relay._settings
    open_hub.relay._settings = replace(usual, answer_s=0.3)
    answer = raw(asker, _request(asker, asked, "/x"))
    open_hub.relay._settings = usual
    done.set()
    assert (answer.status_code, answer.json()["code"]) == (504, "hub.member_silent")


def test_the_version_endpoint_is_asked_without_a_token(asker: Node, asked: Node) -> None:
    asked.link._answer = lambda request: WireReply(
        status=200, body=f'{{"path":"{request.path}"}}'.encode()
    )
    path = "/.well-known/dspace-version"
    request = httpx.Request("GET", f"{asked.membership.relay_address(asked.me)}{path}")
    assert raw(asker, request).json() == {"path": path}


def test_the_link_comes_back_and_everything_stops_at_once(rehearsal: Rehearsal) -> None:
    """The hub goes and returns; the hospital dies and returns; nothing waits for long polls."""
    hub = rehearsal.hub()
    rehearsal.signer()
    north = rehearsal.node(rehearsal.join(hub, "north"))
    south = rehearsal.node(rehearsal.join(hub, "south")).start()
    assert north.client.get(south.me, "/before")[0] == 200
    begun = time.monotonic()
    hub.stop()
    assert time.monotonic() - begun < 5
    wait_for(lambda: not south.link.is_online())
    rehearsal.hub()
    assert south.link.wait_online(8)
    assert north.client.get(south.me, "/after")[0] == 200
    begun = time.monotonic()
    south.link.stop()
    assert time.monotonic() - begun < 5
    again = rehearsal.node(south.home).start()
    assert north.client.get(again.me, "/again")[0] == 200


def _wire(sender: Node, to: Node, path: str) -> WireRequest:
    token = _request(sender, to, path).headers["authorization"].removeprefix("Bearer ")
    return WireRequest(method="POST", path=path, token=token, body=b"{}")


def _request(
    sender: Node, to: Node, path: str, *, key: SigningKey | None = None, body: bytes = b"{}"
) -> httpx.Request:
    token = make_token(
        key or sender.key,
        issuer=sender.me,
        audience=to.me,
        method="POST",
        path=path,
        body=body,
        clock=CLOCK,
    )
    url = f"{sender.membership.relay_address(to.me)}{path}"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return httpx.Request("POST", url, headers=headers, content=body)

"""Both transports carry a request unchanged and fail in the same words."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import pytest

from consilium.dataspace.ports import Transport, WireReply, WireRequest
from consilium.dataspace.wire.transports import LARGEST_ANSWER, HttpTransport, LocalTransport
from consilium.kernel.errors import PeerError
from consilium.kernel.identifiers import ParticipantId

SOUTH, LOST = ParticipantId("did:web:x:south"), ParticipantId("did:web:x:lost")
REQUEST = WireRequest(method="POST", path="/2025-1/catalog/request", token="t.o.k", body=b"{}")


def door(request: WireRequest) -> WireReply:
    body = f"{request.method} {request.path} {request.token}".encode() + request.body
    return WireReply(status=201, body=body, token="a.n.s")


def serve(request: httpx.Request) -> httpx.Response:
    if "lost" in request.url.path:
        raise httpx.ConnectError("no route")
    scheme, token = request.headers["Authorization"].split()
    assert scheme == "Bearer"
    path = request.url.path.removeprefix("/south/dsp")
    reply = door(WireRequest(method=request.method, path=path, token=token, body=request.content))
    return httpx.Response(
        reply.status, stream=httpx.ByteStream(reply.body), headers={"Consilium-Answer": reply.token}
    )


@pytest.fixture(params=["http", "local"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    if request.param == "local":
        yield LocalTransport({SOUTH: door})
        return
    with httpx.Client(transport=httpx.MockTransport(serve)) as client:
        yield HttpTransport(lambda who: f"https://hub/{who.rpartition(':')[2]}/dsp/", client=client)


def test_a_request_arrives_as_it_was_sent(transport: Transport) -> None:
    reply = transport.send(SOUTH, REQUEST)
    assert (reply.status, reply.token) == (201, "a.n.s")
    assert reply.body == b"POST /2025-1/catalog/request t.o.k{}"


def test_who_cannot_be_reached_is_a_retryable_fault(transport: Transport) -> None:
    with pytest.raises(PeerError) as failed:
        transport.send(LOST, REQUEST)
    assert failed.value.code == "dataspace.unreachable"
    assert failed.value.retryable


def test_an_endless_answer_is_cut_off() -> None:
    def flood(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b"x" * (LARGEST_ANSWER + 1)))

    with httpx.Client(transport=httpx.MockTransport(flood)) as client:
        transport = HttpTransport(lambda _who: "https://hub", client=client)
        with pytest.raises(PeerError) as failed:
            transport.send(SOUTH, REQUEST)
    assert failed.value.code == "dataspace.bad_answer"


def test_a_redirect_is_not_followed() -> None:
    def redirect(_request: httpx.Request) -> httpx.Response:
        headers = {"Location": "https://elsewhere/"}
        return httpx.Response(302, headers=headers, stream=httpx.ByteStream(b""))

    with httpx.Client(transport=httpx.MockTransport(redirect), follow_redirects=True) as client:
        transport = HttpTransport(lambda _who: "https://hub", client=client)
        assert transport.send(SOUTH, REQUEST).status == 302


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"x" * (LARGEST_ANSWER + 1)), gzip.compress(b"x" * 5000)[:-9], b"no gzip"],
    ids=["endless", "cut off", "not packed"],
)
def test_a_packed_answer_that_is_too_long_or_damaged_is_refused(body: bytes) -> None:
    def pack(_request: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    with httpx.Client(transport=httpx.MockTransport(pack)) as client:
        transport = HttpTransport(lambda _who: "https://hub", client=client)
        with pytest.raises(PeerError) as failed:
            transport.send(SOUTH, REQUEST)
    assert failed.value.code == "dataspace.bad_answer"


def test_a_local_transport_hands_on_what_is_for_others() -> None:
    outer = LocalTransport({SOUTH: door})
    assert LocalTransport({}, otherwise=outer).send(SOUTH, REQUEST).status == 201

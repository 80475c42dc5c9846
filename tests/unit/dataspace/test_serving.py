"""Serving: on a socket for this user alone, or by TLS with a certificate that can be renewed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.support.certificates import issue

from consilium.dataspace.wire.serving import PlainPlace, Serving, TlsPlace
from consilium.kernel.errors import StateError

Serve = Callable[[Path | TlsPlace], Serving]


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/hello")
    def hello() -> dict[str, str]:
        return {"said": "hello"}

    return app


def shown(place: TlsPlace) -> bytes:
    """Connect anew and return the certificate that is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((place.host, place.port), timeout=5) as line,
        context.wrap_socket(line) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


def ask(path: Path) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        return client.get("http://consilium/hello")


@pytest.fixture
def place(tmp_path: Path) -> TlsPlace:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = int(line.getsockname()[1])
    found = TlsPlace(
        host="127.0.0.1", port=port, certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key"
    )
    issue(found, "first")
    return found


@pytest.fixture
def serve() -> Iterator[Serve]:
    started: list[Serving] = []

    def begin(where: Path | TlsPlace) -> Serving:
        serving = Serving(make_app(), where)
        serving.start()
        started.append(serving)
        return serving

    yield begin
    for one in started:
        one.close()


def test_a_socket_is_for_this_user_alone_and_goes_when_it_is_closed(
    tmp_path: Path, serve: Serve
) -> None:
    path = tmp_path / "run" / "api.sock"
    serving = serve(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ask(path).json() == {"said": "hello"}
    serving.close()
    assert list(path.parent.iterdir()) == []
    serving.close()
    assert [one for one in threading.enumerate() if one.name == "serving"] == []


def test_a_socket_that_a_crash_left_is_taken_over(tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    serve(path)
    assert ask(path).status_code == 200


def test_a_path_that_is_too_long_for_a_socket_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120) / "api.sock"
    with pytest.raises(StateError) as caught:
        Serving(make_app(), path).start()
    assert caught.value.code == "boundary.cannot_listen"
    assert "shorter path" in caught.value.public


def test_closing_what_never_began_leaves_anothers_socket_alone(
    tmp_path: Path, serve: Serve
) -> None:
    path = tmp_path / "api.sock"
    serve(path)
    Serving(make_app(), path).close()
    assert ask(path).status_code == 200


def test_a_taken_port_is_named(place: TlsPlace, serve: Serve) -> None:
    serve(place)
    with pytest.raises(StateError) as caught:
        Serving(make_app(), place).start()
    assert caught.value.code == "boundary.port_taken"
    assert str(place.port) in caught.value.public
    assert shown(place)


def test_an_address_that_is_not_ours_is_not_called_a_taken_port(place: TlsPlace) -> None:
    host = "192.0.2.1"  # RFC 5737: nobody has it
    foreign = TlsPlace(host=host, port=place.port, certificate=place.certificate, key=place.key)
    with pytest.raises(StateError) as caught:
        Serving(make_app(), foreign).start()
    assert caught.value.code == "boundary.cannot_listen"
    assert host in caught.value.public


@pytest.mark.parametrize("flaw", ["no certificate", "no key", "another key", "no PEM"])
def test_an_unusable_certificate_is_told_and_leaves_the_port_free(
    place: TlsPlace, serve: Serve, flaw: str
) -> None:
    if flaw == "another key":
        certificate = place.certificate.read_bytes()
        issue(place, "other")
        place.certificate.write_bytes(certificate)
    elif flaw == "no PEM":
        place.certificate.write_text("nothing")
    else:
        (place.key if flaw == "no key" else place.certificate).unlink()
    with pytest.raises(StateError) as caught:
        Serving(make_app(), place).start()
    assert caught.value.code == "boundary.bad_certificate"
    assert str(place.certificate) in caught.value.public
    issue(place, "good")
    serve(place)


def test_a_renewed_certificate_is_shown_to_new_connections_and_open_ones_go_on(
    place: TlsPlace, serve: Serve
) -> None:
    serving = serve(place)
    first = place.certificate.read_bytes()
    context = ssl.create_default_context(cafile=str(place.certificate))
    with httpx.Client(verify=context, base_url=f"https://localhost:{place.port}") as client:
        assert client.get("/hello").status_code == 200
        second = issue(place, "second")
        assert shown(place) != second
        serving.renew_certificate()
        assert shown(place) == second
        assert client.get("/hello").status_code == 200  # over the connection of the first
    assert place.certificate.read_bytes() != first


def test_a_renewal_that_is_half_done_keeps_the_old_certificate(
    place: TlsPlace, serve: Serve
) -> None:
    serving = serve(place)
    before, key = shown(place), place.key.read_bytes()
    issue(place, "second")
    place.key.write_bytes(key)
    with pytest.raises(StateError) as caught:
        serving.renew_certificate()
    assert caught.value.code == "boundary.bad_certificate"
    assert shown(place) == before
    issue(place, "third")
    serving.renew_certificate()
    assert shown(place) != before


def test_a_function_can_be_called_where_requests_are_answered(tmp_path: Path, serve: Serve) -> None:
    serving, called = serve(tmp_path / "api.sock"), threading.Event()
    names: list[str] = []

    def note() -> None:
        names.append(threading.current_thread().name)
        called.set()

    serving.call(note)
    assert called.wait(5)
    assert names == ["serving"]


@pytest.mark.slow
@pytest.mark.parametrize("is_endless", [True, False], ids=["fills all buffers", "falls silent"])
def test_a_stream_that_nobody_reads_leaves_no_socket_behind(is_endless: bool) -> None:
    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0 if is_endless else 60)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = Serving(stream, PlainPlace(host="127.0.0.1", port=port))
    serving.start()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert client.recv(1)
        serving.close()
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(1 << 20):
                pass

"""Serving an application beside everything else a process does: on a socket file, or by TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from consilium.kernel.errors import StateError

_START_S = 15.0
_END_S = 5.0
_WAITING = 256
"""Connections that may wait to be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPlace:
    """Where to listen on the network, and with which certificate and key (PEM files)."""

    host: str
    port: int
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPlace:
    """Where to listen without TLS; for a loopback address."""

    host: str
    port: int


Place = Path | TlsPlace | PlainPlace


class Serving:
    """One application, served in a thread until closed.

    Parameters
    ----------
    app : ASGI application
        What is served.
    place : Path, TlsPlace or PlainPlace
        A unix socket's path (made for this user alone), or a network address.
    """

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self._place = place
        options: dict[str, object] = {
            "log_config": None,
            "access_log": False,
            "lifespan": "off",
            "server_header": False,
            "timeout_graceful_shutdown": 2,
            "timeout_keep_alive": 75,
        }
        if isinstance(place, TlsPlace):
            options |= {"ssl_certfile": str(place.certificate), "ssl_keyfile": str(place.key)}
        self._config = uvicorn.Config(app, **options)  # type: ignore[arg-type]
        self._server = Server(self._config)
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen and answer; returns when requests are taken.

        Raises
        ------
        StateError
            `boundary.port_taken`, `boundary.cannot_listen`, `boundary.bad_certificate`,
            `boundary.not_serving`; nothing is left behind then.
        """
        if isinstance(self._place, TlsPlace):
            _check_pair(self._place)
        self._config.load()
        self._listener = _listen(self._place)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="serving", daemon=True
        )
        self._thread.start()
        ends = time.monotonic() + _START_S
        while not self._server.started:
            if time.monotonic() > ends or not self._thread.is_alive():
                self.close()
                raise StateError("boundary.not_serving", place=_name(self._place))
            time.sleep(0.005)

    def renew_certificate(self) -> None:
        """Read certificate and key again; new connections get them, open ones go on.

        Raises
        ------
        StateError
            `boundary.bad_certificate`; the ones in use stay in use.
        """
        if isinstance(self._place, TlsPlace) and self._config.ssl is not None:
            _check_pair(self._place)
            self._config.ssl.load_cert_chain(self._place.certificate, self._place.key)

    def call(self, function: Callable[[], object]) -> None:
        """Have a function called in the event loop that answers requests."""
        for server in self._server.servers:
            server.get_loop().call_soon_threadsafe(function)
            return

    def close(self) -> None:
        """Take no more requests, finish those under way for a short while, and leave no file."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_END_S)
            self._server.force_exit = True
            self._thread.join(_END_S)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            if isinstance(self._place, Path):
                self._place.unlink(missing_ok=True)


class Server(uvicorn.Server):
    """Cuts the connections that are still open when the time to finish is over.

    A stream that nobody reads would otherwise stay behind with its socket.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests finish for the time that is set, then cut what is left."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # A transport lets go of its socket in the loop's next turn.
        await asyncio.sleep(0)


def ask_served(place: Path, target: str, *, timeout_s: float = 5.0) -> Any:
    """Ask whoever serves a unix socket for one record; None if nobody answers with one.

    Discloses
    ---------
    Nothing: the question stays on this machine.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        # httpx would leave its own socket open where nobody listens.
        if probe.connect_ex(str(place)):
            return None
    transport = httpx.HTTPTransport(uds=str(place))
    try:
        with httpx.Client(transport=transport, timeout=timeout_s) as client:
            answer = client.get(f"http://consilium{target}")
            return answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None


def _check_pair(place: TlsPlace) -> None:
    """Try certificate and key elsewhere first: a bad pair would spoil the context in use."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(place.certificate, place.key)
    except OSError as error:  # not there, not readable, no PEM, or not a pair
        reason = error.strerror or type(error).__name__
        raise StateError(
            "boundary.bad_certificate", path=str(place.certificate), reason=reason
        ) from error


def _listen(place: Place) -> socket.socket:
    listener = socket.socket(_family(place), socket.SOCK_STREAM)
    try:
        if isinstance(place, Path):
            _bind_to_path(listener, place)
        else:
            _bind_to_port(listener, place)
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise _refusal(place, error) from error
    return listener


def _family(place: Place) -> socket.AddressFamily:
    if isinstance(place, Path):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in place.host else socket.AF_INET


def _bind_to_port(listener: socket.socket, place: TlsPlace | PlainPlace) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((place.host, place.port))


def _bind_to_path(listener: socket.socket, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.unlink(missing_ok=True)  # what a crash left; the home's lock says that nobody serves
    listener.bind(str(place))
    place.chmod(0o600)  # before `listen`: until then nobody can connect


def _refusal(place: Place, error: OSError) -> StateError:
    if not isinstance(place, Path) and error.errno == errno.EADDRINUSE:
        return StateError("boundary.port_taken", port=place.port, host=place.host)
    reason = error.strerror or str(error)
    return StateError("boundary.cannot_listen", place=_name(place), reason=reason)


def _name(place: Place) -> str:
    return str(place) if isinstance(place, Path) else f"{place.host}:{place.port}"

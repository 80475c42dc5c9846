"""Examining a home in a test, and things that stand in the way."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from consilium.kernel.clock import SystemClock
from consilium.kernel.findings import Finding, State
from consilium.node.doctor import examine_node

SETTINGS_FRAME = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
LOCAL = {"program", "home", "settings", "disk", "certificate", "database", "evidence", "datasets"}


class ShiftedClock:
    """The machine's clock, set wrong."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return SystemClock().now() + self._shift


def look(
    home: Path,
    *,
    environment: Mapping[str, str] | None = None,
    shift: timedelta = timedelta(0),
    timeout_s: float = 3.0,
) -> dict[str, Finding]:
    found = examine_node(
        home,
        environment=environment or {},
        clock=ShiftedClock(shift),
        timeout_s=timeout_s,
    )
    return {one.hop: one for one in found}


def first_failed(found: Mapping[str, Finding]) -> tuple[str, str]:
    """Return hop and code of the first failure."""
    return next((one.hop, one.code) for one in found.values() if one.state is State.FAILED)


def move_hub(home: Path, address: str) -> None:
    """Let a node look for its hub elsewhere."""
    path = home / "node.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    moved = [f'hub = "{address}"' if line.startswith("hub = ") else line for line in lines]
    path.write_text("\n".join(moved) + "\n", encoding="utf-8")


def move_engine(home: Path, port: int) -> None:
    """Let a node look for its hub's engine on another port."""
    path = home / "node.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    moved = [f"port = {port}" if line.startswith("port = ") else line for line in lines]
    path.write_text("\n".join(moved) + "\n", encoding="utf-8")


@contextmanager
def tls_server(
    certificate: Path | None,
    key: Path | None = None,
    *,
    root: Path | None = None,
    answer: bytes = b"",
    host: str = "127.0.0.1",
) -> Iterator[int]:
    """Serve TLS on a free port, or, without a certificate, hang up at once.

    With a root, clients must show a certificate under it.
    """
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if root is not None:
            context.load_verify_locations(root)
            context.verify_mode = ssl.CERT_REQUIRED
    with closing(socket.create_server((host, 0))) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context, answer))
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, context: ssl.SSLContext | None, answer: bytes) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        with closing(line), suppress(OSError):
            line.settimeout(3)
            if context is not None:
                with context.wrap_socket(line, server_side=True) as tls:
                    tls.recv(64)
                    tls.sendall(answer)

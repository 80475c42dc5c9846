"""Connections opened by hand, a step at a time, so that the step that fails can be named."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from cryptography import x509

from consilium.node.proxy import Proxy

_HEAD = 1 << 14
_END = b"\r\n\r\n"


class TunnelError(OSError):
    """A proxy did not connect us; `status` is what it answered, 0 if that was no HTTP."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"HTTP {status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where to, and through what."""

    host: str
    port: int
    proxy: Proxy | None
    timeout_s: float


@contextmanager
def open_line(way: Way) -> Iterator[socket.socket]:
    """Connect, directly or through the proxy.

    Raises
    ------
    OSError
        The first machine on the way does not answer.
    TunnelError
        The proxy answers and does not connect us.
    """
    near = (way.proxy.host, way.proxy.port) if way.proxy else (way.host, way.port)
    with closing(socket.create_connection(near, timeout=way.timeout_s)) as line:
        if way.proxy is not None:
            _tunnel(line, way, way.proxy)
        yield line


@contextmanager
def open_tls(way: Way, trust: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """Connect and shake hands.

    Raises
    ------
    ssl.SSLError
        What is there is not believed, or speaks no TLS.
    OSError
        As `open_line`.
    """
    with open_line(way) as line, trust.wrap_socket(line, server_hostname=way.host) as tls:
        yield tls


def look_at_certificate(way: Way) -> x509.Certificate:
    """Return whatever certificate is shown, believed or not; nothing else is sent or read."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # to tell a person whose it is, and for nothing else
    with open_tls(way, blind) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def _tunnel(line: socket.socket, way: Way, proxy: Proxy) -> None:
    host = f"[{way.host}]" if ":" in way.host else way.host
    target = f"{host}:{way.port}"
    login = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.user else ""
    line.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode())
    head = bytearray()
    # Byte for byte: what follows the answer belongs to the far side.
    while not head.endswith(_END) and len(head) < _HEAD and (byte := line.recv(1)):
        head += byte
    status = _status_of(bytes(head))
    if not 200 <= status < 300:
        raise TunnelError(status)


def _status_of(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
    return int(words[1]) if is_http else 0

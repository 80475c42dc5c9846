"""A relay on the loopback that counts the bytes between hospitals and hub.

It stands in front of a port and passes everything on as it is; the connections
stay encrypted from end to end, so it sees sizes and nothing else. Both sides of
a comparison run through one, so both pay its cost.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16


class Wiretap:
    """Listens on a free port of the loopback and passes on to `port`.

    Attributes
    ----------
    port : int
        Where to connect instead.
    up, down : int
        Bytes so far from whoever connects, and back to them.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.port = int(self._listener.getsockname()[1])
        self.up = self.down = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, name="wiretap", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    @property
    def total(self) -> int:
        """Bytes in both directions so far."""
        return self.up + self.down

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {near, far}
            for source, sink, up in ((near, far, True), (far, near, False)):
                pump = threading.Thread(target=self._pump, args=(source, sink, up), daemon=True)
                pump.start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                sink.sendall(data)
                with self._lock:
                    if up:
                        self.up += len(data)
                    else:
                        self.down += len(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open.discard(source)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that are free at this moment."""
    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in bound]
    for each in bound:
        each.close()
    return ports

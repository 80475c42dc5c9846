"""A relay on the loopback that counts the bytes between hospitals and hub.

It stands in front of a port and passes everything on as it is; the connections
stay encrypted from end to end, so it sees sizes and nothing else. Both sides of
a comparison run through one, so both pay its cost.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
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
        self._threads: list[threading.Thread] = []
        self.port = int(self._listener.getsockname()[1])
        self.up = self.down = 0

    def __enter__(self) -> Self:
        self._start(self._serve)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # closing alone does not wake who accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()  # from here on there are no new connections
        self._listener.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        """Bytes in both directions so far."""
        return self.up + self.down

    def _start(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name="wiretap", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

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
            self._start(self._connect, near, far)

    def _connect(self, near: socket.socket, far: socket.socket) -> None:
        """Pass on in both directions until both have ended."""
        back = self._start(self._pump, far, near, False)
        self._pump(near, far, True)
        back.join()
        with self._lock:
            self._open -= {near, far}
        near.close()
        far.close()

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


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that are free at this moment."""
    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in bound]
    for each in bound:
        each.close()
    return ports

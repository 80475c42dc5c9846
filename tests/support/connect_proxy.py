"""A small HTTP proxy on the loopback: passes CONNECT on, wants a user and a password."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections import Counter
from typing import Self

MOST = 1 << 14


class ConnectProxy:
    """Serves in a thread of its own while the block lasts.

    Parameters
    ----------
    login : str
        `user:password` that it wants; empty lets everybody through.
    status : int
        Answers every CONNECT with this instead, if it is not 200.
    """

    def __init__(self, login: str = "", *, status: int = 200) -> None:
        self._wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._status = status
        self.passed: Counter[str] = Counter()
        """Connections that were let through, by `host:port`."""
        self.refused = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        told = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in head)}
        status = self._status
        if self._wanted and told.get("proxy-authorization") != self._wanted:
            status = 407
        if method != "CONNECT":
            status = 405
        if status != 200:
            self.refused += 1
            extra = 'Proxy-Authenticate: Basic realm="x"\r\n' if status == 407 else ""
            writer.write(f"HTTP/1.1 {status} No\r\n{extra}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        host, _, port = target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        self.passed[target] += 1
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        finally:
            far_writer.close()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(MOST):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()

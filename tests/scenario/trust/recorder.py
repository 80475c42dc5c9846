"""A TLS proxy between one hospital and the hub; it keeps every byte that crosses, in the clear.

It can stand there because the test owns every home on this machine: in front it
shows the hub's own certificate, behind it speaks as that hospital. Whoever does
not own the homes cannot do this, which `test_bytes` makes sure of.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HOST = "127.0.0.1"
_BLOCK = 1 << 16
_DATA, _PADDED = 0, 0x8


@dataclass
class Crossing:
    """One connection: the bytes from the hospital, and those to it."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)


class Recorder:
    """Listens on a free port of the loopback and passes everything on.

    Parameters
    ----------
    onward : int
        The port of the hub that everything is passed on to.
    front, back : SSLContext
        What the hospital sees; what the hub sees.
    """

    def __init__(self, onward: int, *, front: ssl.SSLContext, back: ssl.SSLContext) -> None:
        self.crossings: list[Crossing] = []
        self._onward = onward
        self._back = back
        self._under_way: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._carry, HOST, 0, ssl=front, ssl_shutdown_timeout=1.0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="recorder")
        self._thread.start()

    def close(self) -> None:
        """Hang up everywhere, and end."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def up(self) -> list[bytes]:
        """Give what the hospital sent, by connection, without HTTP/2's frames."""
        return [unframe(bytes(each.up)) for each in self.crossings]

    def down(self) -> list[bytes]:
        """Give what the hospital received, by connection."""
        return [unframe(bytes(each.down), framed=_is_framed(each)) for each in self.crossings]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        crossing = Crossing()
        self.crossings.append(crossing)
        writers = [writer]
        try:
            answers, onward = await asyncio.open_connection(
                HOST,
                self._onward,
                ssl=self._back,
                server_hostname="localhost",
                ssl_shutdown_timeout=1.0,
            )
            writers.append(onward)
            pumps = [
                asyncio.ensure_future(_pump(reader, onward, crossing.up)),
                asyncio.ensure_future(_pump(answers, writer, crossing.down)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in writers:
                await _hang_up(each)
            self._under_way.discard(task)

    async def _end(self) -> None:
        self._server.close()
        for task in list(self._under_way):
            task.cancel()
        while self._under_way:
            await asyncio.sleep(0.01)
        await self._server.wait_closed()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    while block := await reader.read(_BLOCK):
        kept += block
        writer.write(block)
        await writer.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, asyncio.CancelledError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), timeout=2)
    writer.transport.abort()


def api_contexts(hub_keys: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Stand before the hub's HTTPS port: its certificate in front, its root behind."""
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.load_cert_chain(hub_keys / "https.crt", hub_keys / "https.key")
    return front, ssl.create_default_context(cafile=str(hub_keys / "root.crt"))


def engine_contexts(hub_keys: Path, node_keys: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Stand before the engine's port, for one site: its own certificate is shown onward."""
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.load_cert_chain(hub_keys / "engine-server.crt", hub_keys / "engine-server.key")
    front.load_verify_locations(hub_keys / "root.crt")
    front.verify_mode = ssl.CERT_REQUIRED
    back = ssl.create_default_context(cafile=str(hub_keys / "root.crt"))
    back.load_cert_chain(node_keys / "engine.crt", node_keys / "engine.key")
    for context in (front, back):
        context.set_alpn_protocols(["h2"])
    return front, back


def unframe(data: bytes, *, framed: bool | None = None) -> bytes:
    """Take HTTP/2's frames off, so that nothing hides across the edge of two of them.

    The contents of each stream follow one another; anything but HTTP/2 stays as it is.
    """
    if not (data.startswith(PREFACE) if framed is None else framed):
        return data
    streams: dict[int, bytearray] = {}
    place = len(PREFACE) if data.startswith(PREFACE) else 0
    while place + 9 <= len(data):
        length = int.from_bytes(data[place : place + 3])
        kind, flags = data[place + 3], data[place + 4]
        stream = int.from_bytes(data[place + 5 : place + 9]) & 0x7FFFFFFF
        body = data[place + 9 : place + 9 + length]
        if kind == _DATA:
            if flags & _PADDED:
                body = body[1 : len(body) - body[0]]
            streams.setdefault(stream, bytearray()).extend(body)
        place += 9 + length
    return b"\n".join(bytes(each) for each in streams.values())


def _is_framed(crossing: Crossing) -> bool:
    return crossing.up.startswith(PREFACE)

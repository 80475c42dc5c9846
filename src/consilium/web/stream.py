"""The stream of events that a page listens to (server-sent events, HTML Living Standard §9.2).

Each event carries the place from which reading goes on, so a line that broke
loses nothing. A feed is asked twice a second; between events a comment keeps
the line open, and ends it once its session has ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from anyio.to_thread import run_sync
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from consilium.kernel.canonical import canonical_bytes

LOOK_S = 0.5
PING_S = 5.0
RETRY_MS = 2000
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""Reverse proxies must pass events on one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a page may want to know; `id` is where to go on after it."""

    id: str
    kind: str
    data: dict[str, Any]


class Feed(Protocol):
    """Where one page's events come from; asked by one reader, in turn."""

    def look(self) -> Sequence[Event]:
        """Return what is new since the last look."""
        ...


def answer_events(
    feed: Feed,
    *,
    is_welcome: Callable[[], bool],
    look_s: float = LOOK_S,
    ping_s: float = PING_S,
) -> StreamingResponse:
    """Answer with a feed's events, for as long as whoever listens is welcome.

    Parameters
    ----------
    feed : Feed
        This listener's own.
    is_welcome : callable
        Asked before anything is sent.
    look_s, ping_s : float
        Time between two looks, and longest silence.

    Discloses
    ---------
    What the feed gives, to the browser that asked.
    """
    return StreamingResponse(
        _write(feed, is_welcome, look_s=look_s, ping_s=ping_s),
        media_type="text/event-stream",
        headers=_HEADERS,
    )


async def _write(
    feed: Feed, is_welcome: Callable[[], bool], *, look_s: float, ping_s: float
) -> AsyncIterator[bytes]:
    yield format_sse_event(comment="consilium", retry=RETRY_MS)
    silent_s = 0.0
    while True:
        events = await run_sync(feed.look)
        is_due = bool(events) or silent_s >= ping_s
        if is_due and not await run_sync(is_welcome):
            return
        if is_due:
            silent_s = 0.0
            yield b"".join(map(_line, events)) or format_sse_event(comment="ping")
        await anyio.sleep(look_s)
        silent_s += look_s


def _line(event: Event) -> bytes:
    data = canonical_bytes(event.data).decode()
    return format_sse_event(id=event.id, event=event.kind, data_str=data)

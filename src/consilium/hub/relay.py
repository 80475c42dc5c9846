"""The relay: carries protocol messages to hospitals that open no inbound port.

A node keeps one or two long polls open at `/relay/next`. A message for it waits
in its mailbox until a poll takes it along; the node's answer comes back at
`/relay/answers/{id}` and goes to whoever asked. Everything is in memory and
bounded: a message that is lost here is sent again by its sender's outbox.

Messages and answers are signed end to end by the participants. The relay
passes the signatures on untouched; it can delay, drop and read, not forge.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from consilium.hub.door import BusyError, Door
from consilium.hub.settings import RelaySection
from consilium.kernel.errors import InputError, NotFoundError, PeerError
from consilium.kernel.identifiers import ParticipantId, member_name

MOST_AT_ONCE = 16
"""Messages that one poll takes along."""
OPEN_PATHS = frozenset({"/.well-known/dspace-version"})
"""What the protocol wants to be asked without a token."""
REQUEST_HEADERS = frozenset({"authorization", "content-type", "accept", "accept-encoding"})
ANSWER_HEADERS = frozenset({"content-type", "content-encoding", "vary", "consilium-answer", "link"})
"""Headers that pass; all others end here."""

_FORBIDDEN = ("..", "//", "\\", "%2e", "%2f", "%5c")


class SilentError(PeerError):
    """The hospital took the message and did not answer in time."""

    http_status: ClassVar[int] = 504


class Answer(BaseModel):
    """A node's answer to one message; `body` is base64."""

    model_config = ConfigDict(extra="forbid")
    status: int = Field(ge=100, le=599)
    headers: dict[str, str] = Field(max_length=32)
    body: str


class Taken(BaseModel):
    """How many messages a poll wants to take along."""

    model_config = ConfigDict(extra="forbid")
    most: int = Field(default=MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE)


@dataclass(slots=True)
class _Message:
    id: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    answered: asyncio.Future[Answer]

    def as_record(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": base64.b64encode(self.body).decode("ascii"),
        }


@dataclass(slots=True)
class _Mailbox:
    waiting: deque[_Message] = field(default_factory=deque)
    taken: dict[str, _Message] = field(default_factory=dict)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    polls: int = 0
    seen: float = 0.0


class Relay:
    """Mailboxes of all members. Lives in one event loop.

    Parameters
    ----------
    settings : RelaySection
        Time-outs and limits.
    now : callable
        A clock in seconds that does not jump.
    """

    def __init__(
        self, settings: RelaySection, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._now = now
        self._boxes: dict[str, _Mailbox] = {}
        self._begun = now()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        """Send all polls home, so that the process can end; may be called in any thread."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring_all)

    def _ring_all(self) -> None:
        for box in self._boxes.values():
            box.bell.set()

    def is_online(self, name: str) -> bool:
        """Say whether a member polls now, or did a moment ago.

        Just after the hub's own start everybody counts as online for a while:
        the nodes are on their way back.
        """
        box = self._boxes.get(name)
        seen = box.seen if box is not None else 0.0
        if box is not None and box.polls:
            return True
        return self._now() - max(seen, self._begun) < self._settings.away_s

    def seen_s(self, name: str) -> float | None:
        """Say how many seconds ago a member polled; None if it has not since the hub's start."""
        box = self._boxes.get(name)
        if box is None or not (box.polls or box.seen):
            return None
        return 0.0 if box.polls else self._now() - box.seen

    async def carry(
        self, name: str, *, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        """Bring one message to a member and return its answer.

        Raises
        ------
        BusyError
            `hub.member_away`, `hub.mailbox_full`: at once.
        SilentError
            `hub.member_silent`: after the time-out.
        """
        if self._closed or not self.is_online(name):
            raise BusyError("hub.member_away", member=name)
        box = self._boxes.setdefault(name, _Mailbox())
        if len(box.waiting) + len(box.taken) >= self._settings.queue:
            raise BusyError("hub.mailbox_full", member=name)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        message = _Message(secrets.token_urlsafe(18), method, path, headers, body, answered)
        box.waiting.append(message)
        box.bell.set()
        try:
            async with asyncio.timeout(self._settings.answer_s):
                return await answered
        except TimeoutError as error:
            raise SilentError("hub.member_silent", member=name) from error
        finally:
            box.taken.pop(message.id, None)
            if message in box.waiting:
                box.waiting.remove(message)

    async def take(self, name: str, *, most: int, gone: asyncio.Event) -> list[_Message]:
        """Wait for messages to a member, a while; take them along.

        Parameters
        ----------
        name : str
            Whose mailbox.
        most : int
            At most so many messages.
        gone : asyncio.Event
            Set when whoever polls has hung up: then nothing is handed out.
        """
        self._loop = asyncio.get_running_loop()
        box = self._boxes.setdefault(name, _Mailbox())
        ends = self._now() + self._settings.poll_s
        box.polls += 1
        try:
            while not (gone.is_set() or self._closed or box.waiting) and self._now() < ends:
                box.bell.clear()
                await _first(box.bell, gone, timeout_s=ends - self._now())
            if gone.is_set() or self._closed:
                return []
            found = [box.waiting.popleft() for _ in range(min(most, len(box.waiting)))]
        finally:
            box.polls -= 1
            box.seen = self._now()
        box.taken |= {message.id: message for message in found}
        return found

    def answer(self, name: str, message: str, answer: Answer) -> None:
        """Hand a member's answer to whoever waits for it.

        Raises
        ------
        NotFoundError
            `hub.no_message` if nobody waits any more, or it was not this member's.
        """
        box = self._boxes.get(name)
        found = box.taken.pop(message, None) if box is not None else None
        if found is None or found.answered.done():
            raise NotFoundError("hub.no_message")
        found.answered.set_result(answer)


def relay_router(
    relay: Relay,
    *,
    door: Door,
    is_member: Callable[[str], bool],
) -> APIRouter:
    """Make the routes.

    Parameters
    ----------
    relay : Relay
        The mailboxes.
    door : Door
        Tells who polls; keeps strangers from the hospitals' doors.
    is_member : callable
        Says whether a short name is a member's.
    """
    router = APIRouter(tags=["relay"])
    member = Depends(door.sender)

    @router.post("/relay/next")
    async def take(taken: Taken, request: Request, who: ParticipantId = member) -> list[Any]:
        gone = asyncio.Event()
        watch = asyncio.create_task(_watch(request, gone))
        try:
            found = await relay.take(member_name(who), most=taken.most, gone=gone)
        finally:
            watch.cancel()
        return [message.as_record() for message in found]

    @router.post("/relay/answers/{message}", status_code=204)
    async def answer(message: str, answer: Answer, who: ParticipantId = member) -> None:
        relay.answer(member_name(who), message, answer)

    @router.api_route(
        "/members/{name}/dsp/{path:path}",
        methods=["GET", "POST", "PUT", "DELETE"],
        include_in_schema=False,
    )
    async def carry(name: str, path: str, request: Request) -> Response:
        target = _target(path, request)
        if target not in OPEN_PATHS:
            door.check_peer(request)
        if not is_member(name):
            raise NotFoundError("hub.no_member", member=name[:40])
        answer = await relay.carry(
            name,
            method=request.method,
            path=target,
            headers=_passing(dict(request.headers), REQUEST_HEADERS),
            body=await request.body(),
        )
        return Response(
            content=_decoded(answer.body),
            status_code=answer.status,
            headers=_passing(answer.headers, ANSWER_HEADERS),
        )

    return router


def _target(path: str, request: Request) -> str:
    """Return path and query relative to the member's protocol root."""
    raw = request.scope.get("raw_path", b"").decode("ascii", "replace").lower()
    target = f"/{path}"
    if any(part in target or part in raw for part in _FORBIDDEN) or not target.isprintable():
        raise InputError("hub.bad_path")
    query = request.scope.get("query_string", b"").decode("ascii", "replace")
    return f"{target}?{query}" if query else target


def _passing(headers: dict[str, str], names: frozenset[str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name.lower() in names and value.isascii() and value.isprintable()
    }


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise PeerError("hub.bad_answer") from error


async def _watch(request: Request, gone: asyncio.Event) -> None:
    """Note when whoever polls hangs up."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            gone.set()
            return


async def _first(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait until one of the events is set, or the time is over."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

"""A deed that is sent twice is done once: answers kept under the key that a page chose.

A page makes a key when a form opens and sends it with the deed. The same key
with the same body gives the first answer again; with another body it is
refused. Of a deed that was refused nothing is kept: it may be tried again.
Answers are kept in memory, for a day and some hundreds of them: a key guards
against a second click and a broken line, not against a restart.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consilium.kernel.errors import InputError, StateError
from consilium.web.problems import answer_problem
from consilium.web.seats import SEAT, Seat

KEY_HEADER = "idempotency-key"
REPEATED_HEADER = b"idempotency-replayed"
_LONGEST_KEY = 200
_KEPT = 500
_KEPT_S = 24 * 3600.0
_LARGEST = 1 << 20
"""Bytes of an answer that are kept at most."""
_REFUSED = 400

Name = tuple[str, str, str, str]
"""Whose key it is, and of which deed: person, method, path with question, key."""


@dataclass(slots=True, kw_only=True)
class _Deed:
    """One deed: what was sent, and once it is done, the answer."""

    body: bytes
    began: float
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: list[Message] = field(default_factory=list)

    @property
    def can_be_kept(self) -> bool:
        """The deed was done; its answer is whole and small and hands out no cookie.

        What was refused has changed nothing: it is asked again, for the disk has
        room by now, or the hospital is back.
        """
        if not self.answer or self.answer[-1].get("more_body"):
            return False
        start, *rest = self.answer
        has_cookie = any(name == b"set-cookie" for name, _ in start.get("headers", ()))
        size = sum(len(part.get("body", b"")) for part in rest)
        return start["status"] < _REFUSED and not has_cookie and size <= _LARGEST


class Repeats:
    """Answers a repeated deed of somebody signed in with its first answer.

    Parameters
    ----------
    app : ASGI application
        What does the deeds; the guard stands before this.
    tell_s : callable
        Tells the seconds of a clock that only goes on.
    """

    def __init__(self, app: ASGIApp, *, tell_s: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._tell_s = tell_s
        self._deeds: OrderedDict[Name, _Deed] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers, seat = Headers(scope=scope), scope.get(SEAT)
        key = headers.get(KEY_HEADER, "")
        is_deed = scope["method"] in {"POST", "PUT", "DELETE"}
        is_upload = headers.get("content-type", "").startswith("multipart/")
        if not (key and is_deed and isinstance(seat, Seat)) or is_upload:
            await self._app(scope, receive, send)
            return
        if len(key) > _LONGEST_KEY:
            problem = InputError("web.long_key", most=_LONGEST_KEY)
            await answer_problem(problem)(scope, receive, send)
            return
        target = f"{scope['path']}?{scope.get('query_string', b'').decode('latin-1')}"
        name = (str(seat.person.id), str(scope["method"]), target, key)
        await self._do_once(name, scope, receive, send)

    async def _do_once(self, name: Name, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        digest = hashlib.sha256(body).digest()
        while (before := self._find(name)) is not None:
            if before.body != digest:
                problem = StateError("web.other_deed", now="another body", wanted="the same")
                await answer_problem(problem)(scope, receive, send)
                return
            await before.done.wait()
            if self._find(name) is before:
                await _replay(before, send)
                return
        deed = _Deed(body=digest, began=self._tell_s())
        self._deeds[name] = deed
        try:
            await self._app(scope, _given(body, receive), _kept(deed, send))
        finally:
            if not deed.can_be_kept:
                self._deeds.pop(name, None)
            deed.done.set()

    def _find(self, name: Name) -> _Deed | None:
        """Look for a deed, after forgetting what is too old or too much."""
        oldest = self._tell_s() - _KEPT_S
        while self._deeds:
            first = next(iter(self._deeds.values()))
            if len(self._deeds) <= _KEPT and first.began > oldest:
                break
            self._deeds.popitem(last=False)
        return self._deeds.get(name)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _given(body: bytes, receive: Receive) -> Receive:
    """Hand a body that was read already to the application, then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return left.pop() if left else await receive()

    return give


def _kept(deed: _Deed, send: Send) -> Send:
    async def keep(message: Message) -> None:
        deed.answer.append(message)
        await send(message)

    return keep


async def _replay(deed: _Deed, send: Send) -> None:
    start, *rest = deed.answer
    headers = [*start.get("headers", ()), (REPEATED_HEADER, b"true")]
    await send({**start, "headers": headers})
    for part in rest:
        await send(part)

"""Who comes in: the check of a member's token, the greatest size of a body, the pace.

Every route of the hub but `/root`, `/join` and `/renew` asks `Door.sender`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.tokens import REQUEST, TokenError, check_token
from consilium.kernel.clock import Clock
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey
from consilium.ledger.statements import peek_statement, verify_statement

SMALL_BODY = 1 << 16
"""Bytes that any route takes; certificate requests and checkpoints are far below."""
_BEARER = "bearer "


class TooLargeError(InputError):
    """The body is larger than this route takes."""

    http_status: ClassVar[int] = 413


class BusyError(PeerError):
    """Not now; try again."""

    http_status: ClassVar[int] = 503


class Door:
    """Tells which member sent a request.

    Parameters
    ----------
    hub : ParticipantId
        The hub itself: whom tokens must be meant for.
    key_of : callable
        Gives a member's present key; refuses who is none.
    clock : Clock
        For the tokens' times.
    seen : ReplayGuard, optional
        Remembers tokens, also across a restart if it has a file.
    """

    def __init__(
        self,
        hub: ParticipantId,
        *,
        key_of: Callable[[ParticipantId], PublicKey],
        clock: Clock,
        seen: ReplayGuard | None = None,
    ) -> None:
        self._hub = hub
        self._key_of = key_of
        self._clock = clock
        self._seen = seen or ReplayGuard()

    async def sender(self, request: Request) -> ParticipantId:
        """Return the member that signed this request to the hub; a route's dependency.

        Raises
        ------
        TokenError
            `dataspace.bad_token`.
        DeniedError
            `hub.member_revoked`, `link.certificate_expired`.
        """
        return check_token(
            bearer_token(request),
            key_of=self._key_of,
            audience=self._hub,
            method=request.method,
            path=request_target(request),
            body=await request.body(),
            clock=self._clock,
            seen=self._seen,
        )

    def check_peer(self, request: Request) -> None:
        """Return if some member signed this request to another; that one checks the rest.

        It keeps strangers from a hospital's door. What the request may do there
        is for the hospital to say.

        Raises
        ------
        TokenError
            `dataspace.bad_token`.
        DeniedError
            `hub.member_revoked`, `link.certificate_expired`.
        """
        token = bearer_token(request)
        try:
            issuer = ParticipantId(str(peek_statement(token).get("iss")))
            verify_statement(token, REQUEST, self._key_of(issuer))
        except (InputError, NotFoundError, IntegrityError) as error:
            raise TokenError("dataspace.bad_token", rule="token-signature") from error


def bearer_token(request: Request) -> str:
    """Return the token of the `Authorization` header.

    Raises
    ------
    TokenError
        `dataspace.bad_token`.
    """
    value = request.headers.get("authorization", "")
    if not value.lower().startswith(_BEARER):
        raise TokenError("dataspace.bad_token", rule="token-missing")
    return value[len(_BEARER) :].strip()


def request_target(request: Request) -> str:
    """Return path and query as the sender wrote them: what its token names."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope.get("query_string", b"")
    target = raw + b"?" + query if query else raw
    return target.decode("ascii", "replace")


class BodyLimit:
    """Refuses bodies that are too large, before and while they are read.

    Parameters
    ----------
    app : ASGI application
        What is protected.
    limits : mapping of str to int
        Greatest number of bytes by path prefix; the longest prefix counts.
    otherwise : int
        For all other paths.
    """

    def __init__(
        self, app: ASGIApp, *, limits: Mapping[str, int], otherwise: int = SMALL_BODY
    ) -> None:
        self._app = app
        self._limits = sorted(limits.items(), key=lambda item: -len(item[0]))
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request whose body is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        limit = next((most for at, most in self._limits if path.startswith(at)), self._otherwise)
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > limit:
            error = TooLargeError("hub.too_large", limit=limit)
            answer = JSONResponse(error.as_record(), status_code=error.http_status)
            await answer(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)


def _counted(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def count() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise TooLargeError("hub.too_large", limit=limit)
        return message

    return count


class Pace:
    """Lets so many through in a minute, evenly; for routes that strangers may call.

    Parameters
    ----------
    per_minute : int
        Also how many may come at once.
    now : callable
        A clock in seconds that does not jump.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60.0
        self._most = float(per_minute)
        self._left = self._most
        self._now = now
        self._last = now()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Return if one more may pass.

        Raises
        ------
        BusyError
            `hub.busy`.
        """
        with self._lock:
            now = self._now()
            self._left = min(self._most, self._left + (now - self._last) * self._rate)
            self._last = now
            if self._left < 1:
                raise BusyError("hub.busy")
            self._left -= 1

"""The guard of a door for browsers: who asks, with which token, and whether the table lets him.

It stands in two places. `Guard` sees every request before anything of its body
is read: without a session there is no way in, and what changes something needs
the page's own token. `admit` runs once the route is known and asks the table;
a route that does not stand there is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from consilium.kernel.clock import Clock
from consilium.kernel.errors import ConsiliumError, DeniedError, InputError
from consilium.ledger.database import Database
from consilium.persons.records import Person
from consilium.persons.roles import MAY, Action, may
from consilium.persons.sessions import find_session, is_page_token, page_token
from consilium.persons.store import is_anybody
from consilium.web.cookies import SessionCookie
from consilium.web.problems import answer_problem
from consilium.web.seats import SEAT, Scope, Seat, seat_of

TOKEN_HEADER = "x-consilium-token"  # noqa: S105
BACKGROUND_HEADER = "x-consilium-background"
"""Sent by a page that refreshes by itself: such a request does not put off the idle end."""
MOST_BYTES = 1 << 20
"""Bytes of a body, unless a route takes more."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Open(Enum):
    """Routes that no single action opens."""

    ANYBODY = "anybody"
    """Also without a session: signing in."""
    ANY_PERSON = "any person"
    """Whoever is signed in; the route itself asks for more where it must."""
    HOUSE = "the house"
    """Whoever has a role that is limited to no study and no organisation."""


@dataclass(frozen=True, slots=True)
class Somewhere:
    """An action that any of the person's roles allows anywhere; the route asks where."""

    action: Action


Rule = Action | Open | Somewhere
Key = tuple[str, str]
"""Method and path of a route, the path as the route writes it."""
Place = tuple[str, tuple[str, ...]]
"""What an object belongs to: its study or nothing, and the organisations that take part."""
EVERYWHERE: Place = ("", ("",))
"""All studies and all organisations; only a role without a limit reaches it."""
FindPlace = Callable[[str, str], Place | None]
"""Looks up where the object that a path's parameter names belongs; None if that names no object.

What does not exist belongs `EVERYWHERE`, so that its absence is told to nobody who is limited."""

Note = Callable[[Seat, Action, Mapping[str, str]], None]
"""Takes down who is about to do what, to the objects that a path names."""
_LONGEST_NAME = 200


class Guard:
    """Lets requests of somebody signed in through, and tells the routes who it is.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    database, clock : Database, Clock
        Where sessions are.
    cookie : SessionCookie
        Where the browser keeps its token.
    open_to_all : set of Key
        Routes that need no session. Their paths have no parameters.
    large : mapping of Key to int
        Routes that take a larger body, and how many bytes that may be.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        database: Database,
        clock: Clock,
        cookie: SessionCookie,
        open_to_all: frozenset[Key],
        large: Mapping[Key, int],
    ) -> None:
        self._app = app
        self._database = database
        self._clock = clock
        self._cookie = cookie
        self._open = open_to_all
        self._large = large

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        scope.pop(SEAT, None)
        try:
            await self._let_in(scope)
            most = self._large.get((scope["method"], _path(scope)), MOST_BYTES)
            _check_size(scope, most)
        except ConsiliumError as error:
            await answer_problem(error)(scope, receive, send)
            return
        await self._app(scope, _counted(receive, most), send)

    async def _let_in(self, scope: Connection) -> None:
        headers, method = Headers(scope=scope), scope["method"]
        changes = method not in READING
        if changes:
            _check_origin(headers)
        is_open = (method, _path(scope)) in self._open
        token = self._cookie.read(headers.get("cookie", ""))
        is_use = BACKGROUND_HEADER not in headers
        seat = await run_sync(self._find_seat, token, is_use) if token else None
        if seat is None:
            if is_open:
                return
            raise await run_sync(self._refusal)
        needs_token = changes and not is_open
        if needs_token and not is_page_token(token, headers.get(TOKEN_HEADER, "")):
            raise DeniedError("persons.no_token")
        scope[SEAT] = seat

    def _find_seat(self, token: str, is_use: bool) -> Seat | None:
        found = find_session(self._database, token, clock=self._clock, is_use=is_use)
        if found is None:
            return None
        session, person = found
        return Seat(session=session, person=person, page_token=page_token(token))

    def _refusal(self) -> DeniedError:
        """Say why nobody is there: nobody signed in, or nobody could yet."""
        with self._database.read() as connection:
            is_first = not is_anybody(connection)
        return DeniedError("persons.no_first" if is_first else "persons.no_session")


def make_admission(
    table: Mapping[Key, Rule], *, find_place: FindPlace, note: Note
) -> Callable[[Request], Awaitable[None]]:
    """Make the dependency that asks the table; it goes before every route of an application.

    Parameters
    ----------
    table : mapping
        Which rule opens which route.
    find_place : callable
        Says to which study and organisations the object in a path belongs.
    note : callable
        Told of every action that changes something, before it begins.
    """

    async def admit(request: Request) -> None:
        """Refuse what the table does not let this person do here."""
        key = (request.method, request.scope["route"].path)
        rule = table.get(key)
        if rule is None:
            raise DeniedError("web.closed_route", method=key[0], path=key[1])
        if rule is Open.ANYBODY:
            return
        seat = seat_of(request)
        if seat is None:
            raise DeniedError("persons.no_session")
        named = {name: str(value)[:_LONGEST_NAME] for name, value in request.path_params.items()}
        await run_sync(_check, seat.person, rule, named, find_place)
        if isinstance(rule, Action) and request.method not in READING:
            await run_sync(note, seat, rule, named)

    return admit


def _check(person: Person, rule: Rule, named: Mapping[str, str], find_place: FindPlace) -> None:
    """Ask whether a rule lets a person at the objects that a path names."""
    if isinstance(rule, Somewhere) and not any(rule.action in MAY[it.role] for it in person.grants):
        raise _no(rule)
    places = [found for name in named if (found := find_place(name, named[name]))]
    if not places and (rule is Open.HOUSE or isinstance(rule, Action)):
        places = [EVERYWHERE]
    for study, organisations in places:
        if not any(
            is_allowed(person, rule, study=study, organisation=one) for one in organisations
        ):
            raise _no(rule)


def is_allowed(person: Person, rule: Rule, *, study: str = "", organisation: str = "") -> bool:
    """Say whether a rule lets a person at an object of this study and organisation."""
    if isinstance(rule, Open):
        sight = Scope(grants=person.grants)
        return rule is Open.ANYBODY or sight.sees(study=study, organisations=(organisation,))
    action = rule.action if isinstance(rule, Somewhere) else rule
    return may(person, action, study=study, organisation=organisation)


def _no(rule: Rule) -> DeniedError:
    if isinstance(rule, Open):
        return DeniedError("persons.out_of_sight")
    action = rule.action if isinstance(rule, Somewhere) else rule
    return DeniedError("persons.not_allowed", action=action)


def _check_size(scope: Connection, most: int) -> None:
    told = Headers(scope=scope).get("content-length", "0")
    if not told.isdecimal() or int(told) > most:
        raise InputError("web.too_large", most=most)


def _counted(receive: Receive, most: int) -> Receive:
    """Stop a body that grows beyond what was allowed and did not say so before."""
    seen = 0

    async def take() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise InputError("web.too_large", most=most)
        return message

    return take


def _check_origin(headers: Headers) -> None:
    """Refuse a change that another site sends; browsers say from where they ask."""
    origin = headers.get("origin", "")
    is_elsewhere = origin and urlsplit(origin).netloc != headers.get("host", "")
    if is_elsewhere or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise DeniedError("web.other_site")


def _path(scope: Connection) -> str:
    """Return the path within the guarded application."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))

"""The node's application for browsers: the API behind its guard, and the pages.

The same routes answer at the node's socket; here a session says who asks, and
the table in `routes` says who may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from consilium.dataspace.wire.serving import PlainPlace, Serving, TlsPlace
from consilium.kernel.canonical import Json
from consilium.kernel.version import __version__
from consilium.node.app import add_routes
from consilium.node.console.events import Newsroom, events_router
from consilium.node.console.places import make_find_place
from consilium.node.console.routes import LARGE, TABLE
from consilium.node.console.sessions_api import Hall, sessions_router
from consilium.node.console.welcoming import FILE as WELCOME_FILE
from consilium.node.console.welcoming import prepare_welcome
from consilium.node.rooms import Rooms
from consilium.node.settings import ConsoleSettings
from consilium.persons.roles import Action
from consilium.persons.sessions import sweep
from consilium.persons.totp import PURPOSE, Sealer
from consilium.web.bundle import BUNDLE, Bundle, StrictHeaders
from consilium.web.cookies import SessionCookie
from consilium.web.description import PROBLEMS, describe_door
from consilium.web.guard import TOKEN_HEADER, FindPlace, Guard, Open, make_admission
from consilium.web.problems import report_problems
from consilium.web.repeats import Repeats
from consilium.web.seats import Seat

OPEN_TO_ALL = frozenset(key for key, rule in TABLE.items() if rule is Open.ANYBODY)


def make_console(rooms: Rooms, *, port: int, bundle: Path = BUNDLE) -> ASGIApp:
    """Make what a browser meets at a listener on `port`."""
    reception, cookie = rooms.reception, SessionCookie(port=port)
    guard = Guard(
        Repeats(make_api(rooms, cookie=cookie)),
        database=reception.database,
        clock=reception.clock,
        cookie=cookie,
        open_to_all=OPEN_TO_ALL,
        large=LARGE,
    )
    pages = Route("/{path:path}", Bundle(bundle).answer, methods=["GET", "HEAD"])
    return StrictHeaders(Starlette(routes=[Mount("/api", app=guard), pages]))


def make_api(rooms: Rooms, *, cookie: SessionCookie) -> FastAPI:
    """Make the API as it stands behind the guard; every route asks the table first."""
    find_place = make_find_place(rooms.reception, me=rooms.connector.me)

    def note(seat: Seat, action: Action, named: Mapping[str, str]) -> None:
        facts: dict[str, Json] = {"action": action, "session": seat.session.id, "of": {**named}}
        with rooms.reception.database.write() as tx:
            tx.record("person.acts", seat.person.id, facts)

    app = FastAPI(
        title="Consilium console",
        version=__version__,
        openapi_url=None,
        responses=PROBLEMS,
        dependencies=[Depends(make_admission(TABLE, find_place=find_place, note=note))],
    )
    report_problems(app)
    app.include_router(sessions_router(_hall(rooms, cookie)))
    app.include_router(events_router(_newsroom(rooms, find_place)))
    add_routes(app, rooms)
    describe_door(app, cookie=cookie.name, token=TOKEN_HEADER, open_to_all=OPEN_TO_ALL)
    return app


def _hall(rooms: Rooms, cookie: SessionCookie) -> Hall:
    reception, member = rooms.reception, rooms.membership
    return Hall(
        database=reception.database,
        clock=reception.clock,
        cost=reception.cost,
        cookie=cookie,
        sealer=Sealer(rooms.connector.key.derive(PURPOSE)),
        home=rooms.home,
        node={
            "title": member.title,
            "participant": member.participant,
            "space": member.space,
            "version": __version__,
        },
    )


def _newsroom(rooms: Rooms, find_place: FindPlace) -> Newsroom:
    return Newsroom(
        database=rooms.reception.database,
        clock=rooms.reception.clock,
        is_online=rooms.link.is_online,
        find_place=find_place,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedConsole:
    """A console that answers; `code` opens the first account, if nobody has one."""

    address: str
    code: str
    code_file: Path


Announce = Callable[[OpenedConsole], None]


def open_console(stack: ExitStack, settings: ConsoleSettings, rooms: Rooms) -> OpenedConsole | None:
    """Serve browsers if a port is set, until the stack ends.

    Raises
    ------
    StateError
        `boundary.port_taken`, `boundary.cannot_listen`, `boundary.bad_certificate`.
    """
    if not settings.port:
        return None
    reception = rooms.reception
    sweep(reception.database, clock=reception.clock)
    code = prepare_welcome(rooms.home, reception.database, clock=reception.clock)
    place: TlsPlace | PlainPlace = PlainPlace(host=settings.host, port=settings.port)
    if settings.certificate:
        place = TlsPlace(
            host=settings.host,
            port=settings.port,
            certificate=Path(settings.certificate),
            key=Path(settings.certificate_key),
        )
    serving = Serving(make_console(rooms, port=settings.port), place)
    serving.start()
    stack.callback(serving.close)
    return OpenedConsole(address=settings.address, code=code, code_file=rooms.home / WELCOME_FILE)

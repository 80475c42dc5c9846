"""Routes about who is signed in: beginning and ending sessions, the second factor, first of all.

They answer at the listener only. Passwords are hashed and compared in a
thread, two at a time: each takes memory, and guesses must not take all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import segno
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from consilium.kernel.clock import Clock
from consilium.kernel.errors import DeniedError, NotFoundError
from consilium.ledger.database import Database
from consilium.node.answers import Changed, FactorState, NewFactor, SessionRow, SessionShown
from consilium.node.console.welcoming import FILE as WELCOME_FILE
from consilium.persons.accounts import recognise, set_password
from consilium.persons.passwords import Cost, hash_password
from consilium.persons.queue import check_reason
from consilium.persons.records import Person
from consilium.persons.roles import MAY, Action, may
from consilium.persons.sessions import (
    Session,
    begin,
    end,
    get_session,
    list_sessions,
    page_token,
    sweep,
)
from consilium.persons.store import get_person, is_anybody
from consilium.persons.totp import (
    Sealer,
    address_of,
    confirm,
    has_factor,
    offer,
    reset,
    second_proof,
)
from consilium.persons.welcome import accept_code, check_code
from consilium.web.cookies import SessionCookie
from consilium.web.paging import Page, Paged, take_page
from consilium.web.seats import Seat, seat_of

T = TypeVar("T")
_AT_ONCE = 2
"""Passwords in work at the same time; each takes 46 MiB."""
_LONG = 400


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(_Body):
    """Who wants in; `code` is the second factor's, if there is one."""

    name: str = Field(max_length=_LONG)
    password: SecretStr = Field(max_length=_LONG)
    code: str = Field(default="", max_length=_LONG)


class Welcome(_Body):
    """The first administrator: the node's one-time code, and the account to make."""

    code: str = Field(max_length=_LONG)
    name: str = Field(max_length=_LONG)
    password: SecretStr = Field(max_length=_LONG)


class OtherPassword(_Body):
    """One's own password, and the one that replaces it."""

    old: SecretStr = Field(max_length=_LONG)
    new: SecretStr = Field(max_length=_LONG)


class Code(_Body):
    """What the telephone shows."""

    code: str = Field(max_length=_LONG)


class Reason(_Body):
    """Why something is done."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """What signing in needs.

    `node` tells a page where it is; `home` holds the first administrator's code.
    """

    database: Database
    clock: Clock
    cost: Cost
    cookie: SessionCookie
    sealer: Sealer
    home: Path
    node: Mapping[str, str]
    turns: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_AT_ONCE))

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Work on a password in a thread; whoever has no turn waits without one."""
        return await run_sync(work, limiter=self.turns)

    def recognise(self, name: str, password: str, *, code: str) -> Person:
        """Return who this is, by every proof that he has; raises as `accounts.recognise` does."""
        return recognise(
            self.database,
            name,
            password,
            clock=self.clock,
            cost=self.cost,
            second=second_proof(code, sealer=self.sealer, clock=self.clock),
        )

    def open(self, person: Person, request: Request, answer: Response) -> dict[str, Any]:
        """Begin a session for somebody recognised just now; this browser's one before ends."""
        sweep(self.database, clock=self.clock)
        agent, before = request.headers.get("user-agent", ""), seat_of(request)
        with self.database.write() as tx:
            if before is not None:
                end(tx, before.session.id, by=before.person.id)
            factors = 2 if has_factor(tx.connection, person.id) else 1
            session, token = begin(tx, person, agent=agent, factors=factors, clock=self.clock)
        self.cookie.write(answer, token, request=request)
        return self.show(Seat(session=session, person=person, page_token=page_token(token)))

    def show(self, seat: Seat) -> dict[str, Any]:
        """Tell a page who is signed in and what he may do."""
        person = seat.person
        allowed = {action for grant in person.grants for action in MAY[grant.role]}
        with self.database.read() as connection:
            has_second = has_factor(connection, person.id)
        return {
            "person": {
                "id": person.id,
                "name": person.name,
                "grants": [asdict(grant) for grant in person.grants],
            },
            "actions": sorted(allowed),
            "csrf": seat.page_token,
            "second_factor": has_second,
            "ends": seat.session.ends,
            "node": dict(self.node),
        }


def sessions_router(hall: Hall) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["session"])
    _add_signing(router, hall)
    _add_welcome(router, hall)
    _add_password(router, hall)
    _add_factor(router, hall)
    _add_sessions(router, hall)
    return router


def get_seat(request: Request) -> Seat:
    """Return who is signed in.

    Raises
    ------
    DeniedError
        `persons.no_session`.
    """
    seat = seat_of(request)
    if seat is None:
        raise DeniedError("persons.no_session")
    return seat


def _add_signing(router: APIRouter, hall: Hall) -> None:
    @router.get("/session", response_model=SessionShown)
    def who(request: Request) -> dict[str, Any]:
        seat = seat_of(request)
        if seat is not None:
            return hall.show(seat)
        with hall.database.read() as connection:
            is_known = is_anybody(connection)
        raise DeniedError("persons.no_session" if is_known else "persons.no_first")

    @router.post("/session", response_model=SessionShown)
    async def sign_in(wish: SignIn, request: Request, answer: Response) -> dict[str, Any]:
        password = wish.password.get_secret_value()
        check = partial(hall.recognise, wish.name, password, code=wish.code)
        return await run_sync(hall.open, await hall.in_turn(check), request, answer)

    @router.delete("/session", status_code=204)
    def sign_out(request: Request, answer: Response) -> None:
        seat = get_seat(request)
        with hall.database.write() as tx:
            end(tx, seat.session.id, by=seat.person.id)
        hall.cookie.clear(answer, request=request)


def _add_welcome(router: APIRouter, hall: Hall) -> None:
    @router.post("/welcome", response_model=SessionShown)
    async def welcome(wish: Welcome, request: Request, answer: Response) -> dict[str, Any]:
        await run_sync(check_code, hall.database, wish.code)
        password = wish.password.get_secret_value()
        secret = await hall.in_turn(
            partial(hash_password, password, name=wish.name, cost=hall.cost)
        )

        def make() -> dict[str, Any]:
            with hall.database.write() as tx:
                person = accept_code(tx, wish.code, name=wish.name, secret=secret, clock=hall.clock)
            (hall.home / WELCOME_FILE).unlink(missing_ok=True)
            return hall.open(person, request, answer)

        return await run_sync(make)


def _add_password(router: APIRouter, hall: Hall) -> None:
    @router.post("/session/password", response_model=Changed)
    async def change(wish: OtherPassword, request: Request) -> dict[str, Any]:
        seat = get_seat(request)

        def work() -> dict[str, Any]:
            old, new = wish.old.get_secret_value(), wish.new.get_secret_value()
            name = seat.person.name
            recognise(hall.database, name, old, clock=hall.clock, cost=hall.cost)
            secret = hash_password(new, name=name, cost=hall.cost)
            with hall.database.write() as tx:
                person = get_person(tx.connection, seat.person.id)
                set_password(tx, person, secret, by=person.id, session=seat.session.id)
            return {"changed": True}

        return await hall.in_turn(work)


def _add_factor(router: APIRouter, hall: Hall) -> None:
    @router.post("/session/second-factor", response_model=NewFactor)
    def begin_factor(request: Request) -> dict[str, str]:
        person = get_seat(request).person
        with hall.database.write() as tx:
            secret = offer(tx, person, sealer=hall.sealer, clock=hall.clock)
        uri = address_of(secret, name=person.name, issuer=f"Consilium {hall.node['title']}")
        return {"secret": secret, "uri": uri, "qr_svg": segno.make(uri, micro=False).svg_inline()}

    @router.put("/session/second-factor", response_model=FactorState)
    def confirm_factor(given: Code, request: Request) -> dict[str, bool]:
        seat = get_seat(request)
        with hall.database.write() as tx:
            confirm(
                tx,
                seat.person,
                given.code,
                sealer=hall.sealer,
                clock=hall.clock,
                session=seat.session.id,
            )
        return {"second_factor": True}

    @router.delete("/persons/{who}/second-factor", response_model=FactorState)
    def reset_factor(who: str, why: Reason, request: Request) -> dict[str, bool]:
        by = get_seat(request).person
        with hall.database.write() as tx:
            person, reason = get_person(tx.connection, who), check_reason(why.reason)
            _require_managing(get_person(tx.connection, by.id))
            reset(tx, person, by=by.id, reason=reason)
        return {"second_factor": False}


def _add_sessions(router: APIRouter, hall: Hall) -> None:
    @router.get("/sessions", response_model=Page[SessionRow])
    def sessions(ask: Paged, request: Request) -> Page[dict[str, Any]]:
        seat = get_seat(request)
        whose = "" if may(seat.person, Action.MANAGE_PERSONS) else seat.person.id
        with hall.database.read() as connection:

            def show(one: Session) -> dict[str, Any]:
                name = get_person(connection, one.person).name
                return {**asdict(one), "name": name, "current": one.id == seat.session.id}

            now = hall.clock.now()
            found = [one for one in list_sessions(connection, person=whose) if not one.over(now)]
            place = _place_of_session
            return take_page(found, ask, place=place, show=show, is_falling=True)

    @router.delete("/sessions/{session}", status_code=204)
    def end_session(session: str, request: Request) -> None:
        seat = get_seat(request)
        with hall.database.write() as tx:
            by = get_person(tx.connection, seat.person.id)
            is_own = get_session(tx.connection, session).person == by.id
            if not is_own and not may(by, Action.MANAGE_PERSONS):
                # As if there were none: nobody learns of another's session.
                raise NotFoundError("persons.session_over")
            end(tx, session, by=by.id, why="ended by hand")


def _place_of_session(session: Session) -> tuple[str, str]:
    return session.began, session.id


def _require_managing(person: Person) -> None:
    if not may(person, Action.MANAGE_PERSONS):
        raise DeniedError("persons.not_allowed", action=Action.MANAGE_PERSONS)

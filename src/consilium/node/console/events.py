"""What the stream of one page tells: studies, agreements, releases, what waits, the hub's line.

Studies' events stand in the database, agreements and releases in its evidence;
the place in both is an event's id (`STUDY-EVIDENCE`), so a page that lost its
line goes on where it was. What waits and whether the hub is there are told at the beginning and
whenever they change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from consilium.federation.store import list_all_events, newest_event
from consilium.kernel.clock import Clock
from consilium.ledger.database import Database
from consilium.node.console.sessions_api import get_seat
from consilium.node.persons_api import is_in_sight
from consilium.persons.sessions import is_open
from consilium.persons.store import list_items
from consilium.web.guard import FindPlace
from consilium.web.seats import Scope, scope_of
from consilium.web.stream import Event, answer_events

_PLACE = re.compile(r"(\d{1,18})-(\d{1,18})")
_TOLD = {"agreement": "agreement", "approval": "release"}
"""Entries of the evidence that are told: the first word of their kind, and what they are about."""
_PAGE = 200
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Newsroom:
    """What feeds are made from; `find_place` says what a limited role may hear of."""

    database: Database
    clock: Clock
    is_online: Callable[[], bool]
    find_place: FindPlace


class NodeFeed:
    """One page's feed.

    Parameters
    ----------
    room : Newsroom
        Where news come from.
    scope : Scope
        How far whoever listens sees.
    last : str
        Id of the last event that the page has seen; empty for none.
    """

    def __init__(self, room: Newsroom, scope: Scope, *, last: str = "") -> None:
        self._room = room
        self._scope = scope
        self._told: dict[str, Any] = {}
        seen = _PLACE.fullmatch(last)
        if seen is not None:
            self._study, self._entry = int(seen[1]), int(seen[2])
            return
        with room.database.read() as connection:
            self._study = newest_event(connection)
        self._entry = room.database.evidence.size

    def look(self) -> list[Event]:
        """Return what is new."""
        found = [*self._studies(), *self._deeds()]
        for kind, now in (("queue", self._queue()), ("link", {"online": self._room.is_online()})):
            if self._told.get(kind) != now:
                self._told[kind] = now
                found.append(self._event(kind, now))
        return found

    def _studies(self) -> list[Event]:
        events = []
        with self._room.database.read() as connection:
            new = list_all_events(connection, after=self._study, limit=_PAGE)
        for one in new:
            self._study = one["id"]
            if self._sees("study", one["study"]):
                events.append(self._event("study", one))
        return events

    def _deeds(self) -> list[Event]:
        events = []
        for one in self._room.database.evidence.entries(after=self._entry, limit=_PAGE):
            self._entry = one.seq
            word, _, state = one.kind.partition(".")
            kind = _TOLD.get(word)
            if kind is not None and self._sees(kind, one.subject):
                news = {kind: one.subject, "state": state.upper()}
                events.append(self._event(kind, news))
        return events

    def _queue(self) -> dict[str, Any]:
        with self._room.database.read() as connection:
            items = list_items(connection)
        return {"open": sum(is_in_sight(one, self._scope) for one in items)}

    def _sees(self, kind: str, name: str) -> bool:
        if self._scope.is_whole:
            return True
        place = self._room.find_place(kind, name)
        return place is not None and self._scope.sees(study=place[0], organisations=place[1])

    def _event(self, kind: str, data: dict[str, Any]) -> Event:
        return Event(id=f"{self._study}-{self._entry}", kind=kind, data=data)


def events_router(room: Newsroom) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["events"])

    @router.get("/events", response_class=StreamingResponse, responses=_STREAM)
    def events(request: Request, last_event_id: str = Header(default="")) -> StreamingResponse:
        seat = get_seat(request)
        feed = NodeFeed(room, scope_of(request), last=last_event_id)

        def is_welcome() -> bool:
            return is_open(room.database, seat.session.id, clock=room.clock)

        return answer_events(feed, is_welcome=is_welcome)

    return router

"""Who speaks in a request, and how far he sees: a session's person, or a header at the socket.

Routes are the same at both doors. They ask for a `Speaker` where somebody acts
and for a `Sight` where something is read, and do not know which door it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from consilium.persons.records import Grant, Person
from consilium.persons.roles import covers
from consilium.persons.sessions import Session

SEAT = "consilium.seat"
"""Where the guard puts the seat into a request's scope; nothing that a browser sends gets there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Somebody who is signed in: his session, and himself as the account was at this request.

    `page_token` is what the page sends with whatever changes something.
    """

    session: Session
    person: Person
    page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """What a request tells about who speaks: a seat, or else the header of the socket's door."""

    authorization: str = ""
    seat: Seat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How far somebody sees: everywhere, or what the grants of his roles reach.

    `grants` is None at the socket, where whoever opens the node's folder sees all.
    `person` sees besides what was handed to him by name.
    """

    grants: tuple[Grant, ...] | None = None
    person: str = ""

    @property
    def is_whole(self) -> bool:
        """Nothing is out of sight: the socket, or a role without limit."""
        return self.grants is None or self.sees()

    def sees(self, *, study: str = "", organisations: Iterable[str] = ("",)) -> bool:
        """Say whether an object is in sight.

        Parameters
        ----------
        study : str
            The study that it belongs to; empty if to none.
        organisations : iterable of str
            Who asks or takes part; one that a role covers is enough.
        """
        return self.grants is None or any(
            covers(grant, study=study, organisation=organisation)
            for grant in self.grants
            for organisation in organisations
        )


def seat_of(request: Request) -> Seat | None:
    """Return who is signed in, if this request came by the listener."""
    found = request.scope.get(SEAT)
    return found if isinstance(found, Seat) else None


def speaking_of(request: Request) -> Speaking:
    """Tell who speaks; a header counts at the socket only, a browser sends it unasked."""
    seat = seat_of(request)
    if seat is not None:
        return Speaking(seat=seat)
    return Speaking(authorization=request.headers.get("authorization", ""))


def scope_of(request: Request) -> Scope:
    """Tell how far whoever asks may see."""
    seat = seat_of(request)
    return Scope() if seat is None else Scope(grants=seat.person.grants, person=seat.person.id)


Speaker = Annotated[Speaking, Depends(speaking_of)]
"""Who speaks, for a route in which somebody acts."""
Sight = Annotated[Scope, Depends(scope_of)]
"""How far whoever asks sees, for a route that lists or shows."""

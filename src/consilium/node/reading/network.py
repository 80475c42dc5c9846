"""Nodes and network: who is there, since when not, and this node examined hop by hop."""

from __future__ import annotations

import os
from datetime import timedelta

from fastapi import APIRouter

from consilium.kernel.clock import write_time
from consilium.kernel.findings import State
from consilium.kernel.version import __version__
from consilium.node.directory import Entry
from consilium.node.doctor import examine_node
from consilium.node.reading.shapes import Words
from consilium.node.rooms import Rooms
from consilium.web.paging import Shape

AWAY_S = 60.0
"""A member that nobody has heard of for so long counts as away."""


class NodeRow(Shape):
    """A member: whether it is admitted, and when it was heard of last.

    `versions` is known of this node alone. `last_seen` is the hub's word, or
    the moment at which the member answered us, whichever is later.
    """

    participant: str
    title: str
    admitted: bool
    joined: str
    location: str
    fingerprint: str
    last_seen: str | None
    online: bool
    versions: dict[str, str] | None
    certificate_until: str
    mine: bool


class FindingRow(Words):
    """What was seen at one hop; the sentence says the remedy too."""

    hop: str
    state: str
    ok: bool


def network_router(rooms: Rooms) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["network"])

    @router.get("/nodes")
    def nodes() -> list[NodeRow]:
        """List the members of the space, revoked ones included."""
        return [show_member(rooms, entry) for entry in rooms.directory.list_known()]

    @router.post("/nodes/doctor")
    def doctor() -> list[FindingRow]:
        """Examine this node hop by hop; the first that is not in order is the one to look at."""
        clock = rooms.connector.clock
        found = examine_node(rooms.home, environment=os.environ, clock=clock)
        return [
            FindingRow(
                hop=one.hop,
                state=one.state,
                ok=one.state in (State.OK, State.WARNING),
                code=one.code,
                en=one.en,
                zh=one.zh,
            )
            for one in found
        ]

    return router


def show_member(rooms: Rooms, entry: Entry) -> NodeRow:
    """Show one member."""
    identity, me = entry.identity, rooms.connector.me
    ago = _heard_s(rooms, entry)
    is_mine = identity.participant == me
    seen = rooms.connector.clock.now() - timedelta(seconds=ago) if ago is not None else None
    return NodeRow(
        participant=identity.participant,
        title=identity.title,
        admitted=entry.admitted,
        joined=entry.joined,
        location=identity.location,
        fingerprint=identity.key.fingerprint,
        last_seen=write_time(seen) if seen else None,
        online=entry.admitted and ago is not None and ago < AWAY_S,
        versions={"consilium": __version__} if is_mine else None,
        certificate_until=write_time(identity.not_after),
        mine=is_mine,
    )


def _heard_s(rooms: Rooms, entry: Entry) -> float | None:
    """Say how many seconds ago a member was heard of, by us or by the hub."""
    who = entry.identity.participant
    if who == rooms.connector.me:
        return 0.0 if rooms.link.is_online() else None
    heard = [rooms.directory.seen_s(who), rooms.catalogue.heard_s(who)]
    return min((one for one in heard if one is not None), default=None)

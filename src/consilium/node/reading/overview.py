"""The big screen (大屏): the space as visitors see it, from what is there and nothing else."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter
from sqlalchemy import Connection, select

from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.store import list_agreements
from consilium.federation.states import LIVE, StudyState
from consilium.ledger.tables import EVIDENCE
from consilium.node.reading.bands import band_of
from consilium.node.reading.network import show_member
from consilium.node.reading.shapes import titles_of
from consilium.node.reading.studies import StudyRow, list_rows
from consilium.node.rooms import Rooms
from consilium.web.paging import Shape
from consilium.web.seats import Scope

NEWEST = 12
NO_NEWS = ("session.", "person.acts")
"""Kinds of entries that tell a visitor nothing: who came, and what somebody was about to do."""


class MemberNow(Shape):
    """A member, and how many datasets it offers us."""

    participant: str
    title: str
    online: bool
    datasets: int


class StudiesNow(Shape):
    """Our studies."""

    running: int
    completed: int
    list: list[StudyRow]


class Contribution(Shape):
    """What a hospital has put into the models that are here."""

    participant: str
    title: str
    rounds: int
    agreements: int


class LatestEntry(Shape):
    """An entry of the log, by its kind alone."""

    time: str
    kind: str


class EvidenceNow(Shape):
    """The log."""

    entries: int
    latest: list[LatestEntry]


class Overview(Shape):
    """The space at a glance."""

    members: list[MemberNow]
    studies: StudiesNow
    models: int
    contributions: list[Contribution]
    evidence: EvidenceNow
    rows_band_total: str


def overview_router(rooms: Rooms) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["overview"])

    @router.get("/overview")
    def overview() -> Overview:
        """Show members, studies, models, contributions and evidence, as they are."""
        rooms.catalogue.look()
        with rooms.connector.database.read() as connection:
            rows = list_rows(connection, Scope(), me=rooms.connector.me)
            latest = _latest(connection)
            contributions = _contributions(rooms, connection)
        states = Counter(row.state for row in rows)
        return Overview(
            members=_members(rooms),
            studies=StudiesNow(
                running=sum(states[state] for state in LIVE),
                completed=states[StudyState.COMPLETED],
                list=rows[:NEWEST],
            ),
            models=len(rooms.reception.list_passports()),
            contributions=contributions,
            evidence=EvidenceNow(entries=rooms.connector.database.evidence.size, latest=latest),
            rows_band_total=band_of(_rows(rooms)),
        )

    return router


def _members(rooms: Rooms) -> list[MemberNow]:
    shown = [show_member(rooms, one) for one in rooms.directory.list_known() if one.admitted]
    return [
        MemberNow(
            participant=one.participant,
            title=one.title,
            online=one.online,
            datasets=rooms.catalogue.count_of(one.participant),
        )
        for one in shown
    ]


def _rows(rooms: Rooms) -> int:
    """Add up what catalogues show; a count that is not shown is not in it."""
    return sum(entry.count or 0 for entry in rooms.catalogue.list_entries())


def _contributions(rooms: Rooms, connection: Connection) -> list[Contribution]:
    rounds, titles = Counter[str](), titles_of(rooms.directory)
    for passport in rooms.reception.list_passports():
        for site in passport.sites:
            rounds[site.participant] += site.rounds
    standing = Counter[str](
        one.provider for one in list_agreements(connection) if one.state == FINALIZED
    )
    return [
        Contribution(
            participant=who,
            title=titles.get(who, who),  # type: ignore[call-overload]
            rounds=rounds[who],
            agreements=standing[who],
        )
        for who in sorted(rounds.keys() | standing.keys(), key=lambda one: (-rounds[one], one))
    ]


def _latest(connection: Connection) -> list[LatestEntry]:
    query = select(EVIDENCE.c.time, EVIDENCE.c.kind).order_by(EVIDENCE.c.seq.desc()).limit(NEWEST)
    for kind in NO_NEWS:
        query = query.where(~EVIDENCE.c.kind.startswith(kind, autoescape=True))
    return [LatestEntry(time=row.time, kind=row.kind) for row in connection.execute(query)]

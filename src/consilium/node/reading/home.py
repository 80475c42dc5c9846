"""Home: what waits for whoever looks, what runs, and what is not as it should be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from consilium.dataspace.governance import ENDS
from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.revoked import find_revocation
from consilium.dataspace.store import list_agreements, list_datasets
from consilium.federation.states import StudyState
from consilium.kernel.clock import read_time
from consilium.kernel.retelling import retell
from consilium.node.agreements import place_of_agreement
from consilium.node.reading.shapes import Record, Words, say, titles_of
from consilium.node.reading.studies import StudyRow, list_rows
from consilium.node.rooms import Rooms
from consilium.node.waiting import AGREEMENT, STUDY, describe
from consilium.persons.queue import is_in_charge, is_overdue
from consilium.persons.records import Person, QueueItem, Release, ReleaseState
from consilium.persons.roles import Action, may
from consilium.persons.store import list_consents, list_items, list_releases
from consilium.web.paging import Shape
from consilium.web.seats import Scope, Sight, Speaker

NEWEST = 5
SOON = timedelta(days=30)
"""What ends within so long is said."""
RECENT = timedelta(days=7)
"""A failed study is an alert for so long."""
LOW_SHARE, LOW_BYTES = 0.05, 2 << 30
_GB = 1 << 30


class WaitingItem(Shape):
    """Something that waits for whoever looks; `href` is its page."""

    id: str
    kind: str
    subject: str
    reason: str
    due: str
    role: str
    study: str
    organisation: str
    needed: int
    delegate: str
    delegated_by: str
    ruling: str
    settled_by: str
    settled_reason: str
    asked: str
    settled: str
    consented: list[str]
    overdue: bool
    about: Record
    title: str
    title_zh: str
    href: str


class Health(Shape):
    """How this node is."""

    ready: bool
    online: bool
    engine_running: bool
    disk_free_bytes: int
    disk_total_bytes: int
    evidence: int


class Alert(Words):
    """What is not as it should be, and the page where something can be done."""

    href: str


class Home(Shape):
    """The first page."""

    waiting: list[WaitingItem]
    releases: list[Record]
    studies: list[StudyRow]
    health: Health
    alerts: list[Alert]


def home_router(rooms: Rooms) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["home"])

    @router.get("/home")
    def home(sight: Sight, speaking: Speaker) -> Home:
        """Say what waits for whoever looks, what runs, and what is not as it should be."""
        person = speaking.seat.person if speaking.seat else None
        now, health = rooms.connector.clock.now(), health_of(rooms)
        look = _Look(rooms=rooms, sight=sight, person=person, now=now)
        with rooms.connector.database.read() as connection:
            waiting = look.waiting(connection)
            alerts = [
                *_node_alerts(health),
                *_overdue(waiting),
                *look.alerts(connection),
            ]
            return Home(
                waiting=waiting,
                releases=look.releases(connection),
                studies=list_rows(connection, sight, me=rooms.connector.me, newest=NEWEST),
                health=health,
                alerts=alerts,
            )

    return router


def health_of(rooms: Rooms) -> Health:
    """Say how a node is."""
    disk = shutil.disk_usage(rooms.home)
    online, engine = rooms.link.is_online(), rooms.engine.state.running
    return Health(
        ready=online and engine,
        online=online,
        engine_running=engine,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
        evidence=rooms.connector.database.evidence.size,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at the first page: whose, and when."""

    rooms: Rooms
    sight: Scope
    person: Person | None
    now: datetime

    def waiting(self, connection: Connection) -> list[WaitingItem]:
        """List what this person may settle, the most urgent first."""
        titles = titles_of(self.rooms.directory)
        return [
            self._item(connection, one, titles)
            for one in list_items(connection)
            if self._is_asked(connection, one)
        ]

    def _is_asked(self, connection: Connection, item: QueueItem) -> bool:
        if self.person is None:
            return True
        has_spoken = self.person.id in list_consents(connection, item.id)
        return is_in_charge(self.person, item) and not has_spoken

    def _item(
        self, connection: Connection, item: QueueItem, titles: Mapping[Any, str]
    ) -> WaitingItem:
        about = describe(connection, item)
        peer = str(about.get("peer", item.organisation))
        told = _title(item, about, titles.get(peer, peer))
        return WaitingItem(
            **asdict(item),
            consented=list(list_consents(connection, item.id)),
            overdue=is_overdue(item, self.now),
            about=about,
            title=told["en"],
            title_zh=told["zh"],
            href=f"/queue/{item.id}",
        )

    def releases(self, connection: Connection) -> list[Record]:
        """List the open requests for release that this person may approve and has not."""
        found = []
        for one in list_releases(connection):
            approved = list_consents(connection, one.id)
            is_open = one.state is ReleaseState.OPEN and self.now <= read_time(one.expires)
            if (
                is_open
                and self._may_approve(one)
                and (self.person is None or self.person.id not in approved)
            ):
                found.append({**asdict(one), "approved": approved})
        return found

    def _may_approve(self, release: Release) -> bool:
        return self.person is None or may(
            self.person,
            Action.APPROVE_RELEASE,
            study=release.study,
            organisation=release.organisation,
        )

    def alerts(self, connection: Connection) -> Iterator[Alert]:
        """Say what ends soon and what failed, as far as it is in sight."""
        yield from self._ending_agreements(connection)
        if self.sight.is_whole:
            yield from self._ending_approvals(connection)
        for row in list_rows(connection, self.sight, me=self.rooms.connector.me):
            if row.state == StudyState.FAILED and self.now - read_time(row.updated) < RECENT:
                yield _alert("console.study_failed", f"/studies/{row.id}", title=row.title)

    def _ending_agreements(self, connection: Connection) -> Iterator[Alert]:
        titles = titles_of(self.rooms.directory)
        for one in list_agreements(connection):
            ends = read_time(one.terms.not_after)
            study, organisations = place_of_agreement(one)
            is_near = self.now < ends < self.now + SOON and one.state == FINALIZED
            if not is_near or not self.sight.sees(study=study, organisations=organisations):
                continue
            if find_revocation(connection, one.id, role=one.role) is None:
                other = organisations[0]
                yield _alert(
                    "console.agreement_ends",
                    f"/agreements/{one.id}",
                    counterpart=titles.get(other, other),  # type: ignore[call-overload]
                    ends=one.terms.not_after[:10],
                )

    def _ending_approvals(self, connection: Connection) -> Iterator[Alert]:
        for one in list_datasets(connection):
            for what in ENDS:
                ends = one.governance.get(what)
                if ends and read_time(ends) < self.now + SOON:
                    facts = {"dataset": one.name, "what": what, "ends": ends[:10]}
                    yield _alert("console.approval_ends", f"/datasets/{one.name}", **facts)


def _node_alerts(health: Health) -> Iterator[Alert]:
    if not health.online:
        yield _alert("console.offline", "/nodes")
    if not health.engine_running:
        yield _alert("console.engine_down", "/nodes")
    free, total = health.disk_free_bytes, health.disk_total_bytes
    if free < max(LOW_BYTES, LOW_SHARE * total):
        yield _alert("console.disk_low", "/settings", free=free // _GB, total=total // _GB)


def _overdue(waiting: list[WaitingItem]) -> Iterator[Alert]:
    number = sum(one.overdue for one in waiting)
    if number:
        yield _alert("console.overdue", "/queue", number=number)


def _alert(code: str, href: str, **facts: Any) -> Alert:
    told = say(code, **facts)
    return Alert(code=told.code, en=told.en, zh=told.zh, href=href)


_TITLES = {AGREEMENT: "console.asks_agreement", STUDY: "console.asks_study"}


def _title(item: QueueItem, about: Mapping[str, Any], peer: str) -> dict[str, str]:
    code = _TITLES.get(item.kind)
    if code is None:
        return {"en": item.kind, "zh": item.kind}
    return retell(code, peer=peer, dataset=str(about.get("dataset", "")))

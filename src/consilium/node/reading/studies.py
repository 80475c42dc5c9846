"""Studies as screens show them: the list, one with its plan, its result, several compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from consilium.dataspace.records import Role
from consilium.dataspace.store import find_agreement
from consilium.federation.proposal import Draft
from consilium.federation.states import StudyState
from consilium.federation.store import count_rounds, get_study, list_events, list_studies
from consilium.gate.orders import Study, peek_study
from consilium.gate.plain import to_plain
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import InputError, NotFoundError, StateError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.node.marking import list_marks
from consilium.node.reading.agreements import AgreementRow, AgreementView
from consilium.node.reading.shapes import Record, StudyEvent, Words, say
from consilium.node.rooms import Rooms
from consilium.web.paging import Page, Paged, Place, Shape, take_page
from consilium.web.seats import Scope, Sight

MOST_COMPARED = 8
After = Annotated[int, Query(ge=0, le=2**62, description="Id of the last event known.")]
_SHOWN = tuple(item.name for item in fields(Draft))


class StudyRow(Shape):
    """A study in a list; `reason` is a code or words, `why` says it in both languages."""

    id: str
    title: str
    state: str
    created: str
    updated: str
    reason: str
    why: Words | None
    lead: str
    sites: int
    recipe: str
    round: int
    rounds: int


class Signed(Shape):
    """What the signed plan says beyond the draft."""

    digest: str
    recipe: str
    label: str
    target: Record
    fields: list[Record]
    privacy: Record | None
    created: str
    expires: str
    sites: list[Record]


class Plan(Shape):
    """What a study is to do. All but `signed` can begin another study like it."""

    title: str
    question: str
    purpose: str
    recipe: str
    rule: str
    rounds: int
    invite: list[Record]
    settings: Record
    rule_settings: Record
    privacy: Record
    quorum: int
    deadline_s: float
    seed: int
    days: int
    modalities: list[str]
    subgroups: list[str]
    secure: Record | None
    signed: Signed | None


class StudyDetail(StudyRow):
    """One study: its plan, its agreements, and what happened."""

    plan: Plan
    agreements: list[AgreementRow]
    marks: list[Record]
    events: list[StudyEvent]


class StudyNews(Shape):
    """Where a study stands, and what happened since."""

    state: str
    reason: str
    events: list[StudyEvent]


class Compared(Shape):
    """One study's result among others."""

    id: str
    title: str
    result: Record


class Comparison(Shape):
    """Results side by side."""

    studies: list[Compared]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a study without following it; `plan` once it is signed."""

    plan: Study | None
    draft: Mapping[str, Any]

    @property
    def invited(self) -> list[str]:
        """The hospitals of the draft."""
        return [str(wish["participant"]) for wish in self.draft.get("invite", ())]

    @property
    def rounds(self) -> int:
        """How many rounds it takes."""
        return int(self.draft.get("rounds", 0))


def know(row: Mapping[str, Any]) -> Known:
    """Read what a study's row holds."""
    draft: Any = read_json(row["draft"]) if row["draft"] else {}
    return Known(plan=peek_study(row["signed"]) if row["signed"] else None, draft=draft)


def find_seen(
    connection: Connection, study: str, sight: Scope, *, me: ParticipantId
) -> dict[str, Any]:
    """Return a study's row, if it is in sight.

    Raises
    ------
    NotFoundError
        `study.unknown`.
    """
    row = get_study(connection, StudyId(study))
    if not sight.sees(study=study, organisations=(me,)):
        raise NotFoundError("study.unknown", study=study[:80])
    return row


def list_rows(
    connection: Connection, sight: Scope, *, me: ParticipantId, newest: int | None = None
) -> list[StudyRow]:
    """List the studies in sight, the newest first."""
    rows = [
        row
        for row in reversed(list_studies(connection))
        if sight.sees(study=row["id"], organisations=(me,))
    ]
    closed = count_rounds(connection)
    return [show_row(row, closed.get(row["id"], 0)) for row in rows[:newest]]


def show_row(row: Mapping[str, Any], closed: int) -> StudyRow:
    """Show a study in a list; `closed` counts its rounds so far."""
    known = know(row)
    sites = known.plan.sites if known.plan else known.invited
    return StudyRow(
        id=row["id"],
        title=row["title"],
        state=row["state"],
        created=row["created"],
        updated=row["updated"],
        reason=row["reason"],
        why=say(row["reason"]) if row["reason"] else None,
        lead=row["lead"],
        sites=len(sites),
        recipe=str(known.draft.get("recipe", "")),
        round=min(closed, known.rounds),
        rounds=known.rounds,
    )


def result_of(row: Mapping[str, Any]) -> Record:
    """Return a study's result record.

    Raises
    ------
    StateError
        `study.not_finished`.
    """
    if not row["result"]:
        raise StateError("study.not_finished", now=row["state"], wanted=StudyState.COMPLETED)
    return dict(read_json(row["result"]))  # type: ignore[arg-type]


def studies_router(rooms: Rooms, agreements: AgreementView) -> APIRouter:
    """Make the routes that read studies."""
    router = APIRouter(tags=["studies"])
    database, me = rooms.connector.database, rooms.connector.me

    @router.get("/studies")
    def studies(ask: Paged, sight: Sight) -> Page[StudyRow]:
        """List the studies that this hospital leads, the newest first."""
        with database.read() as connection:
            found = list_rows(connection, sight, me=me)
        return take_page(found, ask, place=_place, show=lambda row: row, is_falling=True)

    @router.get("/studies/{study}")
    def study(study: str, sight: Sight, after: After = 0) -> StudyDetail:
        """Show one study; `after` is the last event that is known already."""
        with database.read() as connection:
            row = find_seen(connection, study, sight, me=me)
            closed = count_rounds(connection, StudyId(study)).get(study, 0)
            events = list_events(connection, StudyId(study), after=after)
            marks = list_marks(connection, StudyId(study))
            found = [
                agreements.show_row(one)
                for site in (peek_study(row["signed"]).sites if row["signed"] else ())
                if (one := find_agreement(connection, site.agreement, role=Role.CONSUMER))
            ]
        return StudyDetail(
            **show_row(row, closed).model_dump(),
            plan=_plan(know(row)),
            agreements=found,
            marks=marks,
            events=[StudyEvent(**event) for event in events],
        )

    @router.get("/studies/{study}/events")
    def news(study: str, sight: Sight, after: After = 0) -> StudyNews:
        """Tell what happened behind the event `after`: for whoever asks again and again."""
        with database.read() as connection:
            row = find_seen(connection, study, sight, me=me)
            events = list_events(connection, StudyId(study), after=after)
        told = [StudyEvent(**event) for event in events]
        return StudyNews(state=row["state"], reason=row["reason"], events=told)

    @router.get("/studies/{study}/result")
    def result(study: str, sight: Sight) -> Record:
        """Give a completed study's result record (docs/result-record.md)."""
        with database.read() as connection:
            return result_of(find_seen(connection, study, sight, me=me))

    @router.get("/studies/{study}/compare")
    def compare(
        study: str,
        sight: Sight,
        others: Annotated[str, Query(alias="with", max_length=2000)] = "",
    ) -> Comparison:
        """Put results of several studies side by side; `with` holds identifiers and commas."""
        wanted = dict.fromkeys([study, *filter(None, others.split(","))])
        if len(wanted) > MOST_COMPARED:
            raise InputError("console.too_many_compared", most=MOST_COMPARED)
        with database.read() as connection:
            rows = [find_seen(connection, one, sight, me=me) for one in wanted]
        return Comparison(
            studies=[
                Compared(id=row["id"], title=row["title"], result=result_of(row)) for row in rows
            ]
        )

    return router


def _place(one: StudyRow) -> Place:
    return (one.created, one.id)


def _plan(known: Known) -> Plan:
    draft = {name: known.draft[name] for name in _SHOWN if name in known.draft}
    return Plan(**draft, signed=_signed(known.plan) if known.plan else None)


def _signed(plan: Study) -> Signed:
    plain: Any = to_plain(plan)
    shown = ("participant", "dataset", "agreement", "lacks")
    return Signed(
        digest=plan.digest,
        recipe=f"{plan.recipe.name} {plan.recipe.version}",
        label=plan.label,
        target=plain["target"],
        fields=[
            {name: need[name] for name in ("name", "kind", "unit")} for need in plain["features"]
        ],
        privacy=plain["privacy"],
        created=plan.created,
        expires=plan.expires,
        sites=[{name: site[name] for name in shown} for site in plain["sites"]],
    )

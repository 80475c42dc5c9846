"""Agreements as screens show them: the list, one with signatures and history, two compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from consilium.dataspace.records import Agreement, Negotiation, Role
from consilium.dataspace.sentences import sentences_of
from consilium.dataspace.standing import describe_standing
from consilium.dataspace.store import find_agreement, find_process, list_agreements, list_datasets
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import AgreementId
from consilium.node.agreements import Shelf, place_of_agreement
from consilium.node.reading.shapes import Record, Said, TermWords, titles_of
from consilium.node.rooms import Rooms
from consilium.web.paging import Page, Paged, Place, Shape, take_page
from consilium.web.seats import Scope, Sight


class Revocation(Shape):
    """Who ended an agreement, when and why."""

    by: str
    time: str
    reason: str
    person: str
    counterpart_told: bool


class AgreementRow(Shape):
    """An agreement, with its terms in words and as ODRL."""

    id: str
    role: str
    dataset: str
    dataset_title: str
    provider: str
    provider_title: str
    provider_key: str
    consumer: str
    consumer_title: str
    consumer_key: str
    policy: Record
    terms: Record
    negotiation: str
    state: str
    agreed: str
    words: list[TermWords]
    contract_id: str | None
    contract_placeholder: bool | None
    revocation: Revocation | None


class Signature(Shape):
    """Whose key stands behind an agreement."""

    participant: str
    role: str
    time: str
    key: str


class HistoryStep(Shape):
    """One step of the negotiation: who brought it into which state."""

    state: str
    sender: str
    code: str
    reason: str
    at: str


class AgreementDetail(AgreementRow):
    """An agreement with who signed it and how it came about."""

    signatures: list[Signature]
    history: list[HistoryStep]


class TermChange(Shape):
    """One term that differs; null where one side does not have it."""

    term: str
    before: Said | None
    after: Said | None


class AgreementDiff(Shape):
    """What another agreement says otherwise."""

    changed: list[TermChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """Shows agreements."""

    rooms: Rooms
    shelf: Shelf

    def show_row(self, agreement: Agreement) -> AgreementRow:
        """Show one in a list."""
        with self.rooms.connector.database.read() as connection:
            shown = self.shelf.show(connection, agreement)
        titles = titles_of(self.rooms.directory)
        return AgreementRow(
            **shown,
            dataset_title=self._title(agreement),
            provider_title=titles.get(agreement.provider, agreement.provider),
            consumer_title=titles.get(agreement.consumer, agreement.consumer),
        )

    def show(self, connection: Connection, agreement: Agreement) -> AgreementDetail:
        """Show one with signatures and history."""
        process = find_process(connection, Negotiation, agreement.negotiation)
        history = describe_standing(connection, process).history if process else ()
        keys = {Role.PROVIDER: agreement.provider_key, Role.CONSUMER: agreement.consumer_key}
        who = {Role.PROVIDER: agreement.provider, Role.CONSUMER: agreement.consumer}
        return AgreementDetail(
            **self.show_row(agreement).model_dump(),
            signatures=[
                Signature(participant=who[role], role=role, time=agreement.agreed, key=keys[role])
                for role in Role
            ],
            history=[
                HistoryStep(
                    state=one.state, sender=one.sender, code=one.code, reason=one.reason, at=one.at
                )
                for one in history
            ],
        )

    def compare(self, one: Agreement, other: Agreement) -> AgreementDiff:
        """Say which terms differ, in words."""
        before, after = (
            {each.term: each for each in sentences_of(side.terms, recipes=self.shelf.recipes)}
            for side in (one, other)
        )
        return AgreementDiff(
            changed=[
                TermChange(term=term, before=_said(before.get(term)), after=_said(after.get(term)))
                for term in {**before, **after}
                if before.get(term) != after.get(term)
            ]
        )

    def _title(self, agreement: Agreement) -> str:
        """Name the dataset as its hospital does, if that is known."""
        if agreement.role is Role.PROVIDER:
            with self.rooms.connector.database.read() as connection:
                own = {each.id: each.title for each in list_datasets(connection)}
            return own.get(agreement.dataset, agreement.dataset)
        entry = self.rooms.catalogue.find(agreement.provider, agreement.dataset)
        return entry.listing.title if entry else agreement.dataset


def agreements_reading(rooms: Rooms, view: AgreementView) -> APIRouter:
    """Make the routes that read agreements."""
    router = APIRouter(tags=["agreements"])
    database = rooms.connector.database

    @router.get("/agreements")
    def agreements(ask: Paged, sight: Sight) -> Page[AgreementRow]:
        """List this hospital's agreements in both roles, the newest first."""
        with database.read() as connection:
            found = [one for one in list_agreements(connection) if _is_seen(one, sight)]
        found.sort(key=_place, reverse=True)
        return take_page(found, ask, place=_place, show=view.show_row, is_falling=True)

    @router.get("/agreements/{agreement}")
    def agreement(agreement: str, sight: Sight, role: Role | None = None) -> AgreementDetail:
        """Show one agreement, whichever side of it this hospital is on."""
        with database.read() as connection:
            return view.show(connection, _get(connection, agreement, sight, role=role))

    @router.get("/agreements/{agreement}/compare/{other}")
    def compare(agreement: str, other: str, sight: Sight) -> AgreementDiff:
        """Say which terms of another agreement differ."""
        with database.read() as connection:
            both = [_get(connection, one, sight) for one in (agreement, other)]
        return view.compare(*both)

    return router


def _get(
    connection: Connection, agreement: str, sight: Scope, *, role: Role | None = None
) -> Agreement:
    """Return an agreement in sight; of one with ourselves the consumer's side.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`.
    """
    for side in (role,) if role else (Role.CONSUMER, Role.PROVIDER):
        found = find_agreement(connection, AgreementId(agreement), role=side)
        if found is not None and _is_seen(found, sight):
            return found
    raise NotFoundError("dataspace.no_agreement", agreement=agreement[:200])


def _is_seen(agreement: Agreement, sight: Scope) -> bool:
    study, organisations = place_of_agreement(agreement)
    return sight.sees(study=study, organisations=organisations)


def _place(one: Agreement) -> Place:
    return (one.agreed, one.id, one.role)


def _said(sentence: Any) -> Said | None:
    return None if sentence is None else Said(en=sentence.en, zh=sentence.zh)

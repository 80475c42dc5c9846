"""The node's routes about offers and agreements: finding, asking, reading, ending, what is left."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.connector import Connector
from consilium.dataspace.contract_id import is_placeholder
from consilium.dataspace.records import Agreement, Role, Terms
from consilium.dataspace.revocation import REVOKED, find_revocation, is_told, revoke
from consilium.dataspace.sentences import sentences_of
from consilium.dataspace.store import get_agreement
from consilium.federation.proposal import Wish
from consilium.federation.recruitment import agree, find_listing
from consilium.gate.spending import list_budgets
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import AgreementId, ParticipantId
from consilium.node.answers import AgreementShown, BudgetsShown
from consilium.node.directory import HubDirectory
from consilium.web.seats import Speaker

_AT_ONCE = 16
"""Members that are asked for their catalogues at the same time."""


class AgreementWish(BaseModel):
    """With whom to agree, on which of its datasets; `offer` if no other is meant."""

    model_config = ConfigDict(extra="forbid")
    participant: str
    dataset: str
    offer: str = ""


class RevocationWish(BaseModel):
    """Why an agreement is to end, and who asks for it."""

    model_config = ConfigDict(extra="forbid")
    reason: str
    person: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Shows agreements as people and programs read them.

    `recipes` gives the name of each computation that is installed here by its
    digest, so that terms can be said in words.
    """

    connector: Connector
    directory: HubDirectory
    recipes: Mapping[str, str]

    def show(self, connection: Connection, agreement: Agreement) -> dict[str, Any]:
        """Show one: terms in words, contract id, and who ended it, when and why."""
        words = {"words": self.say(agreement.terms)}
        shown = asdict(agreement) | words | self._contract(agreement)
        mark = find_revocation(connection, agreement.id, role=agreement.role)
        if mark is None:
            return shown | {"revocation": None}
        told = {
            "by": mark.by,
            "time": mark.time,
            "reason": mark.reason,
            "person": mark.person,
            "counterpart_told": is_told(connection, mark),
        }
        return shown | {"state": REVOKED, "revocation": told}

    def say(self, terms: Terms) -> list[dict[str, str]]:
        """Say terms in sentences, with the names of the recipes that are installed here."""
        return [asdict(sentence) for sentence in sentences_of(terms, recipes=self.recipes)]

    def catalog(self) -> list[dict[str, Any]]:
        """Ask every member for its catalogue, many at once."""
        entries = [entry for entry in self.directory.list_entries() if entry.admitted]
        found = {entry.identity.participant: entry.identity.title for entry in entries}
        if not found:
            return []
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(found))) as pool:
            return list(pool.map(self._ask_catalog, found.keys(), found.values()))

    def _ask_catalog(self, who: ParticipantId, title: str) -> dict[str, Any]:
        """Ask one member; a member that does not answer is shown with the reason."""
        shown: dict[str, Any] = {"participant": who, "title": title, "datasets": []}
        try:
            listings = request_catalog(self.connector, who)
        except ConsiliumError as error:
            return shown | {"error": error.as_record()}
        found = [one.as_record() | {"words": self.say(one.terms)} for one in listings]
        return shown | {"datasets": found}

    def _contract(self, agreement: Agreement) -> dict[str, Any]:
        """Give the 47-character contract id, once the hub's register is known."""
        register = self.directory.find_register()
        contract = register.id_of(agreement) if register else None
        placeholder = is_placeholder(contract) if contract else None
        return {"contract_id": contract, "contract_placeholder": placeholder}


def agreements_router(shelf: Shelf) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["agreements"])
    connector = shelf.connector

    @router.get("/catalog/members")
    def catalog() -> list[dict[str, Any]]:
        return shelf.catalog()

    @router.post("/agreements", response_model=AgreementShown)
    def request(wish: AgreementWish) -> dict[str, Any]:
        wanted = Wish(participant=ParticipantId(wish.participant), dataset=wish.dataset)
        agreed = agree(connector, find_listing(connector, wanted, offer=wish.offer))
        with connector.database.read() as connection:
            return shelf.show(connection, agreed)

    @router.post("/agreements/{agreement}/revocation", response_model=AgreementShown)
    def end(agreement: str, wish: RevocationWish, speaking: Speaker) -> dict[str, Any]:
        name, seat = AgreementId(agreement), speaking.seat
        person = wish.person if seat is None else seat.person.id
        mark = revoke(connector, name, reason=wish.reason, person=person)
        with connector.database.read() as connection:
            return shelf.show(connection, get_agreement(connection, name, role=mark.role))

    @router.get("/budgets", response_model=BudgetsShown)
    def budgets() -> dict[str, Any]:
        with connector.database.read() as connection:
            return list_budgets(connection)

    return router


def place_of_agreement(agreement: Agreement) -> tuple[str, tuple[str, ...]]:
    """Say to whom an agreement belongs: its other party, ourselves with ourselves."""
    is_asked = agreement.role is Role.PROVIDER
    return "", (agreement.consumer if is_asked else agreement.provider,)

"""Routes of the node's local API that list, start and steer negotiations and transfers.

Either role, every step that the protocol lets our side take. Each process is
shown with its history, what it waits for and, where a message cannot be
delivered, the last error and the next try.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.connector import Connector
from consilium.dataspace.datasets import get_dataset
from consilium.dataspace.machines import ACCEPTED, AGREED, FINALIZED, VERIFIED
from consilium.dataspace.policy import terms_of
from consilium.dataspace.records import Negotiation, Process, Role, Terms, Transfer
from consilium.dataspace.standing import WaitsFor, describe_standing
from consilium.dataspace.store import get_process, list_processes
from consilium.federation.proposal import Wish
from consilium.federation.recruitment import find_listing
from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import InputError, texts
from consilium.kernel.identifiers import AgreementId, ParticipantId, ProcessId
from consilium.node.answers import (
    NegotiationDetail,
    NegotiationShown,
    ProcessShown,
    TransferDetail,
    TransferShown,
)

ReadTerms = Callable[[Mapping[str, Any]], Terms]
_NEGOTIATION_STEPS = {
    "accept": ACCEPTED,
    "agree": AGREED,
    "verify": VERIFIED,
    "finalize": FINALIZED,
}
_BRIEF = ("pid", "peer_pid", "role", "peer", "state", "code", "reason", "created", "updated")
_NEGOTIATION_KEYS = (*_BRIEF, "dataset", "offer", "agreement")
_TRANSFER_KEYS = (*_BRIEF, "agreement", "study", "study_digest", "holder", "data_address")


class Body(BaseModel):
    """What a person gives; anything else is refused."""

    model_config = ConfigDict(extra="forbid")


class NegotiationWish(Body):
    """With whom to negotiate, on which dataset; `terms` holds what is to differ."""

    participant: str
    dataset: str
    offer: str = ""
    terms: dict[str, Any] = Field(default_factory=dict)


class Counter(Body):
    """What is to differ from the terms on the table."""

    terms: dict[str, Any] = Field(default_factory=dict)


class Why(Body):
    """Why a process is ended or paused; it is told to the peer."""

    code: str = Field(default="local.decision", min_length=1, max_length=80)
    reason: str = Field(default="", max_length=300)


class TransferWish(Body):
    """Under which agreement to open which signed study, and where the aggregator is."""

    agreement: str
    study: str
    endpoint: str
    properties: dict[str, str] = Field(default_factory=dict)


def management_router(connector: Connector, *, read_terms: ReadTerms) -> APIRouter:
    """Make the routes.

    Parameters
    ----------
    connector : Connector
        This hospital's.
    read_terms : callable
        Reads terms as a person writes them.
    """
    router = APIRouter(tags=["negotiations", "transfers"])
    for noun, kind, shown, whole in (
        ("negotiations", Negotiation, NegotiationShown, NegotiationDetail),
        ("transfers", Transfer, TransferShown, TransferDetail),
    ):
        _add_reading(router, connector, (noun, kind), shown=shown, whole=whole)
    _add_opening(router, connector, read_terms)
    _add_negotiation_steps(router, connector, read_terms)
    _add_transfer_steps(router, connector)
    return router


def _add_reading(
    router: APIRouter,
    connector: Connector,
    named: tuple[str, type[Negotiation] | type[Transfer]],
    *,
    shown: type[ProcessShown],
    whole: type[ProcessShown],
) -> None:
    noun, kind = named

    @router.get(f"/{noun}", name=f"list_{noun}", response_model=list[shown])  # type: ignore[valid-type]
    def processes(
        role: Role | None = None, state: str = "", waits_for: WaitsFor | None = None
    ) -> list[dict[str, Any]]:
        with connector.database.read() as connection:
            found = [
                _show(connection, one)
                for one in list_processes(connection, kind, role=role)
                if state in ("", one.state)
            ]
        return [one for one in found if waits_for in (None, one["waits_for"])]

    @router.get(f"/{noun}/{{pid}}", name=f"show_{noun}", response_model=whole)
    def process(pid: str) -> dict[str, Any]:
        with connector.database.read() as connection:
            return _show_whole(connection, get_process(connection, kind, pid))


def _add_opening(router: APIRouter, connector: Connector, read_terms: ReadTerms) -> None:
    @router.post("/negotiations/request")
    def request(wish: NegotiationWish) -> dict[str, Any]:
        wanted = Wish(participant=ParticipantId(wish.participant), dataset=wish.dataset)
        listing = find_listing(connector, wanted, offer=wish.offer)
        terms = _changed(listing.terms, wish.terms, read_terms)
        opened = negotiation.request_agreement(
            connector,
            listing.participant,
            dataset=listing.dataset,
            offer=listing.offer,
            terms=terms,
        )
        return _record(opened)

    @router.post("/negotiations/offer")
    def offer(wish: NegotiationWish) -> dict[str, Any]:
        with connector.database.read() as connection:
            dataset = get_dataset(connection, wish.dataset)
        if wish.offer not in ("", dataset.offer):
            raise InputError("dataspace.bad_message", message="offer", place="offer")
        terms = _changed(dataset.terms, wish.terms, read_terms)
        opened = negotiation.offer_agreement(
            connector, ParticipantId(wish.participant), dataset=wish.dataset, terms=terms
        )
        return _record(opened)

    @router.post("/transfers/request")
    def open_transfer(wish: TransferWish) -> dict[str, Any]:
        opened = transfer.request_transfer(
            connector,
            AgreementId(wish.agreement),
            signed_study=wish.study,
            endpoint=wish.endpoint,
            properties=wish.properties,
        )
        return _record(opened)


def _add_negotiation_steps(router: APIRouter, connector: Connector, read_terms: ReadTerms) -> None:
    @router.post("/negotiations/{pid}/counter")
    def counter(pid: str, wish: Counter) -> dict[str, Any]:
        with connector.database.read() as connection:
            process = get_process(connection, Negotiation, pid)
        terms = read_terms(_plain(terms_of(process.policy)) | wish.terms)
        return _record(negotiation.counter(connector, process.pid, terms=terms))

    @router.post("/negotiations/{pid}/terminate")
    def terminate(pid: str, why: Why) -> dict[str, Any]:
        return _record(
            negotiation.terminate(connector, ProcessId(pid), code=why.code, reason=why.reason)
        )

    def add_step(verb: str, to: str) -> None:
        @router.post(f"/negotiations/{{pid}}/{verb}", name=verb)
        def step(pid: str) -> dict[str, Any]:
            return _record(negotiation.take(connector, ProcessId(pid), to=to))

    for verb, to in _NEGOTIATION_STEPS.items():
        add_step(verb, to)


def _add_transfer_steps(router: APIRouter, connector: Connector) -> None:
    @router.post("/transfers/{pid}/suspend")
    def suspend(pid: str, why: Why) -> dict[str, Any]:
        found = transfer.suspend(connector, ProcessId(pid), code=why.code, reason=why.reason)
        return _record(found)

    @router.post("/transfers/{pid}/terminate", name="terminate_transfer")
    def terminate(pid: str, why: Why) -> dict[str, Any]:
        found = transfer.terminate(connector, ProcessId(pid), code=why.code, reason=why.reason)
        return _record(found)

    def add_step(verb: str, take: Callable[[Connector, ProcessId], Transfer]) -> None:
        @router.post(f"/transfers/{{pid}}/{verb}", name=f"{verb}_transfer")
        def step(pid: str) -> dict[str, Any]:
            return _record(take(connector, ProcessId(pid)))

    add_step("start", transfer.start)
    add_step("resume", transfer.resume)
    add_step("complete", transfer.complete)


def _changed(terms: Terms, changes: Mapping[str, Any], read_terms: ReadTerms) -> Terms | None:
    """Return the terms with a person's changes; None if there are none."""
    return read_terms({**_plain(terms), **changes}) if changes else None


def _plain(terms: Terms) -> dict[str, Any]:
    plain: Any = read_json(canonical_bytes(asdict(terms)))
    return {name: value for name, value in plain.items() if value is not None}


def _record(process: Process) -> dict[str, Any]:
    keys = _NEGOTIATION_KEYS if isinstance(process, Negotiation) else _TRANSFER_KEYS
    return {name: getattr(process, name) for name in keys}


def _show(connection: Connection, process: Process) -> dict[str, Any]:
    """Show a process with what it waits for, and why nothing moves."""
    standing = describe_standing(connection, process)
    first = standing.undelivered[0] if standing.undelivered else None
    stuck = None
    if first is not None:
        stuck = {**asdict(first), **_words(first.error)}
    return {**_record(process), "waits_for": standing.waits_for, "stuck": stuck}


def _show_whole(connection: Connection, process: Process) -> dict[str, Any]:
    standing = describe_standing(connection, process)
    found = _show(connection, process)
    if isinstance(process, Negotiation):
        found["policy"] = process.policy
    history = [asdict(moved) for moved in standing.history]
    return {**found, "history": history, "undelivered": [asdict(it) for it in standing.undelivered]}


def _words(code: str) -> dict[str, str]:
    """Say in words what a code of the house is about; its page says more."""
    entry = texts().get(code)
    return {"why": str(entry["why"]) if entry and "why" in entry else code}

"""The hub's two faces: the one that members see, and the office's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from consilium.dataspace.wire.boundary import report_errors
from consilium.federation.store import list_studies
from consilium.hub.door import BodyLimit, Door, Pace
from consilium.hub.engine import HubEngine
from consilium.hub.joining import JoiningCounter, joining_router
from consilium.hub.members import Members
from consilium.hub.relay import Relay, relay_router
from consilium.hub.settings import HubSettings
from consilium.hub.studies import StudyCounter, studies_router
from consilium.hub.witness import last_witnessed, log_router, witness_router
from consilium.kernel.identifiers import ParticipantId
from consilium.kernel.version import __version__
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.database import Database
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import Witness

LARGEST_SUBMISSION = 1 << 30
"""Bytes of a study with its starting model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Everything behind the hub's face."""

    settings: HubSettings
    door: Door
    joining: JoiningCounter
    members: Members
    relay: Relay
    witness: Witness
    studies: StudyCounter
    database: Database
    tiles: LogTiles
    cosignatures: Cosignatures


def make_app(counters: Counters) -> FastAPI:
    """Make what members see over HTTPS."""
    app = FastAPI(title="Consilium hub", version=__version__, openapi_url=None)
    report_errors(app)
    sender, limits = counters.door.sender, counters.settings.relay
    app.include_router(
        joining_router(
            counters.joining,
            sender=sender,
            pace=Pace(limits.joins_per_minute),
            seen_s=counters.relay.seen_s,
        )
    )
    app.include_router(
        relay_router(
            counters.relay,
            door=counters.door,
            is_member=counters.members.is_admitted,
        )
    )
    app.include_router(witness_router(counters.witness, counters.database, sender=sender))
    app.include_router(
        log_router(
            counters.tiles, counters.cosignatures, key_of=counters.members.key_of, sender=sender
        )
    )
    app.include_router(studies_router(counters.studies, sender=sender))
    body = limits.body_bytes
    app.add_middleware(
        BodyLimit,
        limits={
            "/members/": body,
            "/relay/answers/": 2 * body,
            "/studies": LARGEST_SUBMISSION,
        },
    )
    return app


def make_office(
    counters: Counters,
    *,
    database: Database,
    engine: HubEngine,
    refresh: Callable[[], object],
) -> FastAPI:
    """Make what the office sees on the hub's own socket.

    Inviting and revoking are not here: the office asks the signer itself, and
    the hub's process never holds that right. What it offers is to look at once
    (`refresh`) at what the signer has been told.
    """
    app = FastAPI(title="Consilium hub office", version=__version__)
    report_errors(app)

    @app.get("/members")
    def members() -> list[dict[str, Any]]:
        return [
            {
                "name": member.name,
                "participant": member.participant,
                "title": member.title,
                "state": member.state.value,
                "online": counters.relay.is_online(member.name),
                "joined": member.joined,
            }
            for member in counters.members.list_all()
        ]

    @app.post("/members/refresh")
    def look() -> dict[str, Any]:
        refresh()
        return {}

    @app.get("/studies")
    def studies() -> list[dict[str, Any]]:
        with database.read() as connection:
            rows = list_studies(connection)
        kept = ("id", "state", "title", "lead", "created", "updated", "reason")
        return [{name: row[name] for name in kept} for row in rows]

    @app.get("/witness/{member}")
    def witnessed(member: str) -> dict[str, Any]:
        return last_witnessed(database, ParticipantId(member))

    @app.get("/status")
    def status() -> dict[str, Any]:
        child = engine.child.state
        return {
            "ready": child.running,
            "space": counters.settings.hub.space,
            "title": counters.settings.hub.title,
            "address": counters.settings.address,
            "engine": {"running": child.running, "restarts": child.restarts, "pid": child.pid},
            "sites": sorted(engine.port.sites()),
            "evidence": database.evidence.size,
        }

    return app

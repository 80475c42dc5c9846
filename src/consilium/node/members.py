"""Routes of the node's local API about other members: the list, and accepting a changed key."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from consilium.kernel.identifiers import ParticipantId
from consilium.node.answers import MemberShown
from consilium.node.directory import HubDirectory, describe_entry


class AcceptedKey(BaseModel):
    """Whose key a person has compared with the hospital, and its fingerprint."""

    model_config = ConfigDict(extra="forbid")
    participant: str
    fingerprint: str


def members_router(directory: HubDirectory) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/members", tags=["members"])

    @router.get("", response_model=list[MemberShown])
    def members() -> list[dict[str, Any]]:
        return [dict(describe_entry(entry)) for entry in directory.list_entries()]

    @router.post("/key")
    def accept(key: AcceptedKey) -> dict[str, Any]:
        directory.accept_key(ParticipantId(key.participant), key.fingerprint)
        return {"participant": key.participant, "fingerprint": key.fingerprint}

    return router

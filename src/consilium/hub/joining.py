"""Routes by which a hospital enters and stays: root, join, renew, member list.

The hub only passes join and renewal requests on: it can neither read a token's
secret nor alter what is asked. Strangers reach `/root`, `/join` and `/renew`;
these take small bodies at a bounded pace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from consilium.hub.door import Pace
from consilium.hub.members import Members
from consilium.kernel.errors import IntegrityError
from consilium.kernel.identifiers import ParticipantId

_LONGEST = 1 << 15


class Certifier(Protocol):
    """Passes requests on to the signer: over its socket, or within one process."""

    def redeem(self, statement: str) -> dict[str, Any]:
        """Redeem a join token."""
        ...

    def renew(self, statement: str) -> dict[str, Any]:
        """Renew a member's certificates."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAddress:
    """Where sites find the engine's server, and by which name it proves itself."""

    host: str
    port: int
    server_name: str
    project: str


class SignedRequest(BaseModel):
    """A statement of kind `join` (by the token's key) or `renewal` (by the member's)."""

    model_config = ConfigDict(extra="forbid")
    statement: str = Field(max_length=_LONGEST)


class Certificates(BaseModel):
    """What a member gets: its two certificates, the root and the hub's own, all PEM."""

    name: str
    title: str
    participant: str
    engine: str
    root: str
    hub: str
    engine_address: dict[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoiningCounter:
    """What the hub does when somebody asks for certificates."""

    certifier: Certifier
    members: Members
    root: str
    hub_certificate: Callable[[], str]
    engine: EngineAddress

    def join(self, request: SignedRequest) -> Certificates:
        """Pass a join request on, and list the new member; repeatable."""
        return self._enter(self.certifier.redeem(request.statement))

    def renew(self, request: SignedRequest) -> Certificates:
        """Pass a renewal on, and take the fresh certificate over; repeatable."""
        return self._enter(self.certifier.renew(request.statement))

    def _enter(self, answer: dict[str, Any]) -> Certificates:
        identity = self.members.enter(str(answer["participant"]))
        if identity.name != answer["name"]:
            raise IntegrityError("link.untrusted_certificate", name=identity.name)
        return Certificates(
            **answer,
            root=self.root,
            hub=self.hub_certificate(),
            engine_address=asdict(self.engine),
        )


def joining_router(
    counter: JoiningCounter,
    *,
    sender: Callable[..., Any],
    pace: Pace,
    seen_s: Callable[[str], float | None] = lambda _name: None,
) -> APIRouter:
    """Make the routes.

    Parameters
    ----------
    sender : callable
        The dependency that tells which member asks.
    seen_s : callable, optional
        Says how many seconds ago a member was heard of, for people to look at.
    """
    router = APIRouter(tags=["members"])
    member = Depends(sender)

    @router.get("/root", response_class=PlainTextResponse)
    def root() -> str:
        pace.take()
        return counter.root

    @router.post("/join")
    def join(request: SignedRequest) -> Certificates:
        pace.take()
        return counter.join(request)

    @router.post("/renew")
    def renew(request: SignedRequest) -> Certificates:
        pace.take()
        return counter.renew(request)

    @router.get("/members")
    def members(who: ParticipantId = member) -> dict[str, Any]:  # noqa: ARG001  (any member)
        names = {one.participant: one.name for one in counter.members.list_all()}
        seen = {who: seen_s(name) for who, name in names.items()}
        heard = {who: round(ago, 1) for who, ago in seen.items() if ago is not None}
        return {**counter.members.signed_list(), "seen": heard}

    return router

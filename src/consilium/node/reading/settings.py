"""Settings as people read them: what holds at this node, and where it is set."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from consilium.kernel.version import __version__
from consilium.node.membership import FILE
from consilium.node.reading.shapes import Record
from consilium.node.rooms import Rooms
from consilium.web.paging import Shape

_SECRET = ("database", "proxy_login", "certificate_key")
"""Settings that may name a secret, or the way to one; only whether they are set is shown."""
LANGUAGES = ("zh", "en")


class ApprovalRules(Shape):
    """Where a person's word is wanted."""

    agreements: str
    studies: str
    exports: str
    due_hours: int
    release_days: int


class Settings(Shape):
    """What holds at this node. Everything is set in `file`, and read at the node's start."""

    language: str
    languages: list[str]
    console: Record
    approvals: ApprovalRules
    node: Record
    version: str
    file: str


def settings_router(rooms: Rooms) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["settings"])

    @router.get("/settings")
    def settings() -> Settings:
        """Show what holds at this node; nothing secret is among it."""
        member = rooms.membership
        node = asdict(rooms.settings)
        shown = {name: value for name, value in node.items() if name not in _SECRET}
        hidden = {name: "set" if node.get(name) else "" for name in _SECRET if name in node}
        who = {name: getattr(member, name) for name in ("space", "name", "title", "hub")}
        return Settings(
            language=LANGUAGES[0],
            languages=list(LANGUAGES),
            console=_console(rooms),
            approvals=ApprovalRules(**asdict(rooms.reception.settings)),
            node={**who, **shown, **hidden},
            version=__version__,
            file=str(rooms.home / FILE),
        )

    return router


def _console(rooms: Rooms) -> Record:
    found = asdict(rooms.console)
    return {**found, "certificate_key": "set" if found["certificate_key"] else ""}

"""The node's own evidence, for its user: entries, checkpoints, tiles, proofs, exports."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import NotFoundError
from consilium.ledger.database import Database
from consilium.ledger.exports import Exporter, Selection
from consilium.ledger.tiles import LogTiles
from consilium.node.answers import CheckpointShown, EntryProofShown, ExportShown
from consilium.web.seats import Speaker, Speaking

_NAME = re.compile(r"sha256:([0-9a-f]{64})")
_NOBODY = Speaking()
Seq = Annotated[int, InPath(ge=0, le=2**62)]

Release = Callable[[Digest, Speaking], None]
"""Called with an export's digest and who asks before the export is handed out;
raises `DeniedError` if it must not leave."""


class ExportWish(BaseModel):
    """Which entries: places `first` to `last`, or all that name `subject`."""

    model_config = ConfigDict(extra="forbid")
    first: int | None = Field(default=None, ge=1)
    last: int | None = Field(default=None, ge=1)
    subject: str = Field(default="", max_length=500)


def _release_freely(_digest: Digest, _speaking: Speaking) -> None:
    """Let every export out: the node's own user asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceDesk:
    """What the routes need.

    `folder` keeps the exports that were made. `release` is the one place where
    a rule about who may take evidence out of the node, such as the consent of
    a second person, is asked.
    """

    database: Database
    tiles: LogTiles
    exporter: Exporter
    folder: Path
    refresh: Callable[[], object] = lambda: None
    release: Release = _release_freely

    def make(self, wish: ExportWish) -> dict[str, Json]:
        """Make an export; it stays in the node's folder, and evidence says that it was made."""
        self.refresh()
        selection = Selection(first=wish.first, last=wish.last, subject=wish.subject)
        made = self.exporter.write(selection, self.folder / "new.zip")
        made.path.replace(self._path(made.digest))
        with self.database.write() as tx:
            tx.record("export.made", made.digest, made.as_record() | selection.as_record())
        return made.as_record()

    def hand_out(self, digest: str, *, speaking: Speaking = _NOBODY) -> Path:
        """Let an export out, and say so in the log first.

        Raises
        ------
        NotFoundError
            `node.no_export`.
        DeniedError
            What `release` says.
        """
        path = self._path(digest)
        if not path.is_file():
            raise NotFoundError("node.no_export", digest=digest[:80])
        self.release(Digest(digest), speaking)
        with self.database.write() as tx:
            tx.record("export.released", digest, {"digest": digest})
        return path

    def _path(self, digest: str) -> Path:
        found = _NAME.fullmatch(digest)
        if found is None:
            raise NotFoundError("node.no_export", digest=digest[:80])
        return self.folder / f"{found[1]}.zip"


_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}


def add_evidence(app: FastAPI, desk: EvidenceDesk) -> None:
    """Add the routes to the node's local API."""
    log = desk.database.evidence

    @app.get("/evidence/checkpoint", response_model=CheckpointShown)
    def checkpoint() -> dict[str, Any]:
        return {"checkpoint": log.checkpoint()}

    @app.get("/evidence/{seq}/proof", response_model=EntryProofShown)
    def prove(seq: Seq) -> dict[str, Any]:
        desk.refresh()
        return dict(desk.exporter.prove(seq).as_record())

    @app.post("/evidence/exports", response_model=ExportShown)
    def export(wish: ExportWish) -> dict[str, Any]:
        return dict(desk.make(wish))

    @app.get("/evidence/exports/{digest}", response_class=FileResponse, responses=_FILE)
    def fetch(digest: str, speaking: Speaker) -> FileResponse:
        path = desk.hand_out(digest, speaking=speaking)
        return FileResponse(path, media_type="application/zip")

    @app.get("/log/checkpoint")
    def log_checkpoint() -> Response:
        note = desk.tiles.checkpoint().text
        return Response(note, media_type="text/plain; charset=utf-8")

    @app.get("/log/tile/{path:path}")
    def log_tile(path: str) -> Response:
        return Response(desk.tiles.read(f"tile/{path}"), media_type="application/octet-stream")

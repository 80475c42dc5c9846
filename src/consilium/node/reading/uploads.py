"""Uploads: a table that a browser sends goes the way of every dataset, then the copy is gone.

The file is written into a folder of its own in the node's home, read in by a
process of its own like any source, and removed when that has ended, however it
ended. What stays is the array file, as for a source that lies on the machine.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from consilium.kernel.errors import InputError, StateError
from consilium.node.registration import Registration
from consilium.node.rooms import Rooms
from consilium.node.tasks import Report, Task, Work
from consilium.web.paging import Shape

UPLOADS = "uploads"
"""Folder in the node's home."""
MOST_BYTES = 512 << 20
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".npz")
_EXTRA_BYTES = 4 << 20
"""Room for the description beside the file."""
_MB = 1 << 20


class About(BaseModel):
    """What a steward says of an uploaded file: a registration without a path."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    schema_text: str = Field(alias="schema")
    schema_name: str = "schema"
    name: str
    title: str = ""
    governance: dict[str, Any]
    terms: dict[str, Any]
    budget: dict[str, float] = Field(default_factory=dict)
    public: bool = False


class TaskRow(Shape):
    """A piece of background work; look at `GET /tasks/{id}` until it has ended."""

    id: str
    kind: str
    state: str
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "about"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "about": {
                            "type": "string",
                            "description": "JSON: the fields of POST /datasets without `path`.",
                        },
                    },
                }
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class Shed:
    """Where uploads lie while they are read."""

    folder: Path

    def tidy(self) -> None:
        """Remove what an earlier run of the node left behind."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, source: BinaryIO, name: str) -> Path:
        """Write an upload into a folder of its own.

        Raises
        ------
        StateError
            `ledger.cannot_write`.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(dir=self.folder)) / f"table{Path(name).suffix.lower()}"
            with place.open("xb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            reason = error.strerror or "refused"
            raise StateError(
                "ledger.cannot_write", place=str(self.folder), reason=reason
            ) from error
        return place


def uploads_router(rooms: Rooms) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["datasets"])
    shed = Shed(rooms.home / UPLOADS)

    @router.post("/uploads", openapi_extra=_BODY)
    async def upload(request: Request) -> TaskRow:
        """Connect a dataset from a file that the browser sends."""
        _check_length(request)
        async with request.form(max_files=1, max_part_size=_EXTRA_BYTES) as form:
            file, about = _read_form(form)
            task = await run_sync(_begin, rooms, shed, file, about)
        return TaskRow(**task.as_record())

    return router


def _begin(rooms: Rooms, shed: Shed, file: UploadFile, about: About) -> Task:
    place = shed.keep(file.file, file.filename or "")
    try:
        registration = Registration(path=str(place), **about.model_dump(by_alias=True))
        work = rooms.registrar.plan(registration)
    except BaseException:
        shutil.rmtree(place.parent, ignore_errors=True)
        raise
    return rooms.tasks.begin("dataset", _tidying(work, place.parent))


def _tidying(work: Work, folder: Path) -> Work:
    """Remove the copy after the work, however that ends."""

    def whole(report: Report) -> dict[str, Any]:
        try:
            return work(report)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return whole


def _check_length(request: Request) -> None:
    """Refuse before anything is read what is too long, or does not say how long it is."""
    told = request.headers.get("content-length", "")
    if not told.isdecimal() or int(told) > MOST_BYTES + _EXTRA_BYTES:
        raise _refuse("")


def _read_form(form: FormData) -> tuple[UploadFile, About]:
    file, about = form.get("file"), form.get("about")
    if not isinstance(file, UploadFile) or not isinstance(about, str):
        raise InputError("boundary.malformed", places="file, about")
    name = file.filename or ""
    if not name.lower().endswith(SUFFIXES) or (file.size or 0) > MOST_BYTES:
        raise _refuse(name)
    try:
        return file, About.model_validate(json.loads(about))
    except ValidationError as error:
        places = sorted({".".join(map(str, flaw["loc"])) for flaw in error.errors()})
        raise InputError("console.bad_answers", places=", ".join(places)[:200]) from error
    except ValueError as error:
        raise InputError("console.bad_answers", places="about") from error


def _refuse(name: str) -> InputError:
    return InputError("console.bad_upload", name=name[:80], most=MOST_BYTES // _MB)

"""Backups of the node's home, as the console asks for them: made, listed, proved again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from consilium.kernel.canonical import Json
from consilium.kernel.clock import write_time
from consilium.kernel.errors import NotFoundError
from consilium.ledger.backup import FOLDER, Backup, back_up, backup_name, prove_backup
from consilium.node.reading.uploads import TaskRow
from consilium.node.rooms import Rooms
from consilium.node.tasks import Report, Work
from consilium.persons.roles import Action
from consilium.web.paging import Shape
from consilium.web.seats import Speaker

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}-\d{8}T\d{6}Z\.tar")


class BackupRow(Shape):
    """A backup that was proved when it was made."""

    name: str
    made: str
    size: int


class BackupsShown(Shape):
    """The backups in `folder`, newest first; `beside` says that it lies in the node's own."""

    folder: str
    beside: bool
    items: list[BackupRow]


def backups_router(rooms: Rooms) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["settings"])
    reception, folder = rooms.reception, folder_of(rooms)

    @router.get("/backups")
    def backups() -> BackupsShown:
        """List the backups of this node, newest first."""
        beside = folder.is_relative_to(rooms.home)
        return BackupsShown(folder=str(folder), beside=beside, items=_list(folder))

    @router.post("/backups")
    def make(speaking: Speaker) -> TaskRow:
        """Copy the node's folder and database while it runs, and prove the copy."""
        clock = rooms.connector.clock
        name = backup_name(rooms.membership.name, clock.now())
        return begin(
            "made", name, speaking, partial(back_up, rooms.home, folder / name, clock=clock)
        )

    @router.post("/backups/{name}/proof")
    def prove(name: str, speaking: Speaker) -> TaskRow:
        """Restore a backup into a folder that is thrown away, and verify its evidence."""
        if not _NAME.fullmatch(name):
            raise NotFoundError("ledger.no_backup", file=name[:80])
        return begin("proved", name, speaking, partial(prove_backup, folder / name))

    def begin(deed: str, name: str, speaking: Speaker, act: Callable[[], Backup]) -> TaskRow:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            reception.require(by, Action.MAKE_BACKUP)
            tx.record("backup.begun", name, {"by": by.id, "deed": deed})
            who = by.id
        return TaskRow(**rooms.tasks.begin("backup", _noting(deed, name, who, act)).as_record())

    def _noting(deed: str, name: str, who: str, act: Callable[[], Backup]) -> Work:
        def work(_report: Report) -> dict[str, Any]:
            found = act()
            facts: dict[str, Json] = {"by": who, "entries": found.entries, "root": found.root}
            facts |= {"size": found.size}
            with reception.database.write() as tx:
                tx.record(f"backup.{deed}", name, facts)
            return {**found.as_record(), "file": name}

        return work

    return router


def folder_of(rooms: Rooms) -> Path:
    """Return where this node's backups lie."""
    return rooms.home / (rooms.settings.backups or FOLDER)


def _list(folder: Path) -> list[BackupRow]:
    found = []
    for path in folder.glob("*.tar") if folder.is_dir() else ():
        status = path.stat()
        made = write_time(datetime.fromtimestamp(status.st_mtime, UTC))
        if _NAME.fullmatch(path.name):
            found.append(BackupRow(name=path.name, made=made, size=status.st_size))
    return sorted(found, key=lambda row: row.made, reverse=True)

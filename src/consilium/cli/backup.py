"""`consilium backup`: copying a home while it is served, proving copies, restoring one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record
from consilium.kernel.clock import SystemClock
from consilium.ledger.backup import (
    FOLDER,
    Backup,
    back_up,
    backup_name,
    prove_backup,
    restore_backup,
)

app = typer.Typer()
_File = Annotated[Path, typer.Argument(help="The backup.")]


@app.command()
def make(
    file: Annotated[
        Path | None,
        typer.Argument(help="File to write; without it, one with the time in its name."),
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Copy a node or hub, running or not, and prove the copy. It holds keys: guard it alike."""
    clock = SystemClock()
    usual = home / FOLDER / backup_name(home.resolve().name, clock.now())
    _show(back_up(home, file or usual, clock=clock), as_json)


@app.command()
def prove(file: _File, as_json: AsJson = False) -> None:
    """Restore a backup into a folder that is thrown away, and verify its evidence."""
    _show(prove_backup(file), as_json)


@app.command()
def restore(
    file: _File,
    home: Annotated[Path, typer.Argument(help="A new folder. The original must be gone for good.")],
    as_json: AsJson = False,
) -> None:
    """Make a home from a backup, whole and proved, or not at all."""
    _show(restore_backup(file, home), as_json)


def _show(backup: Backup, as_json: bool) -> None:
    emit(backup.as_record()) if as_json else show_record("Backup", backup.as_record())

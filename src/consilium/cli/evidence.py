"""`consilium evidence`: reading the log, proving it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.language import language_of
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_rows
from consilium.kernel.errors import InputError, IntegrityError
from consilium.space.proof import verify_home

app = typer.Typer()


@app.command()
def verify(
    home: Home = HERE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File with a checkpoint that somebody else holds.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove offline that no entry was changed, removed, moved or cut off."""
    verdict = verify_home(home, checkpoint=_read(checkpoint))
    if as_json:
        emit(verdict.as_record())
    elif verdict.verified:
        counts = f"{verdict.entries} entries, {verdict.checkpoints} checkpoints"
        typer.echo(f"✓ {counts} · {verdict.root}")
    else:
        typer.echo(f"✗ {verdict.text(language_of(os.environ))} [{verdict.reason_code}]", err=True)
    raise typer.Exit(0 if verdict.verified else IntegrityError.exit_code)


@app.command("list")
def list_entries(
    home: Home = HERE,
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List entries of the evidence log, oldest first."""
    from consilium.space.client import connect

    with connect(home) as node:
        found = node.evidence.list(after=after, limit=limit)
    if as_json:
        emit(found)
        return
    rows = [(each["seq"], each["time"], each["kind"], each["subject"]) for each in found]
    show_rows("Evidence", ("seq #", "time", "kind", "subject"), rows, empty="No entries.")


def _read(path: Path | None) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path else None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cli.no_checkpoint", file=str(path)) from error

"""`consilium model`: models of the studies that this hospital led."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_rows
from consilium.cli.speaking import As, PasswordFile, speaker
from consilium.space.client import connect

app = typer.Typer()


@app.command("list")
def list_models(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the models that this node keeps."""
    with connect(home) as node:
        found = node.models.list()
    if as_json:
        emit(found)
        return
    rows = [(one["name"], one["digest"], one["study"], one["created"]) for one in found]
    columns = ("name", "digest", "study", "made")
    show_rows("Models", columns, rows, empty="No model yet: `consilium study run`.")


@app.command()
def export(
    digest: Annotated[str, typer.Argument(help="The model's fingerprint, sha256:…")],
    to: Annotated[Path, typer.Option(help="Folder to write to.")],
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write a released model with its passport and card into a folder, to hand it out."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.models.export(digest, to=to, speaker=who)
    emit(record) if as_json else typer.echo("\n".join(record["files"]))

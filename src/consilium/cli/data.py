"""`consilium data`: open data to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.readers.open_data import OPEN_DATA, fetch

app = typer.Typer()


@app.callback()
def data() -> None:
    """Keep `fetch` a verb of its own."""


@app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(OPEN_DATA)}.")],
    to: Annotated[Path | None, typer.Option(help="Folder; data/NAME if not given.")] = None,
) -> None:
    """Download an open data set and check every file against its fingerprint."""
    for path in fetch(name, to or Path("data") / name):
        typer.echo(str(path))
    typer.echo(OPEN_DATA[name].credit)

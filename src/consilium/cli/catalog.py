"""`consilium catalog`: what the hospitals of the space offer."""

from __future__ import annotations

from typing import Annotated

import typer

from consilium.cli.budgets import show_words
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_rows
from consilium.space.client import connect

app = typer.Typer()


@app.callback()
def catalog() -> None:
    """Keep `search` a verb of its own."""


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Words that must all occur; empty shows all.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Search all members' catalogues."""
    with connect(home) as node:
        found = node.catalog.search(text)
    if as_json:
        emit(found)
        return
    keys = ("hospital", "name", "title", "n_train", "n_test")
    rows = [[each.get(key) for key in keys] for each in found]
    columns = ("hospital", "name", "title", "train #", "held out #")
    show_rows("Catalogue", columns, rows, empty="Nothing found.")
    if len(found) == 1:
        show_words(found[0]["words"])

"""`consilium dataset`: connecting tables, looking at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_rows
from consilium.cli.quality import show_dataset
from consilium.kernel.clock import SystemClock
from consilium.space.client import connect
from consilium.space.offers import terms_record
from consilium.space.spacefile import read_offer

app = typer.Typer()


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="CSV, Parquet or NPZ file; it stays where it is.")],
    schema: Annotated[str, typer.Option(help="Schema file (.toml) or a built-in name.")],
    name: Annotated[str, typer.Option(help="Short name of the dataset.")],
    offer: Annotated[Path, typer.Option(help="TOML file: governance, terms, perhaps budget.")],
    title: Annotated[str, typer.Option(help="Display name; Chinese is fine.")] = "",
    public: Annotated[bool, typer.Option("--public", help="The data are open to anyone.")] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Connect a table: check it against its schema and offer it on your terms."""
    governance, terms, budget = read_offer(offer)
    with connect(home) as node:
        space = str(node.status()["space"])
        record = node.datasets.add(
            path,
            schema=schema,
            name=name,
            title=title,
            public=public,
            governance=governance,
            budget=budget,
            terms=terms_record(terms, space=space, recipes=(), clock=SystemClock()),
        )
    emit(record) if as_json else show_dataset(record)


@app.command("list")
def list_datasets(home: Home = HERE, as_json: AsJson = False) -> None:
    """List this hospital's datasets."""
    with connect(home) as node:
        found = node.datasets.list()
    if as_json:
        emit(found)
        return
    rows = [
        (each["name"], each["title"], each["n_train"], each["n_test"], each["public"])
        for each in found
    ]
    columns = ("name", "title", "train #", "held out #", "public")
    show_rows("Datasets", columns, rows, empty="No dataset yet: `consilium dataset add`.")


@app.command()
def show(name: str, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one dataset with its quality report."""
    with connect(home) as node:
        record = node.datasets.get(name)
    emit(record) if as_json else show_dataset(record)

"""`consilium agreement`: asking for agreements, reading them."""

from __future__ import annotations

from typing import Annotated

import typer

from consilium.cli.budgets import find_left, show_left, show_words
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, short_names, show_record, show_rows
from consilium.space.client import connect
from consilium.space.offers import full_id

app = typer.Typer()


@app.command("list")
def list_agreements(home: Home = HERE, as_json: AsJson = False) -> None:
    """List this hospital's agreements, as consumer and as provider."""
    with connect(home) as node:
        found = node.agreements.list()
    if as_json:
        emit(found)
        return
    rows = [
        [each["id"], each["role"], *short_names(each, "provider", "consumer"), each["state"]]
        for each in found
    ]
    columns = ("id", "role", "provider", "consumer", "state")
    show_rows("Agreements", columns, rows, empty="No agreement yet.")


@app.command()
def show(agreement: str, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one agreement with its terms in words, and what is left of it if we gave it."""
    with connect(home) as node:
        record = node.agreements.get(agreement)
        left = find_left(node.agreements.budgets(), record)
    if as_json:
        emit(record | {"budget": left})
        return
    hidden = ("terms", "words", "policy")
    show_record("Agreement", {key: value for key, value in record.items() if key not in hidden})
    show_words(record["words"])
    if left is not None:
        show_left(left)


@app.command()
def request(
    participant: Annotated[str, typer.Argument(help="The hospital's short name or identifier.")],
    dataset: Annotated[str, typer.Argument(help="Name of its dataset.")],
    offer: Annotated[str, typer.Option(help="Identifier of the offer, if there are several.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Ask a hospital for an agreement on one of its datasets."""
    with connect(home) as node:
        member = full_id(participant, space=str(node.status()["space"]))
        record = node.agreements.request(member, dataset=dataset, offer=offer)
    emit(record) if as_json else show_record("Negotiation", record)

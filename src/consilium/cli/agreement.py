"""`consilium agreement`: asking for agreements, reading them, ending them."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

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
        [
            each["id"],
            each["contract_id"],
            each["role"],
            *short_names(each, "provider", "consumer"),
            each["state"],
        ]
        for each in found
    ]
    columns = ("id", "contract id", "role", "provider", "consumer", "state")
    show_rows("Agreements", columns, rows, empty="No agreement yet.")


@app.command()
def show(agreement: str, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one agreement: its state, its terms in words, what is left, who revoked it and why."""
    with connect(home) as node:
        record = node.agreements.get(agreement)
        left = find_left(node.agreements.budgets(), record)
    if as_json:
        emit(record | {"budget": left})
        return
    _show(record)
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
    emit(record) if as_json else _show(record)


@app.command()
def revoke(
    agreement: Annotated[str, typer.Argument(help="Identifier of the agreement.")],
    reason: Annotated[str, typer.Option(help="Why; the counterpart is told. No patient's data.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End an agreement for good: its studies stop here, nothing more leaves under it."""
    with connect(home) as node:
        record = node.agreements.revoke(agreement, reason=reason, person=getpass.getuser())
    emit(record) if as_json else _show(record)


def _show(record: dict[str, Any]) -> None:
    ended = record.get("revocation")
    apart = {"terms", "words", "policy", "revocation", "signatures", "history"}
    show_record("Agreement", {key: value for key, value in record.items() if key not in apart})
    if ended:
        show_record("Revoked", dict(ended))
    show_words(record["words"])

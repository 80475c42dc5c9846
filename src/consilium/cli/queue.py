"""`consilium queue`: what waits for a person."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from consilium.cli.language import language_of
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.cli.speaking import As, PasswordFile, Reason, speaker
from consilium.kernel.errors import texts
from consilium.space.client import connect

app = typer.Typer()

Item = Annotated[str, typer.Argument(help="Identifier of the item.")]


@app.command("list")
def list_items(
    everything: Annotated[bool, typer.Option("--all", help="Also what was settled.")] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person, the most urgent first; overdue items are named so."""
    with connect(home) as node:
        found = node.queue.list(settled=everything)
    if as_json:
        emit(found)
        return
    rows = [
        (
            one["id"],
            one["kind"],
            _why(one["reason"]),
            one["role"],
            one["due"],
            "overdue" if one["overdue"] else one["ruling"] or "open",
        )
        for one in found
    ]
    columns = ("id", "kind", "reason", "role", "due", "state")
    show_rows("Queue", columns, rows, empty="Nothing waits for a person.")


@app.command()
def show(item: Item, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one item: what waits, why, for whom, and how it was settled."""
    with connect(home) as node:
        record = node.queue.get(item)
    emit(record) if as_json else show_record("Item", record)


@app.command()
def settle(
    item: Item,
    ruling: Annotated[str, typer.Argument(help="proceed or refuse.")],
    reason: Reason,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Let what waits proceed, or refuse it; the counterpart learns of it at once."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.queue.settle(item, ruling, reason=reason, speaker=who)
    emit(record) if as_json else show_record("Item", record)


@app.command()
def delegate(
    item: Item,
    to: Annotated[str, typer.Argument(help="Name of the delegate; your own takes it back.")],
    reason: Reason,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Hand an item to somebody who settles it in your place."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.queue.delegate(item, to, reason=reason, speaker=who)
    emit(record) if as_json else show_record("Item", record)


def _why(reason: str) -> str:
    """Say a code in the reader's language, if it is one whose sentence needs no facts."""
    told = texts().get(reason, {}).get(language_of(os.environ), reason)
    return reason if "{" in told else told

"""`consilium person`: accounts and roles."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.cli.speaking import As, NewPasswordFile, PasswordFile, Reason, new_password, speaker
from consilium.space.client import connect

app = typer.Typer()

Who = Annotated[str, typer.Argument(help="Name of the person; Chinese is fine.")]


@app.command()
def add(
    name: Who,
    first: Annotated[
        bool, typer.Option("--first", help="The first account of all: an administrator's.")
    ] = False,
    as_: As = "",
    password_file: PasswordFile = None,
    new_password_file: NewPasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make an account; the first one needs nobody's word, every other an administrator's."""
    with connect(home) as node:
        who = None if first else speaker(as_, password_file)
        secret = new_password(name, new_password_file)
        if who is None:
            record = node.persons.add_first(name, password=secret)
        else:
            record = node.persons.add(name, password=secret, speaker=who)
    _show(record, as_json=as_json)


@app.command("list")
def list_persons(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the accounts of this node."""
    with connect(home) as node:
        found = node.persons.list()
    if as_json:
        emit(found)
        return
    rows = [(one["name"], _roles(one), one["is_active"], one["created"]) for one in found]
    empty = "No account yet: `consilium person add NAME --first`."
    show_rows("Persons", ("name", "roles", "active", "since"), rows, empty=empty)


@app.command()
def show(name: Who, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one account with its roles and their scopes."""
    with connect(home) as node:
        record = node.persons.get(name)
    _show(record, as_json=as_json)


@app.command()
def disable(
    name: Who,
    reason: Reason,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Close an account; what the person did stays on record."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.persons.disable(name, reason=reason, speaker=who)
    _show(record, as_json=as_json)


@app.command()
def enable(
    name: Who,
    reason: Reason,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Open a closed account again, with the roles that it had."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.persons.enable(name, reason=reason, speaker=who)
    _show(record, as_json=as_json)


@app.command()
def password(
    name: Who,
    as_: As,
    password_file: PasswordFile = None,
    new_password_file: NewPasswordFile = None,
    home: Home = HERE,
) -> None:
    """Set your own password, or as administrator somebody else's."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        secret = new_password(name, new_password_file)
        record = node.persons.set_password(name, password=secret, speaker=who)
    typer.echo(f"{record['name']}: password set")


@app.command()
def role(
    name: Who,
    role: Annotated[
        str,
        typer.Argument(
            help="administrator, steward, research-lead, doctor, ethics-officer, auditor or office."
        ),
    ],
    as_: As,
    study: Annotated[str, typer.Option(help="Only for this study.")] = "",
    organisation: Annotated[str, typer.Option(help="Only for this asking hospital.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the role away.")] = False,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Give a person a role, everywhere or for one study or hospital; or withdraw it."""
    with connect(home) as node:
        record = node.persons.change_role(
            name,
            role,
            study=study,
            organisation=organisation,
            withdraw=withdraw,
            speaker=speaker(as_, password_file),
        )
    _show(record, as_json=as_json)


def _show(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(record)
        return
    show_record("Person", {key: value for key, value in record.items() if key != "grants"})
    rows = [(one["role"], one["study"], one["organisation"]) for one in record["grants"]]
    show_rows("Roles", ("role", "study", "hospital"), rows, empty="No role yet.")


def _roles(record: dict[str, Any]) -> str:
    return ", ".join(sorted({one["role"] for one in record["grants"]})) or "–"

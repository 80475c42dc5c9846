"""`consilium approval`: releasing what leaves."""

from __future__ import annotations

from typing import Annotated

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.cli.speaking import As, PasswordFile, Reason, speaker
from consilium.space.client import connect

app = typer.Typer()

Request = Annotated[str, typer.Argument(help="Identifier of the request.")]


@app.command()
def request(
    kind: Annotated[str, typer.Argument(help="What leaves: model or evidence.")],
    digest: Annotated[str, typer.Argument(help="Its fingerprint, sha256:…")],
    reason: Reason,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Ask that one thing may leave; other persons approve it."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.approvals.request(kind, digest, reason=reason, speaker=who)
    emit(record) if as_json else show_record("Release", record)


@app.command("list")
def list_releases(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the requests, the newest first, and who has approved."""
    with connect(home) as node:
        found = node.approvals.list()
        names = {one["id"]: one["name"] for one in node.persons.list()}
    if as_json:
        emit(found)
        return
    rows = [
        (
            one["id"],
            one["kind"],
            one["digest"],
            one["reason"],
            f"{len(one['approved'])}/{one['needed']}",
            ", ".join(names.get(who, who) for who in one["approved"]),
            one["state"],
            one["expires"],
        )
        for one in found
    ]
    columns = ("id", "kind", "digest", "reason", "yes #", "by", "state", "until")
    show_rows("Releases", columns, rows, empty="Nobody has asked for a release.")


@app.command()
def approve(
    release: Request,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Say yes to a request; the last yes that is needed releases the thing."""
    with connect(home) as node:
        record = node.approvals.approve(release, speaker=speaker(as_, password_file))
    emit(record) if as_json else show_record("Release", record)


@app.command()
def withdraw(
    release: Request,
    reason: Reason,
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End a request or a release: from now on nothing leaves under it."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.approvals.withdraw(release, reason=reason, speaker=who)
    emit(record) if as_json else show_record("Release", record)

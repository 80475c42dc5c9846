"""`consilium hub`: founding and serving a hub, inviting hospitals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.logs import begin_log
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.kernel.errors import NotFoundError
from consilium.space.client import connect
from consilium.space.offers import full_id
from consilium.space.wire import Wire

app = typer.Typer()


@app.command()
def init(
    home: Annotated[Path, typer.Argument(help="Folder to make.")],
    space: Annotated[str, typer.Option(help="Short name of the space.")],
    host: Annotated[str, typer.Option(help="Name or address by which hospitals reach the hub.")],
    title: Annotated[str, typer.Option(help="Display name; Chinese is fine.")] = "",
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8440,
    engine_port: Annotated[int, typer.Option(help="Port of the learning engine.")] = 8441,
) -> None:
    """Found a space: make the hub's folder, its keys and its certificate authority."""
    from consilium.hub.init import init_hub
    from consilium.kernel.clock import SystemClock

    made = init_hub(
        home,
        space=space,
        title=title or space,
        host=host,
        clock=SystemClock(),
        others={"hub.port": port, "hub.engine_port": engine_port},
    )
    typer.echo(f"{made.participant} · {made.address}\n{made.fingerprint}")
    typer.echo(f"consilium hub serve {home}")


@app.command()
def serve(home: Annotated[Path, typer.Argument(help="The hub's folder.")] = HERE) -> None:
    """Run the hub until it is stopped."""
    from consilium.hub.serve import serve as serve_hub

    begin_log()
    serve_hub(home)


@app.command()
def token(
    member: Annotated[str, typer.Argument(help="Short name of the hospital.")],
    title: Annotated[str, typer.Option(help="Display name; Chinese is fine.")] = "",
    hours: Annotated[float, typer.Option(help="How long the token is valid.")] = 72,
    location: Annotated[
        str, typer.Option(help="Country or region, such as CN or CN-BJ; for terms about places.")
    ] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a join token for one hospital; it can be used once."""
    from consilium.hub.signer import FOLDER
    from consilium.hub.signer_socket import AdminClient

    answer = AdminClient(home / FOLDER).mint(
        member, title=title or member, hours=hours, location=location
    )
    if as_json:
        emit(answer)
    else:
        typer.echo(answer["token"])


@app.command()
def revoke(
    member: Annotated[str, typer.Argument(help="Short name of the hospital.")],
    reason: Annotated[str, typer.Option(help="Why; kept as evidence.")],
    home: Home = HERE,
) -> None:
    """End a hospital's membership: its certificates are not renewed, its keys not believed."""
    from consilium.hub.signer import FOLDER
    from consilium.hub.signer_socket import AdminClient

    AdminClient(home / FOLDER).revoke(member, reason=reason)
    typer.echo(f"{member}: revoked")


@app.command()
def members(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the members of the space."""
    with Wire(home) as hub:
        answer = hub.get("/members")
    found = answer.get("members", answer) if isinstance(answer, dict) else answer
    if as_json:
        emit(found)
        return
    rows = [(each.get("name"), each.get("title"), each.get("state")) for each in found]
    show_rows("Members", ("name", "title", "state"), rows, empty="Nobody has joined yet.")


@app.command()
def checkpoint(
    member: Annotated[str, typer.Argument(help="Short name of the hospital.")],
    home: Home = HERE,
) -> None:
    """Print the last evidence checkpoint that the hub received of a hospital."""
    with connect(home) as hub:
        participant = full_id(member, space=str(hub.status()["space"]))
        found = hub.evidence.witnessed(participant)
    if found is None:
        raise NotFoundError("cli.not_witnessed", member=member)
    typer.echo(found, nl=False)


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show how the hub is."""
    with Wire(home) as hub:
        answer = hub.get("/status")
    emit(answer) if as_json else show_record("Hub", answer)

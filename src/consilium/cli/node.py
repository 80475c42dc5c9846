"""`consilium node`: joining a space, serving a hospital's node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.logs import begin_log
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record
from consilium.space.wire import Wire

app = typer.Typer()


@app.command()
def join(
    token: Annotated[str, typer.Argument(help="The token that the hub's office gave you.")],
    home: Annotated[Path, typer.Option(help="Folder of the node; made if needed.")] = HERE,
) -> None:
    """Join a space: make keys, get certificates."""
    from consilium.kernel.clock import SystemClock
    from consilium.node.join import join_hub

    membership = join_hub(home, token, clock=SystemClock())
    typer.echo(f"{membership.participant} · {membership.title} · {membership.hub}")
    typer.echo(f"consilium node serve {home}")


@app.command()
def serve(home: Annotated[Path, typer.Argument(help="The node's folder.")] = HERE) -> None:
    """Run the node until it is stopped."""
    from consilium.node.serve import serve as serve_node

    begin_log()
    serve_node(home)


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show how the node is."""
    with Wire(home) as node:
        answer = node.get("/status")
    emit(answer) if as_json else show_record("Node", answer)

"""`consilium node`: joining a space, serving a hospital's node."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consilium.cli.language import language_of
from consilium.cli.logs import begin_log
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.space.wire import Wire

if TYPE_CHECKING:
    from consilium.node.console.app import OpenedConsole

app = typer.Typer()


@app.command()
def join(
    token: Annotated[str, typer.Argument(help="The token that the hub's office gave you.")],
    home: Annotated[Path, typer.Option(help="Folder of the node; made if needed.")] = HERE,
    proxy: Annotated[
        str, typer.Option(help="Proxy to the hub, http://HOST:PORT; becomes the node's own.")
    ] = "",
    proxy_login: Annotated[
        Path | None, typer.Option(help="File with user:password for that proxy.")
    ] = None,
) -> None:
    """Join a space: make keys, get certificates."""
    from consilium.kernel.clock import SystemClock
    from consilium.node.join import join_hub
    from consilium.node.proxy import ProxyRules

    login = str(proxy_login.absolute()) if proxy_login else ""
    rules = ProxyRules(setting=proxy, login=login, environment=os.environ)
    membership = join_hub(home, token, clock=SystemClock(), proxies=rules)
    typer.echo(f"{membership.participant} · {membership.title} · {membership.hub}")
    typer.echo(f"consilium node serve {home}")


@app.command()
def serve(home: Annotated[Path, typer.Argument(help="The node's folder.")] = HERE) -> None:
    """Run the node until it is stopped."""
    from consilium.node.serve import serve as serve_node

    begin_log()
    serve_node(home, announce=_announce)


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show how the node is."""
    with Wire(home) as node:
        answer = node.get("/status")
    emit(answer) if as_json else show_record("Node", answer)


@app.command()
def members(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the hospitals of the space with the fingerprints of their keys."""
    with Wire(home) as node:
        found = node.get("/members")
    if as_json:
        emit(found)
        return
    rows = [(each["name"], each["title"], each["state"], each["fingerprint"]) for each in found]
    show_rows("Members", ("name", "title", "state", "fingerprint"), rows, empty="Nobody yet.")


@app.command()
def accept(
    participant: Annotated[str, typer.Argument(help="The hospital's identifier, did:web:...")],
    fingerprint: Annotated[str, typer.Argument(help="As the hospital told you, not the hub.")],
    home: Home = HERE,
) -> None:
    """Accept a hospital's changed key, after asking the hospital itself."""
    with Wire(home) as node:
        answer = node.post("/members/key", {"participant": participant, "fingerprint": fingerprint})
    typer.echo(f"{answer['participant']} · {answer['fingerprint']}")


_CONSOLE = {"en": "Console: {address}", "zh": "控制台：{address}"}
_CODE = {
    "en": "Nobody has an account yet. Code of the first administrator: {code}",
    "zh": "尚无任何账号。首位管理员的一次性代码：{code}",
}


def _announce(opened: OpenedConsole) -> None:
    """Tell where the console is. The code goes to a terminal; a log gets the file's name."""
    language = language_of(os.environ)
    typer.echo(_CONSOLE[language].format(address=opened.address))
    if opened.code:
        shown = opened.code if sys.stdout.isatty() else str(opened.code_file)
        typer.echo(_CODE[language].format(code=shown))

"""`consilium demo`: four hospitals, one model, one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.language import language_of
from consilium.cli.options import AsJson
from consilium.cli.printing import show_rows
from consilium.cli.progress import Bars
from consilium.cli.results import show_finished
from consilium.space.consoles import open_accounts
from consilium.space.demo import SEED, run_demo
from consilium.space.plans import HUB_NAME
from consilium.space.processes import alive


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the four UCI heart-disease files.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the study.")] = SEED,
    home: Annotated[Path | None, typer.Option(help="Folder of the demo's space.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the space up, with consoles and accounts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start four hospitals, train one model across them, and show what came of it."""
    with Bars() as bars:
        finished = run_demo(
            data=data,
            seed=seed,
            home=home,
            keep=keep,
            watch=bars,
            language=language_of(os.environ),
        )
    show_finished(finished)
    if keep:
        _show_consoles(finished.home)
        typer.echo(f"consilium space down --home {finished.home}")
    if as_json:
        typer.echo(finished.record.as_line())


def _show_consoles(home: Path) -> None:
    """Make the accounts of the kept space, and show their passwords this once."""
    members = [child.name for child in alive(home) if child.name != HUB_NAME]
    for opened in open_accounts(home, members):
        rows = [(one.name, one.password) for one in opened.accounts]
        show_rows(f"{opened.member} · {opened.address}", ("name", "password"), rows)

"""`consilium space`: a whole space on one machine, from one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.language import language_of
from consilium.cli.options import AsJson
from consilium.cli.printing import emit, show_rows
from consilium.cli.progress import Bars
from consilium.cli.results import show_finished
from consilium.kernel.errors import InputError, StateError
from consilium.space.home import default_home
from consilium.space.processes import alive, down, open_space, up
from consilium.space.run import run_studies
from consilium.space.spacefile import read_space

app = typer.Typer()

File = Annotated[Path, typer.Argument(help="The space file.")]
MaybeFile = Annotated[Path | None, typer.Argument(help="The space file.")]
SpaceHome = Annotated[
    Path | None, typer.Option("--home", help="Folder of the space; .consilium/NAME if not given.")
]


@app.command("up")
def bring_up(file: File, home: SpaceHome = None) -> None:
    """Start the hub and every hospital of a space; they go on after this command."""
    plan = read_space(file)
    place = home or default_home(plan.name)
    with Bars() as bars:
        up(plan, place, watch=bars)
    typer.echo(f"{plan.name}: {len(plan.participants)} + 1 · {place}")
    typer.echo(f"consilium space down --home {place}")


@app.command()
def run(file: File, home: SpaceHome = None, as_json: AsJson = False) -> None:
    """Run the studies of a space; starts the space first if it is down, and stops it then."""
    plan = read_space(file)
    place = home or default_home(plan.name)
    with Bars() as bars, open_space(plan, place, watch=bars) as space:
        finished = run_studies(space, watch=bars, language=language_of(os.environ))
    for each in finished:
        show_finished(each)
    if as_json:
        for each in finished:
            typer.echo(each.record.as_line())


@app.command("down")
def bring_down(file: MaybeFile = None, home: SpaceHome = None) -> None:
    """Stop everything that a space runs; safe to repeat."""
    stopped = down(_place(file, home))
    typer.echo(f"{stopped} processes stopped")


@app.command()
def status(file: MaybeFile = None, home: SpaceHome = None, as_json: AsJson = False) -> None:
    """Show which processes of a space are running."""
    place = _place(file, home)
    found = alive(place)
    if as_json:
        emit([{"name": each.name, "pid": each.pid} for each in found])
        return
    if not found:
        raise StateError("space.not_up", home=str(place), now="down", wanted="up")
    show_rows("Space", ("name", "pid #"), [(each.name, each.pid) for each in found])


def _place(file: Path | None, home: Path | None) -> Path:
    if home is not None:
        return home
    if file is None:
        raise InputError("cli.no_home")
    return default_home(read_space(file).name)

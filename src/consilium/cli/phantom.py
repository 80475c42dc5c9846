"""`consilium phantom`: invented eyes for demonstrations and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from consilium.cli.options import AsJson
from consilium.cli.printing import emit, show_rows
from consilium.cli.words import Plain
from consilium.readers.phantoms import PHANTOM_SITES, write_phantoms

app = typer.Typer()


@app.callback()
def phantom() -> None:
    """Keep `write` a verb of its own."""


@app.command("write")
def write(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made if needed.")],
    patients: Annotated[int, typer.Option(min=1, max=100_000, help="Patients over all.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same eyes.")] = 42,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Pixels along each edge.")] = 128,
    as_json: AsJson = False,
) -> None:
    """Draw eyes that never were, photograph and scan, with known disease."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=patients)
        counts = write_phantoms(
            folder,
            patients=patients,
            seed=seed,
            size=size,
            told=lambda done: bar.update(task, completed=done),
        )
    if as_json:
        emit({"folder": str(folder), "patients": counts})
        return
    rows = [
        (site.title, ", ".join(site.modalities), counts[site.name], str(folder / site.name))
        for site in PHANTOM_SITES
    ]
    show_rows("Eye phantoms", ("hospital", Plain("modalities"), "patients#", "folder"), rows)

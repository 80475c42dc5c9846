"""`consilium study`: running studies that this hospital leads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.cli.progress import Bars
from consilium.cli.results import show_result
from consilium.space.client import connect
from consilium.space.offers import draft_record
from consilium.space.rehearsal import ROUNDS, ROWS
from consilium.space.rehearsal import rehearse as rehearse_study
from consilium.space.run import StudyProgress
from consilium.space.spacefile import read_space, read_study

app = typer.Typer()
_FOR_PROGRAMS = frozenset({"time", "hub_event", "model"})


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="TOML file with the study's plan.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Run a study that this hospital leads, and wait for its result."""
    study = read_study(plan)
    with connect(home) as node, Bars() as bars:
        draft = draft_record(study, space=str(node.status()["space"]))
        record = node.studies.run(seen=StudyProgress(bars, study), **draft)
    emit(record.as_json()) if as_json else show_result(record)


@app.command()
def rehearse(
    file: Annotated[Path, typer.Argument(help="Space file with the datasets' schemas.")],
    study: Annotated[str, typer.Option(help="Which of its studies; the first if left out.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most.")] = ROUNDS,
    rows: Annotated[int, typer.Option(min=12, help="Mock rows at each hospital.")] = ROWS,
    as_json: AsJson = False,
) -> None:
    """Try a study on mock rows made from the schemas; no data are opened, nobody is asked."""
    space = read_space(file)
    found = rehearse_study(space, space.get_study(study), rounds=rounds, rows=rows)
    if as_json:
        emit(found.as_json())
        return
    sites = [tuple(asdict(site).values()) for site in found.sites]
    columns = ("hospital", "train #", "held out #", "first loss #", "last loss #", "kept bytes #")
    show_rows("Rehearsal", columns, sites)
    show_record("Plan", {name: value for name, value in found.as_json().items() if name != "sites"})


@app.command("list")
def list_studies(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the studies that this hospital leads."""
    with connect(home) as node:
        found = node.studies.list()
    if as_json:
        emit(found)
        return
    rows = [(each["id"], each["title"], each["state"], each["created"]) for each in found]
    show_rows("Studies", ("id", "title", "state", "created"), rows, empty="No study yet.")


@app.command()
def show(study: str, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show a study's state and what happened in it."""
    with connect(home) as node:
        record = node.studies.get(study)
    if as_json:
        emit(record)
        return
    events: list[dict[str, Any]] = record.pop("events", [])
    marks: list[dict[str, Any]] = record.pop("marks", [])
    show_record("Study", record)
    if marks:
        columns = ("agreement", "by", "time", "reason", "rounds #")
        show_rows("Its model: revoked agreements", columns, map(_mark_row, marks))
    rows = [(each["time"], each["kind"], _short(each.get("facts"))) for each in events]
    show_rows("Events", ("time", "kind", "facts"), rows)


@app.command()
def stop(study: str, home: Home = HERE, as_json: AsJson = False) -> None:
    """Stop a study; the rounds it has accepted are kept."""
    with connect(home) as node:
        record = node.studies.stop(study)
    emit(record) if as_json else typer.echo(f"{study}: {record.get('state', '–')}")


def _mark_row(mark: dict[str, Any]) -> list[Any]:
    return [mark[key] for key in ("agreement", "by", "time", "reason", "rounds")]


def _short(facts: Any) -> str:
    """Say what an event tells a person; digests, tables and our own numbers are for `--json`."""
    kept = facts.items() if isinstance(facts, dict) else ()
    plain = [(key, value) for key, value in kept if key not in _FOR_PROGRAMS]
    return ", ".join(
        f"{key} {round(value, 2) if isinstance(value, float) else value}"
        for key, value in plain
        if isinstance(value, str | int | float)
    )

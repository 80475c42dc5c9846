"""Printing: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def emit(record: object) -> None:
    """Print a record as one line of JSON."""
    typer.echo(json.dumps(record, ensure_ascii=False))


def show_rows(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = ""
) -> None:
    """Print rows as a table; `empty` instead when there are none.

    Columns whose name ends in `#` are numbers and stand to the right.
    """
    kept = [[_cell(value) for value in row] for row in rows]
    if not kept:
        typer.echo(empty or f"{title}: –")
        return
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in columns:
        side: Literal["right", "left"] = "right" if name.endswith("#") else "left"
        table.add_column(name.rstrip("#").strip(), justify=side)
    for row in kept:
        table.add_row(*row)
    Console(highlight=False).print(table)


def show_record(title: str, record: Mapping[str, Any]) -> None:
    """Print one record, a line for each key; tables within become JSON."""
    show_rows(title, ("", ""), list(record.items()))


def _cell(value: object) -> Text:
    if value is None:
        return Text("–")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(f"{value:.3f}")
    if isinstance(value, dict | list | tuple):
        return Text(json.dumps(value, ensure_ascii=False))
    return Text(str(value))

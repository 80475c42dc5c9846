"""Printing: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consilium.cli.language import language_of
from consilium.cli.words import Plain, say
from consilium.space.report.words import spoken

_TRUTH = {"en": ("no", "yes"), "zh": ("否", "是")}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def emit(record: object) -> None:
    """Print a record as one line of JSON."""
    typer.echo(json.dumps(record, ensure_ascii=False))


def show_rows(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = ""
) -> None:
    """Print rows as a table; `empty` instead when there are none.

    Columns whose name ends in `#` are numbers and stand to the right.
    """
    kept, language = list(rows), language_of(os.environ)
    if not kept:
        typer.echo(say(empty, language) if empty else f"{say(title, language)}: –")
        return
    table = _table(say(title, language), header=True)
    for name in columns:
        side: Literal["right", "left"] = "right" if name.endswith("#") else "left"
        table.add_column(_heading(name, language), justify=side, overflow="fold")
    _print(table, kept, language)


def show_record(title: str, record: Mapping[str, Any]) -> None:
    """Print one record, a line for each key; tables within become JSON."""
    language = language_of(os.environ)
    table = _table(say(title, language), header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    _print(table, [(say(key, language), value) for key, value in record.items()], language)


def short_names(record: Mapping[str, Any], *keys: str) -> list[str]:
    """Return the short names of participants under these keys."""
    return [str(record.get(key, "")).rpartition(":")[2] for key in keys]


def _table(title: str, *, header: bool) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        show_header=header,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )


def _heading(name: str, language: str) -> str:
    bare = name.rstrip("#").strip()
    return say(Plain(bare) if isinstance(name, Plain) else bare, language)


def _print(table: Table, rows: Sequence[Sequence[object]], language: str) -> None:
    for row in rows:
        table.add_row(*(_cell(value, language) for value in row))
    Console(highlight=False).print(table)


def _cell(value: object, language: str) -> Text:
    if value is None:
        return Text("–")
    if isinstance(value, bool):
        return Text(_TRUTH[language][value])
    if isinstance(value, float):
        return Text(f"{value:.3f}")
    if isinstance(value, dict | list | tuple):
        return Text(json.dumps(value, ensure_ascii=False))
    text = str(value)
    if _MOMENT.fullmatch(text):
        return Text(f"{text[:10]} {text[11:19]}")
    return Text(getattr(spoken(text), language))

"""How terms and what is left of them are shown to people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from consilium.cli.language import language_of
from consilium.cli.printing import show_rows

_COLUMNS = ("budget", "agreed #", "spent #", "left #")


def show_words(words: Sequence[Mapping[str, str]]) -> None:
    """Print terms as sentences, in the language of the person at the terminal."""
    language = language_of(os.environ)
    for sentence in words:
        typer.echo(f"· {sentence[language]}")


def find_left(budgets: Mapping[str, Any], agreement: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the budgets of an agreement and its dataset, if this hospital gave the agreement."""
    given = [one for one in budgets["agreements"] if one["agreement"] == agreement["id"]]
    if not given:
        return None
    source = [one for one in budgets["datasets"] if one["dataset"] == agreement["dataset"]]
    return {**given[0], "dataset_privacy": source[0] if source else None}


def show_left(left: Mapping[str, Any]) -> None:
    """Print what is agreed, spent and left: studies, rounds, privacy loss."""
    rows = [
        (name, left[name]["limit"], left[name]["spent"], left[name]["left"])
        for name in ("studies", "rounds")
    ]
    rows += _loss("agreement", left["privacy"])
    if left["dataset_privacy"] is not None:
        rows += _loss("dataset", left["dataset_privacy"])
    typer.echo("")
    show_rows("Left", _COLUMNS, rows)


def _loss(whose: str, purse: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (f"{sign} of the {whose}", *(_figure(purse[f"{part}{key}"]) for part in parts))
        for sign, key in (("ε", "epsilon"), ("δ", "delta"))
        for parts in (("", "spent_", "left_"),)
    ]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"

"""How a dataset is shown to its steward: what it is, on which terms, and how good it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import typer

from consilium.cli.language import language_of
from consilium.cli.printing import show_record, show_rows
from consilium.cli.words import Plain

_COUNTS = ("missing", "unparseable", "out_of_range", "unknown_category")


def show_dataset(record: Mapping[str, Any]) -> None:
    """Print a dataset's record: facts, terms, one line for each column, warnings in words."""
    terms, quality = record["terms"], record["quality"]
    show_record(Plain(record["name"]), _facts(record, quality))
    show_record(
        "Terms",
        {
            "for": ", ".join(terms["purposes"]),
            "by": ", ".join(terms["recipients"]),
            "until": terms["not_after"],
            "studies": terms["count"],
            "rounds": terms["max_rounds"],
            "patients at least": terms["min_cohort"],
            **_further(terms),
            "privacy budget": "ε {epsilon:g}, δ {delta:g}".format(**record["budget"]),
        },
    )
    rows = [
        (name, field["kind"], *(field.get(count) or "" for count in _COUNTS))
        for name, field in quality["fields"].items()
    ]
    columns = ("column", "kind", "missing #", "unreadable #", "out of range #", "unknown #")
    show_rows("Quality", columns, rows)
    pictures = [(name, *_picture(one)) for name, one in quality.get("images", {}).items()]
    if pictures:
        columns = ("field", "kind", "read #", "left out #", "copies #", "held-out copies #")
        show_rows("Images and signals", columns, pictures)
    language = language_of(os.environ)
    for warning in quality["warnings"]:
        typer.echo(f"! {warning[language]} [{warning['code']}]")


def _further(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Show the optional terms that are set."""
    named = {
        "hospitals at least": terms["min_participants"],
        "ε of one agreement": terms["epsilon"],
        "δ of one agreement": terms["delta"],
        "results": ", ".join(terms["outputs"]) or None,
        "secure aggregation": terms["secure_aggregation"],
        "in": ", ".join(terms["spatial"]) or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _facts(record: Mapping[str, Any], quality: Mapping[str, Any]) -> dict[str, Any]:
    rows, classes = quality["rows"], quality["classes"]
    lost = ", ".join(f"{why} {n}" for why, n in rows["dropped"].items() if n)
    return {
        "title": record["title"],
        "source": f"{quality['source']['kind']}, {quality['source']['encoding']}",
        "rows": f"{rows['complete']} of {rows['read']}" + (f" ({lost})" if lost else ""),
        "patients": quality["patients"],
        "to train on": _side(classes["train"], classes),
        "held out": _side(classes["held_out"], classes),
        "public": record["public"],
        "ethics": f"{record['governance']['ethics_approval']}",
        "fingerprint": record["fingerprint"],
    }


def _side(counts: Mapping[str, int], classes: Mapping[str, Any]) -> str:
    """Say how many rows a side has, and how many of each class where there are classes."""
    kind, total = classes.get("kind", "binary"), sum(counts.values())
    if kind in ("binary", "survival"):
        named = "positive" if kind == "binary" else "event"
        return f"{total}, of them {counts[named]} {classes['positive']}"
    if kind == "classes":
        return f"{total}: " + ", ".join(f"{name} {n}" for name, n in counts.items())
    return str(total)


def _picture(one: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what is said of a field of pictures: how many, how alike."""
    alike = [one.get(key, {}) for key in ("copies", "near_copies")]
    most = [max(each.get(side, 0) for each in alike) or "" for side in ("all", "held_out")]
    return one["kind"], one["read"], sum(one["unfit"].values()) or "", *most

"""`consilium statistics`: questions to hospitals' data, answered in seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from consilium.cli.language import language_of
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_rows
from consilium.cli.words import Plain
from consilium.federation.statistics.records import refuse
from consilium.space.client import connect

app = typer.Typer()

Columns = Annotated[list[str], typer.Argument(help="Names of columns.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="A condition on the cohort: age>=65, age<80, sex=1, cp=1|2."),
]
Over = Annotated[
    list[str] | None,
    typer.Option("--agreement", help="Over which agreement; all that allow the purpose if none."),
]
Purpose = Annotated[str, typer.Option(help="What it is for; the agreements must allow it.")]
Bins = Annotated[int, typer.Option(help="Bins over the schema's range; 0 leaves it to us.")]
Edges = Annotated[str, typer.Option(help="Edges of the bins instead: 40,50,60.")]
Epsilon = Annotated[float, typer.Option(help="Add noise that costs so much; 0 adds none.")]
Event = Annotated[str, typer.Option(help="The category that counts as the event.")]


@app.command()
def count(
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    epsilon: Epsilon = 0.0,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Count the patients of a cohort."""
    draft = _draft("count", [], purpose, where, agreement) | {"epsilon": epsilon}
    _ask(draft, home, as_json, show=_show_count)


@app.command()
def mean(
    columns: Columns,
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    epsilon: Epsilon = 0.0,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Work out number, mean, variance and standard deviation of numbers."""
    draft = _draft("mean", columns, purpose, where, agreement) | {"epsilon": epsilon}
    _ask(draft, home, as_json, show=_show_means)


@app.command()
def histogram(
    column: Annotated[str, typer.Argument(help="Name of a column.")],
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    bins: Bins = 0,
    edges: Edges = "",
    epsilon: Epsilon = 0.0,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Count the patients in each bin of a number, or of each category."""
    draft = _draft("histogram", [column], purpose, where, agreement)
    draft |= {"epsilon": epsilon, "bins": bins, "edges": _edges(column, edges)}
    _ask(draft, home, as_json, show=_show_table)


@app.command()
def quantile(
    column: Annotated[str, typer.Argument(help="Name of a number.")],
    share: Annotated[list[float] | None, typer.Option(help="0.5 is the median.")] = None,
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    bins: Bins = 0,
    edges: Edges = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Say between which values quantiles lie; quartiles unless others are named."""
    draft = _draft("quantile", [column], purpose, where, agreement)
    draft |= {"bins": bins, "edges": _edges(column, edges)}
    draft |= {"shares": share} if share else {}
    _ask(draft, home, as_json, show=_show_quantiles)


@app.command()
def crosstab(
    first: Annotated[str, typer.Argument(help="Name of a column.")],
    second: Annotated[str, typer.Argument(help="Name of another column.")],
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    bins: Bins = 0,
    epsilon: Epsilon = 0.0,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Count the patients by two columns together."""
    draft = _draft("crosstab", [first, second], purpose, where, agreement)
    _ask(draft | {"epsilon": epsilon, "bins": bins}, home, as_json, show=_show_table)


@app.command()
def missing(
    columns: Columns,
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Count the rows that have no value of each column."""
    _ask(_draft("missing", columns, purpose, where, agreement), home, as_json, show=_show_missing)


@app.command()
def survival(
    time: Annotated[str, typer.Argument(help="Name of the column with the time.")],
    event: Annotated[str, typer.Argument(help="Name of the column that says how it ended.")],
    category: Event = "",
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    bins: Bins = 0,
    edges: Edges = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Estimate survival over time, after Kaplan and Meier."""
    draft = _draft("survival", [time, event], purpose, where, agreement)
    draft |= {"event": category, "bins": bins, "edges": _edges(time, edges)}
    _ask(draft, home, as_json, show=_show_survival)


@app.command()
def correlation(
    columns: Columns,
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Work out Pearson's correlation of each two columns."""
    draft = _draft("correlation", columns, purpose, where, agreement)
    _ask(draft, home, as_json, show=_show_correlation)


@app.command()
def regression(
    outcome: Annotated[str, typer.Argument(help="Name of what is to be explained.")],
    predictors: Columns,
    logistic: Annotated[bool, typer.Option(help="The outcome is an event, not a number.")] = False,
    category: Event = "",
    purpose: Purpose = "research",
    where: Where = None,
    agreement: Over = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Fit a linear or logistic regression."""
    kind = "logistic" if logistic else "linear"
    draft = _draft(kind, [outcome, *predictors], purpose, where, agreement)
    _ask(draft | {"event": category}, home, as_json, show=_show_coefficients)


def _draft(
    statistic: str,
    variables: Sequence[str],
    purpose: str,
    where: Sequence[str] | None,
    agreements: Sequence[str] | None,
) -> dict[str, Any]:
    return {
        "statistic": statistic,
        "variables": list(variables),
        "purpose": purpose,
        "where": list(where or ()),
        "agreements": list(agreements or ()),
    }


def _edges(column: str, text: str) -> dict[str, list[float]]:
    if not text:
        return {}
    try:
        return {column: [float(one) for one in text.split(",")]}
    except ValueError as error:
        raise refuse("edges", "are not numbers with commas between them") from error


def _ask(
    draft: Mapping[str, Any],
    home: Path,
    as_json: bool,
    *,
    show: Callable[[Mapping[str, Any]], None],
) -> None:
    with connect(home) as node:
        answer = node.statistics.ask(
            draft["statistic"],
            *draft["variables"],
            **{name: draft[name] for name in draft if name not in ("statistic", "variables")},
        )
    if as_json:
        emit(answer)
        return
    show(answer["pooled"])
    rows = [[site["participant"].rpartition(":")[2], _said(site)] for site in answer["sites"]]
    show_rows("Hospitals", ("hospital", "answer"), rows)
    if answer["epsilon"]:
        typer.echo(_NOISY[language_of(os.environ)].format(answer["epsilon"]))


_ANSWERED = {
    "en": ("answered", "answered (public data, nothing kept back)"),
    "zh": ("已答复", "已答复（公开数据，未作保留）"),
}
_NOISY = {
    "en": "With noise; it cost each hospital's budget {:g} of epsilon.",
    "zh": "已加噪；每家医院的隐私预算各扣除 ε {:g}。",
}


def _said(site: Mapping[str, Any]) -> str:
    language = language_of(os.environ)
    if site["error"]:
        return str(site["error"][language])
    return _ANSWERED[language][bool(site["public"])]


def _show_count(pooled: Mapping[str, Any]) -> None:
    show_rows("Patients", ("patients#", "rows#"), [[pooled["patients"], pooled["rows"]]])


def _show_means(pooled: Mapping[str, Any]) -> None:
    rows = [
        [name, one["n"], one["mean"], one["variance"], one["sd"]]
        for name, one in pooled["variables"].items()
    ]
    show_rows("Means", ("column", "n#", "mean#", "variance#", "sd#"), rows)


def _show_quantiles(pooled: Mapping[str, Any]) -> None:
    rows = [[one["share"], one["from"], one["to"]] for one in pooled["quantiles"]]
    show_rows("Quantiles", ("share#", "from#", "below#"), rows)


def _show_table(pooled: Mapping[str, Any]) -> None:
    groups = [_group_names(one) for one in pooled["groups"]]
    if len(groups) == 1:
        rows = [[name, one] for name, one in zip(groups[0], pooled["counts"], strict=True)]
        show_rows("Histogram", ("group", "n#"), rows)
        return
    table = [[name, *row] for name, row in zip(groups[0], pooled["counts"], strict=True)]
    show_rows("Cross-table", ("group", *(Plain(f"{name}#") for name in groups[1])), table)


def _group_names(group: Mapping[str, Any]) -> list[str]:
    if "categories" in group:
        return [" | ".join(one) for one in group["categories"]]
    ends = [None, *group["edges"], None]
    return [_span(low, high) for low, high in pairwise(ends)]


def _span(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "all"
    if low is None:
        return f"below {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to below {high:g}"


def _show_missing(pooled: Mapping[str, Any]) -> None:
    rows = [[name, pooled["rows"], one] for name, one in pooled["missing"].items()]
    show_rows("Missing values", ("column", "rows#", "missing#"), rows)


def _show_survival(pooled: Mapping[str, Any]) -> None:
    rows = [
        [_span(one["from"], one["to"]), one["at_risk"], one["events"], one["survival"]]
        for one in pooled["intervals"]
    ]
    show_rows("Survival", ("interval", "at risk#", "events#", "survival#"), rows)


def _show_correlation(pooled: Mapping[str, Any]) -> None:
    rows = [[name, *row] for name, row in zip(pooled["terms"], pooled["correlation"], strict=True)]
    show_rows("Correlation", ("", *(Plain(f"{name}#") for name in pooled["terms"])), rows)


def _show_coefficients(pooled: Mapping[str, Any]) -> None:
    rows = [[one["term"], one["value"], one["error"]] for one in pooled["coefficients"]]
    show_rows("Coefficients", ("term", "value#", "standard error#"), rows)

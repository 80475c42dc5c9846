"""One hospital's part of the result record, and how it is read from JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from consilium.kernel.tables import Section
from consilium.space.objects import is_null, read_figure, read_pair

METHODS = (
    "federated",
    "recalibrated",
    "fine_tuned",
    "personalised",
    "local",
    "majority",
    "pooled",
)
"""Rows of every table: what is compared, in the order people read it."""

Row = dict[str, float | None]
"""A figure for each method."""
Intervals = dict[str, tuple[float, float] | None]
"""A 95 % interval for each method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Patients with similar predicted risk: mean prediction, share that came true, number."""

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Mean log loss of the shared model on one site's training part, after a round.

    Round 0 is the starting model. A site tells it when the next round begins,
    so the last round has no point.
    """

    round: int
    loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a hospital chose: mean loss by candidate, and on which patients.

    `by` is `validation`, `folds` or `nothing`.
    """

    by: str | None
    folds: int
    scores: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPoint:
    """Net benefit of the chosen model at one threshold, and of treating everybody."""

    threshold: float
    value: float | None
    low: float | None
    high: float | None
    treat_all: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """The chosen model on one class against the rest; `reason` where it is hidden."""

    index: int
    n: int | None
    reason: str | None
    sensitivity: Figure | None
    specificity: Figure | None
    auroc: Figure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupResult:
    """Figures of one group of a hospital's held-out patients; `reason` where it is hidden.

    `group` is empty for those of whom the field says nothing.
    """

    field: str
    unit: str
    group: str
    n: int | None
    patients: int | None
    reason: str | None
    figures: dict[str, Row]
    intervals: dict[str, Intervals]
    undefined: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResult:
    """One hospital's figures on its own held-out patients.

    `figures` holds a row for each figure of the study's target. In JSON these
    stand beside the other keys, each under its own name.
    """

    id: str
    title: str
    n_train: int
    n_test: int
    figures: dict[str, Row]
    intervals: dict[str, Intervals]
    undefined: dict[str, str]
    chosen: str
    choice: Choice
    calibration: dict[str, tuple[CalibrationBin, ...]]
    decision: tuple[DecisionPoint, ...]
    classes: tuple[ClassResult, ...]
    subgroups: tuple[SubgroupResult, ...]
    curve: tuple[CurvePoint, ...]


def flatten(plain: dict[str, Any]) -> dict[str, Any]:
    """Put figures beside the other keys, in a site and in its groups."""
    figures: dict[str, Any] = plain.pop("figures")
    if "subgroups" in plain:
        plain["subgroups"] = [flatten(each) for each in plain["subgroups"]]
    return plain | figures


def read_site(source: Section, metrics: Iterable[str]) -> SiteResult:
    """Read one hospital's part strictly.

    Raises
    ------
    IntegrityError
        `space.bad_record`, naming the key.
    """
    calibration = source.section("calibration", optional=True)
    names = tuple(metrics)
    return SiteResult(
        id=source.text("id"),
        title=source.text("title"),
        n_train=source.whole("n_train", low=0),
        n_test=source.whole("n_test", low=0),
        **_measured(source, names),
        chosen=source.text("chosen"),
        choice=_choice(source.section("choice", optional=True)),
        calibration={
            method: tuple(_bin(each) for each in calibration.sections(method, optional=True))
            for method in METHODS
            if calibration.has(method)
        },
        decision=tuple(_decision(each) for each in source.sections("decision", optional=True)),
        classes=tuple(_class(each) for each in source.sections("classes", optional=True)),
        subgroups=tuple(
            _subgroup(each, names) for each in source.sections("subgroups", optional=True)
        ),
        curve=tuple(_point(each) for each in source.sections("curve", optional=True)),
    )


def _measured(source: Section, metrics: Iterable[str]) -> dict[str, Any]:
    """Read figures, intervals and reasons, of a site or of one of its groups."""
    intervals = source.section("intervals", optional=True)
    undefined = source.section("undefined", optional=True)
    return {
        "figures": {metric: _over_methods(source, metric, read_figure) for metric in metrics},
        "intervals": {metric: _over_methods(intervals, metric, read_pair) for metric in metrics},
        "undefined": {key: undefined.text(key) for key in undefined.names()},
    }


def _choice(source: Section) -> Choice:
    scores = source.section("scores", optional=True)
    return Choice(
        by=_text_or_null(source, "by"),
        folds=source.whole("folds", low=0, default=0),
        scores={name: read_figure(scores, name) for name in scores.names()},
    )


def _decision(source: Section) -> DecisionPoint:
    return DecisionPoint(
        threshold=source.number("threshold", low=0, high=1),
        value=read_figure(source, "value"),
        low=read_figure(source, "low"),
        high=read_figure(source, "high"),
        treat_all=read_figure(source, "treat_all"),
    )


def _class(source: Section) -> ClassResult:
    return ClassResult(
        index=source.whole("index", low=0),
        n=_whole_or_null(source, "n"),
        reason=_text_or_null(source, "reason"),
        sensitivity=_figure(source, "sensitivity"),
        specificity=_figure(source, "specificity"),
        auroc=_figure(source, "auroc"),
    )


def _figure(source: Section, key: str) -> Figure | None:
    if is_null(source, key):
        return None
    inner = source.section(key)
    return Figure(value=read_figure(inner, "value"), interval=read_pair(inner, "interval"))


def _subgroup(source: Section, metrics: Iterable[str]) -> SubgroupResult:
    return SubgroupResult(
        field=source.text("field"),
        unit=source.text("unit", default=""),
        group=source.text("group"),
        n=_whole_or_null(source, "n"),
        patients=_whole_or_null(source, "patients"),
        reason=_text_or_null(source, "reason"),
        **_measured(source, metrics),
    )


def _text_or_null(source: Section, key: str) -> str | None:
    return None if is_null(source, key) else source.text(key)


def _whole_or_null(source: Section, key: str) -> int | None:
    return None if is_null(source, key) else source.whole(key, low=0)


_Entry = TypeVar("_Entry")


def _over_methods(
    source: Section, key: str, read: Callable[[Section, str], _Entry]
) -> dict[str, _Entry]:
    """Read one table with an entry for each method; an absent one is null throughout."""
    table = source.section(key, optional=True)
    return {method: read(table, method) for method in METHODS}


def _bin(source: Section) -> CalibrationBin:
    return CalibrationBin(
        predicted=source.number("predicted"),
        observed=source.number("observed"),
        n=source.whole("n", low=0),
    )


def _point(source: Section) -> CurvePoint:
    return CurvePoint(round=source.whole("round", low=0), loss=read_figure(source, "loss"))

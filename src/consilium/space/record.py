"""The result record: what a study found, in one JSON object.

The lead's node writes it from the hospitals' signed evaluations; the space adds
the pooled row where the data are public. `docs/result-record.md` explains every
field with its unit. A figure that is not defined (a ranking needs two classes)
is null, and `undefined` says why: never a number made up.
"""

from __future__ import annotations

import builtins
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from consilium.kernel.canonical import read_json
from consilium.kernel.tables import Section
from consilium.space.objects import open_record, read_figure, read_figures, read_pair

METHODS = ("federated", "recalibrated", "local", "majority", "pooled")
"""Rows of every table: what is compared, in the order people read it."""
METRICS = ("auroc", "accuracy", "brier", "slope")
"""Measures of every site: ranking, right answers, squared error, calibration slope."""
HIGHER_IS_BETTER = {"auroc": True, "accuracy": True, "brier": False}
"""Measures that have a mean and a worst over sites."""

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
class SiteResult:
    """One hospital's figures on its own held-out patients."""

    id: str
    title: str
    n_train: int
    n_test: int
    auroc: Row
    accuracy: Row
    brier: Row
    slope: Row
    intervals: dict[str, Intervals]
    undefined: dict[str, str]
    chosen: str
    calibration: dict[str, tuple[CalibrationBin, ...]]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. `round_overhead_s` holds, per round, what the slowest site's work leaves over."""

    command_to_first_round_s: float | None
    round_overhead_s: tuple[float, ...]
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes of models and replies: `up` from the hospitals, `down` to them."""

    up: int
    down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceVerdict:
    """Entries of all members' evidence logs, and whether every log was proved whole."""

    entries: int
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """The model: fingerprint of its bytes and the path of its passport."""

    digest: str
    passport: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """What a study found.

    `mean` and `worst` are taken over the sites where a figure is defined;
    `notes` are codes that the report says in words.
    """

    study: str
    recipe: str
    rule: str
    seed: int
    rounds: int
    sites: tuple[SiteResult, ...]
    mean: dict[str, Row]
    worst: dict[str, Row]
    timing: Timing
    bytes: Traffic
    evidence: EvidenceVerdict
    model: ModelRef
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def as_line(self) -> str:
        """Write the record as one line of JSON, the form of `--json`."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | builtins.bytes | str) -> ResultRecord:
        """Read a record strictly; `mean` and `worst` are computed when absent.

        Raises
        ------
        IntegrityError
            `space.bad_record`, naming the key.
        """
        source = read_json(data) if isinstance(data, builtins.bytes | str) else data
        return _record(open_record(source))

    def with_sites(self, sites: Iterable[SiteResult]) -> ResultRecord:
        """Return the record with other sites, its mean and worst computed anew."""
        kept = tuple(sites)
        return replace(self, sites=kept, mean=mean_rows(kept), worst=worst_rows(kept))


def mean_rows(sites: Iterable[SiteResult]) -> dict[str, Row]:
    """Average each figure over the sites where it is defined; null where none is."""
    return _over_sites(sites, dict.fromkeys(HIGHER_IS_BETTER, _average))


def worst_rows(sites: Iterable[SiteResult]) -> dict[str, Row]:
    """Take each figure's worst site: the least, or the greatest where less is better."""
    pick = {metric: (min if higher else max) for metric, higher in HIGHER_IS_BETTER.items()}
    return _over_sites(sites, pick)


def _over_sites(sites: Iterable[SiteResult], pick: Mapping[str, Any]) -> dict[str, Row]:
    kept = tuple(sites)
    return {
        metric: {method: _pick(kept, metric, method, choose) for method in METHODS}
        for metric, choose in pick.items()
    }


def _pick(sites: tuple[SiteResult, ...], metric: str, method: str, choose: Any) -> float | None:
    found = [getattr(site, metric)[method] for site in sites]
    defined = [value for value in found if value is not None]
    return float(choose(defined)) if defined else None


def _average(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _record(source: Section) -> ResultRecord:
    sites = tuple(_site(each) for each in source.sections("sites", optional=True))
    timing, traffic, evidence, model = (
        source.section(key, optional=True) for key in ("timing", "bytes", "evidence", "model")
    )
    return ResultRecord(
        study=source.text("study"),
        recipe=source.text("recipe"),
        rule=source.text("rule"),
        seed=source.whole("seed", low=0),
        rounds=source.whole("rounds", low=0),
        sites=sites,
        mean=mean_rows(sites),
        worst=worst_rows(sites),
        timing=Timing(
            command_to_first_round_s=read_figure(timing, "command_to_first_round_s"),
            round_overhead_s=read_figures(timing, "round_overhead_s"),
            total_s=timing.number("total_s"),
        ),
        bytes=Traffic(up=traffic.whole("up", low=0), down=traffic.whole("down", low=0)),
        evidence=EvidenceVerdict(
            entries=evidence.whole("entries", low=0), verified=evidence.flag("verified")
        ),
        model=ModelRef(digest=model.text("digest"), passport=model.text("passport")),
        notes=source.texts("notes", default=()),
    )


def _site(source: Section) -> SiteResult:
    intervals = source.section("intervals", optional=True)
    calibration = source.section("calibration", optional=True)
    undefined = source.section("undefined", optional=True)
    return SiteResult(
        id=source.text("id"),
        title=source.text("title"),
        n_train=source.whole("n_train", low=0),
        n_test=source.whole("n_test", low=0),
        auroc=_over_methods(source, "auroc", read_figure),
        accuracy=_over_methods(source, "accuracy", read_figure),
        brier=_over_methods(source, "brier", read_figure),
        slope=_over_methods(source, "slope", read_figure),
        intervals={metric: _over_methods(intervals, metric, read_pair) for metric in METRICS},
        undefined={key: undefined.text(key) for key in undefined.names()},
        chosen=source.text("chosen"),
        calibration={
            method: tuple(_bin(each) for each in calibration.sections(method, optional=True))
            for method in METHODS
            if calibration.has(method)
        },
        curve=tuple(_point(each) for each in source.sections("curve", optional=True)),
    )


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

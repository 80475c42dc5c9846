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
from typing import Any

from consilium.federation.outcome import metrics_of
from consilium.gate.orders import TARGETS
from consilium.kernel.canonical import read_json
from consilium.kernel.tables import Section
from consilium.measures.targets import HIGHER_IS_BETTER
from consilium.space.objects import open_record, read_figure, read_figures
from consilium.space.results import METHODS, Row, SiteResult, flatten, read_site

CHOSEN = "chosen"
"""Row of mean and worst: what each hospital chose for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the model predicts: kind, name, names of classes, unit of a number or a time."""

    kind: str = "binary"
    label: str = ""
    classes: tuple[str, ...] = ()
    unit: str = ""


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
    target: Target
    sites: tuple[SiteResult, ...]
    mean: dict[str, Row]
    worst: dict[str, Row]
    timing: Timing
    bytes: Traffic
    evidence: EvidenceVerdict
    model: ModelRef
    notes: tuple[str, ...] = field(default=())

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figures of the study's target; the first one leads."""
        return tuple(metrics_of(self.target.kind))

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        plain["sites"] = [flatten(site) for site in plain["sites"]]
        return plain

    def as_line(self) -> str:
        """Write the record as one line of JSON, the form of `--json`."""
        return json.dumps(self.as_json(), ensure_ascii=False, allow_nan=False)

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
        return replace(
            self,
            sites=kept,
            mean=mean_rows(kept, self.metrics),
            worst=worst_rows(kept, self.metrics),
        )


def mean_rows(sites: Iterable[SiteResult], metrics: Iterable[str]) -> dict[str, Row]:
    """Average each figure over the sites where it is defined; null where none is."""
    kept = tuple(sites)
    return {name: _over_sites(kept, name, _average) for name in ranked(metrics)}


def worst_rows(sites: Iterable[SiteResult], metrics: Iterable[str]) -> dict[str, Row]:
    """Take each figure's worst site: the least, or the greatest where less is better."""
    kept = tuple(sites)
    return {
        name: _over_sites(kept, name, min if HIGHER_IS_BETTER[name] else max)
        for name in ranked(metrics)
    }


def ranked(metrics: Iterable[str]) -> tuple[str, ...]:
    """List the figures that have a mean and a worst over sites."""
    return tuple(name for name in metrics if name in HIGHER_IS_BETTER)


def _over_sites(
    sites: tuple[SiteResult, ...], metric: str, choose: Callable[[list[float]], float]
) -> Row:
    rows = [
        site.figures[metric] | {CHOSEN: site.figures[metric].get(site.chosen)} for site in sites
    ]
    return {method: _pick(rows, method, choose) for method in (*METHODS, CHOSEN)}


def _pick(rows: Iterable[Row], method: str, choose: Callable[[list[float]], float]) -> float | None:
    defined = [value for row in rows if (value := row[method]) is not None]
    return float(choose(defined)) if defined else None


def _average(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _record(source: Section) -> ResultRecord:
    target = _target(source.section("target", optional=True))
    metrics = tuple(metrics_of(target.kind))
    sites = tuple(read_site(each, metrics) for each in source.sections("sites", optional=True))
    timing, traffic, evidence, model = (
        source.section(key, optional=True) for key in ("timing", "bytes", "evidence", "model")
    )
    return ResultRecord(
        study=source.text("study"),
        recipe=source.text("recipe"),
        rule=source.text("rule"),
        seed=source.whole("seed", low=0),
        rounds=source.whole("rounds", low=0),
        target=target,
        sites=sites,
        mean=mean_rows(sites, metrics),
        worst=worst_rows(sites, metrics),
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


def _target(source: Section) -> Target:
    return Target(
        kind=source.choice("kind", TARGETS, default="binary"),
        label=source.text("label", default=""),
        classes=source.texts("classes", default=()),
        unit=source.text("unit", default=""),
    )

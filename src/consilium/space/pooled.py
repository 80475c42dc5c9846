"""The pooled row: what one model on all patients in one place would reach.

It is the ceiling to compare with, and lawful only where every dataset is
declared public. It is computed here, by the program that runs the space, from
the files themselves: outside the federation, with no agreement and no evidence
entry, and the report says so. Reader, schema, split, recipe, number of training
steps and measures are the same; the scaling is learned from all training parts
together, as one does when the data lie in one place.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from consilium.federation.contract import Cases, Needs, Vector
from consilium.federation.outcome import METRICS as MEASURES
from consilium.federation.recalibration import sigmoid
from consilium.federation.registry import Recipes
from consilium.federation.simulation import fit_pooled
from consilium.federation.site import read_cases
from consilium.gate.facts import round_figure
from consilium.gate.orders import FieldNeed
from consilium.kernel.canonical import Json
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import LeaseId
from consilium.measures.intervals import measure
from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest
from consilium.readers.schema import Schema
from consilium.space.plans import DatasetPlan, SpacePlan, StudyPlan
from consilium.space.record import METRICS, ResultRecord, SiteResult
from consilium.space.schemas import schema_of

POOLED = "pooled"
ONLY_FEDERATED = frozenset({"proximal_mu"})
"""Recipe settings that make sense in a federation only."""


def add_pooled(record: ResultRecord, plan: SpacePlan, study: StudyPlan) -> ResultRecord:
    """Return the record with its pooled row, or with the reason why there is none.

    Parameters
    ----------
    record : ResultRecord
        As the lead's node gave it.
    plan, study : SpacePlan, StudyPlan
        Where the files are, and how the study learned.

    Raises
    ------
    NotFoundError
        `space.no_recipe`.
    """
    if not plan.is_public(study):
        sites = [_without(site) for site in record.sites]
        return replace(record.with_sites(sites), notes=(*record.notes, "space.not_public"))
    rows = pooled_rows(plan, study)
    sites = [_with_row(site, rows[site.id]) for site in record.sites]
    return replace(record.with_sites(sites), notes=(*record.notes, "space.pooled_public"))


def pooled_rows(plan: SpacePlan, study: StudyPlan) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Train one model on all sites' training parts; judge it on each held-out part.

    Returns
    -------
    dict
        By participant, each metric's measurement record.
    """
    installed = Recipes().find(study.recipe)
    if installed is None:
        raise NotFoundError("space.no_recipe", recipe=study.recipe)
    recipe = installed.load()
    given = {key: value for key, value in study.settings.items() if key not in ONLY_FEDERATED}
    settings = recipe.read_settings(given)
    tables = {
        plan.id_of(member): _open_table(plan.get_dataset(member, name))
        for member, name in study.datasets.items()
    }
    leads = tables.get(plan.id_of(study.lead), next(iter(tables.values())))
    needs = Needs(features=leads.features)
    sides = {site: read_cases(table, needs) for site, table in tables.items()}
    fitted = fit_pooled(
        recipe, sides, needs=needs, settings=settings, rounds=study.rounds, seed=study.seed
    )
    chances = sigmoid(fitted.predict(fitted.prepared.held_out))
    ends = np.cumsum([held_out.n for _, held_out in sides.values()])
    parts = np.split(chances, ends[:-1])
    return {
        site: _judge(held_out, part, seed=study.seed)
        for (site, (_, held_out)), part in zip(sides.items(), parts, strict=True)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """An opened array file in the form that a job process gets."""

    file: BinaryIO
    features: tuple[FieldNeed, ...]

    @property
    def id(self) -> LeaseId:
        return LeaseId(POOLED)

    @property
    def kept(self) -> bytes:
        return b""

    @property
    def facts(self) -> Mapping[str, Json]:
        columns: list[Json] = [
            {"name": each.name, "categories": list(each.categories)} for each in self.features
        ]
        return {"columns": columns}


def _open_table(dataset: DatasetPlan) -> _Table:
    """Read a file through the same reader as its hospital does; keep the arrays in memory."""
    text = schema_of(dataset)
    with tempfile.TemporaryDirectory() as folder:
        request = IntakeRequest(
            source=dataset.path, schema=text, out=Path(folder), schema_name=dataset.schema
        )
        result = take_in(request, progress=lambda _step, _done: None)
        data = result.arrays.read_bytes()
    features = tuple(
        FieldNeed(name=each.name, kind=each.kind, unit=each.unit, categories=each.categories)
        for each in Schema.from_toml(text, file=dataset.schema).features
    )
    return _Table(file=io.BytesIO(data), features=features)


def _judge(held_out: Cases, chances: Vector, *, seed: int) -> dict[str, Mapping[str, Any]]:
    found = measure(
        held_out.y, chances, group=held_out.group, seed=seed, metrics=tuple(MEASURES.values())
    )
    return {name: _rounded(found[measured].as_record()) for name, measured in MEASURES.items()}


def _rounded(record: Mapping[str, Json]) -> dict[str, Json]:
    """Round figures as the hospitals' output gates do, so that equal models show equal figures."""
    return {
        key: round_figure(value) if isinstance(value, float) else value
        for key, value in record.items()
    }


def _with_row(site: SiteResult, row: Mapping[str, Mapping[str, Any]]) -> SiteResult:
    """Put a row of measurements beside the others."""
    figures = {metric: getattr(site, metric) | {POOLED: row[metric]["value"]} for metric in METRICS}
    intervals = {
        metric: site.intervals[metric]
        | {
            POOLED: None
            if row[metric]["low"] is None
            else (row[metric]["low"], row[metric]["high"])
        }
        for metric in METRICS
    }
    reasons = {
        f"{metric}.{POOLED}": str(row[metric]["reason"])
        for metric in METRICS
        if row[metric]["value"] is None
    }
    return replace(site, **figures, intervals=intervals, undefined=site.undefined | reasons)


def _without(site: SiteResult) -> SiteResult:
    reasons = {f"{metric}.{POOLED}": "space.not_public" for metric in METRICS}
    return replace(site, undefined=site.undefined | reasons)

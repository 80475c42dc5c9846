"""Every method's predictions for one simulated federation, and the figures made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.table_data import Tables
from consilium.federation.contract import Cases, Chance, EvaluationPlan, Recipe
from consilium.federation.evaluation import MAJORITY, Judge, choose, kind_of
from consilium.federation.simulation import Simulated, fit_pooled, simulate
from consilium.kernel.identifiers import ParticipantId
from consilium.measures.discrimination import accuracy, auroc

Said = dict[str, dict[str, list[float]]]
"""What each method says of each held-out case, by site and method."""
Vector = npt.NDArray[np.float64]
Figure = Callable[[Vector, Vector], float]
"""From truth and predictions of one site to a figure; NaN where undefined."""
RESAMPLES = 1000
POOLED, CHOSEN = "pooled", "chosen"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to train: recipe, its settings, rule and rounds."""

    recipe: Recipe
    settings: Mapping[str, Any]
    rounds: int
    rule: str = "fedavg"
    rule_settings: Mapping[str, Any] | None = None

    def typed(self) -> Any:
        """Return the settings as the recipe reads them."""
        return self.recipe.read_settings(self.settings)

    def simulate(self, tables: Tables, *, seed: int) -> Simulated:
        """Run the federation."""
        return simulate(
            self.recipe,
            tables.sites,
            needs=tables.needs,
            settings=self.typed(),
            rounds=self.rounds,
            seed=seed,
            rule=self.rule,
            rule_settings=self.rule_settings,
        )

    def pool(self, tables: Tables, *, seed: int) -> dict[str, list[float]]:
        """Train on all rows in one place; predict each site's held-out part."""
        fitted = fit_pooled(
            self.recipe,
            tables.sites,
            needs=tables.needs,
            settings=without_federation(self.typed()),
            rounds=self.rounds,
            seed=seed,
        )
        raw = fitted.predict(fitted.prepared.held_out)
        said = kind_of(tables.needs.target).read(raw)
        ends = np.cumsum([held_out.n for _, held_out in tables.sites.values()])
        parts = np.split(said, ends[:-1])
        return {site: plain(part) for site, part in zip(tables.sites, parts, strict=True)}


def without_federation(settings: Any) -> Any:
    """Return settings for training at one place, as recipes themselves make them."""
    changes = {"proximal_mu": 0.0, "personal": "none"}
    return replace(settings, **{k: v for k, v in changes.items() if hasattr(settings, k)})


def judge_of(way: Way, tables: Tables, found: Simulated, site: str, *, seed: int) -> Judge:
    """Return the product's own judge of a site, as after a study."""
    settings = way.typed()
    return Judge(
        recipe=way.recipe,
        arrays=found.model,
        settings=settings,
        alone=without_federation(settings),
        plan=EvaluationPlan(
            needs=tables.needs,
            start=way.recipe.initial(tables.needs, settings, seed=seed),
            rounds=way.rounds,
            chance=Chance(seed=seed, participant=ParticipantId(site)),
            kept=found.kept[site],
        ),
    )


def say_all(
    way: Way, tables: Tables, *, seed: int, sites: Sequence[str] = (), pooled: bool = True
) -> tuple[Said, dict[str, str]]:
    """Run a federation; return what every candidate says of held-out cases, and the choices."""
    found = way.simulate(tables, seed=seed)
    everywhere = way.pool(tables, seed=seed) if pooled else {}
    said: Said = {}
    chosen = {}
    for site in sites or tables.sites:
        judge = judge_of(way, tables, found, site, seed=seed)
        prepared = found.prepared[site]
        candidates = judge.fit(prepared.train)
        rows = {
            name: plain(judge.kind.read(predict(prepared.held_out)))
            for name, predict in candidates.items()
        }
        rows[MAJORITY] = plain(judge.kind.guess(prepared.train, prepared.held_out))
        chosen[site] = str(choose(judge, prepared, fitted=candidates)["chosen"])
        rows[CHOSEN] = rows[chosen[site]]
        if pooled:
            rows[POOLED] = everywhere[site]
        said[site] = rows
    return said, chosen


def plain(values: Any) -> list[float]:
    """Return numbers for a line of JSON."""
    return [round(float(value), 6) for value in values]


def auroc_of(y: Vector, said: Vector) -> float:
    """AUROC, NaN with one class."""
    return _value(auroc(y, said).value)


def accuracy_of(y: Vector, said: Vector) -> float:
    """Accuracy at one half."""
    return _value(accuracy(y, said).value)


def mae_of(y: Vector, said: Vector) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(said - y)))


def rmse_of(y: Vector, said: Vector) -> float:
    """Root mean square error."""
    return float(np.sqrt(np.mean((said - y) ** 2)))


def _value(found: float | None) -> float:
    return np.nan if found is None else found


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A figure with its interval over patients, and its sd over seeds."""

    value: float
    low: float
    high: float
    sd: float = 0.0

    def as_record(self) -> dict[str, float]:
        """Return numbers for JSON."""
        return {name: round(getattr(self, name), 4) for name in ("value", "low", "high", "sd")}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was said of the held-out cases, which are the same for all seeds."""

    truth: Mapping[str, Cases]
    said: Sequence[Said]

    def mean(
        self, figure: Figure, row: str, *, sites: Sequence[str], minus: str | None = None
    ) -> Spread:
        """Average a method's figure over sites, then over seeds; bootstrap over patients.

        `minus` names a method whose figure is taken off, on the same patients.
        """
        means = [self._means(figure, row, minus, dict.fromkeys(sites, slice(None)))]
        generator = np.random.default_rng(7)
        for _ in range(RESAMPLES):
            drawn = {site: _draw(self.truth[site], generator) for site in sites}
            means.append(self._means(figure, row, minus, drawn))
        low, high = np.nanpercentile([np.nanmean(each) for each in means[1:]], [2.5, 97.5])
        return Spread(
            value=float(np.mean(means[0])),
            low=float(low),
            high=float(high),
            sd=float(np.std(means[0])),
        )

    def by_site(self, figure: Figure, row: str, *, sites: Sequence[str]) -> dict[str, float]:
        """Average a method's figure over seeds, for each site."""
        return {
            site: round(float(np.mean([self._one(figure, one, site, row) for one in self.said])), 4)
            for site in sites
        }

    def _means(
        self, figure: Figure, row: str, minus: str | None, index: Mapping[str, Any]
    ) -> Vector:
        """Return the mean over sites for each seed."""
        found = []
        for one in self.said:
            each = [self._one(figure, one, site, row, rows) for site, rows in index.items()]
            if minus is not None:
                other = [self._one(figure, one, site, minus, rows) for site, rows in index.items()]
                each = list(np.subtract(each, other))
            found.append(np.nanmean(each))
        return np.array(found)

    def _one(
        self, figure: Figure, said: Said, site: str, row: str, index: Any = slice(None)
    ) -> float:
        return figure(self.truth[site].y[index], np.asarray(said[site][row])[index])


def _draw(cases: Cases, generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw patients with replacement; return their rows. At a home, draw recordings."""
    patients = np.unique(cases.group)
    if len(patients) in (1, cases.n):
        return generator.integers(cases.n, size=cases.n)
    rows = {patient: np.flatnonzero(cases.group == patient) for patient in patients}
    return np.concatenate([rows[p] for p in generator.choice(patients, len(patients))])

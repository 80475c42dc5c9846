"""From a cohort's rows to sufficient statistics: a few totals, never a row.

Pure numpy. What may be computed, and on which rows, the gate has decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from consilium.federation.registry import recipe_digest
from consilium.federation.statistics.site.design import Numbers, expand, terms
from consilium.gate.computation import Beta, Computed, Sample
from consilium.gate.questions import (
    COUNT,
    CROSSTAB,
    HISTOGRAM,
    LOGISTIC,
    MEAN,
    MISSING,
    MOMENTS,
    SURVIVAL,
    Question,
)
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import InputError

VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteComputation:
    """The installed computation; `digest` is of its files."""

    digest: Digest

    def compute(self, question: Question, sample: Sample) -> Computed:
        """Return the figures of one step of a question.

        Discloses
        ---------
        Nothing by itself: the gate decides what leaves.
        """
        return _COMPUTE[question.statistic](question, sample)

    def begin(self, question: Question) -> Beta:
        """Return where a logistic regression begins: at zero.

        Discloses
        ---------
        Nothing.
        """
        return (0.0,) * (1 + len(terms(question, question.variables[1:])))

    def advance(self, beta: Beta, figures: Sequence[Mapping[str, Json]]) -> Beta:
        """Take one step of Newton's method from the hospitals' pooled figures.

        Raises
        ------
        InputError
            `federation.no_step` when the figures lead nowhere: the predictors
            depend on one another, or predict the outcome without fail.

        Discloses
        ---------
        Nothing.

        Sources
        -------
        McCullagh and Nelder, Generalized Linear Models, 1989, section 2.5.
        """
        gradient = np.zeros(len(beta))
        curvature = np.zeros((len(beta), len(beta)))
        for one in figures:
            found = square(one["curvature"])
            if found.shape != curvature.shape:
                raise InputError("federation.no_step")
            gradient += np.array(one["gradient"], dtype=np.float64)
            curvature += found
        try:
            step = np.linalg.solve(curvature, gradient)
        except np.linalg.LinAlgError as error:
            raise InputError("federation.no_step") from error
        if not np.isfinite(step).all():
            raise InputError("federation.no_step")
        return tuple(float(one) for one in np.array(beta) + step)


@cache
def installed_statistics() -> SiteComputation:
    """Return the computation of this release, with the digest of its files.

    Discloses
    ---------
    Nothing: it reads this machine's installed files.
    """
    folder = Path(__file__).parent
    return SiteComputation(
        digest=recipe_digest(folder, name="statistics", version=VERSION, schema=())
    )


def square(rows: Any) -> Numbers:
    """Read a symmetric matrix from the rows of its upper triangle.

    Discloses
    ---------
    Nothing.
    """
    listed = list(rows)
    found = np.zeros((len(listed), len(listed)))
    for place, row in enumerate(listed):
        found[place, place:] = row
        found[place:, place] = row
    return found


def _triangle(matrix: Numbers) -> list[Json]:
    return [[float(one) for one in row[place:]] for place, row in enumerate(matrix)]


def _count(_question: Question, sample: Sample) -> Computed:
    patients = int(np.unique(sample.patients).size)
    return Computed(figures={"patients": patients, "rows": int(sample.patients.size)})


def _mean(question: Question, sample: Sample) -> Computed:
    """Number, mean and sum of squared deviations of each variable, where it has a value."""
    found: dict[str, Json] = {}
    for name in question.variables:
        values = sample.values[name]
        known = values[~np.isnan(values)]
        mean = float(known.mean()) if known.size else 0.0
        spread = float(np.square(known - mean).sum())
        found[name] = {"n": int(known.size), "mean": mean, "m2": spread}
    return Computed(figures={"variables": found})


def _missing(question: Question, sample: Sample) -> Computed:
    found: dict[str, Json] = {
        name: int(np.isnan(sample.values[name]).sum()) for name in question.variables
    }
    return Computed(figures={"rows": int(sample.patients.size), "missing": found})


def _table(question: Question, sample: Sample) -> Computed:
    """Count the rows in each group, or pair of groups."""
    known = ~np.any([np.isnan(sample.values[name]) for name in question.variables], axis=0)
    labels = [one.label(sample.values[one.column])[known] for one in sample.groups]
    shape = tuple(len(one.members) for one in sample.groups)
    flat = np.ravel_multi_index(tuple(labels), shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    groups: list[Json] = [one.describe() for one in sample.groups]
    return Computed(figures={"groups": groups, "counts": counts.tolist()})


def _moments(question: Question, sample: Sample) -> Computed:
    """Number, means, and sums of products of deviations, of all columns together."""
    columns = expand(question, question.variables, sample.values)
    means = columns.mean(axis=0)
    centred = columns - means
    figures: dict[str, Json] = {
        "n": int(columns.shape[0]),
        "mean": [float(one) for one in means],
        "cross": _triangle(centred.T @ centred),
    }
    return Computed(figures=figures)


def _logistic(question: Question, sample: Sample) -> Computed:
    """Gradient and curvature of the log likelihood at the step's coefficients.

    The rows' residuals and weights go to the gate, which looks at how many
    patients carry them.
    """
    outcome = question.variables[0]
    event = question.get_column(outcome).categories.index(question.event)
    y = (sample.values[outcome] == event).astype(np.float64)
    columns = expand(question, question.variables[1:], sample.values)
    x = np.column_stack([np.ones(y.size), columns])
    log_odds = np.clip(x @ np.array(sample.beta), -700, 700)
    chance = 1.0 / (1.0 + np.exp(-log_odds))
    weights, residuals = chance * (1.0 - chance), y - chance
    figures: dict[str, Json] = {
        "n": int(y.size),
        "gradient": [float(one) for one in x.T @ residuals],
        "curvature": _triangle((x * weights[:, None]).T @ x),
    }
    return Computed(figures=figures, weights=(weights, residuals))


_COMPUTE: Mapping[str, Callable[[Question, Sample], Computed]] = {
    COUNT: _count,
    MEAN: _mean,
    MISSING: _missing,
    HISTOGRAM: _table,
    CROSSTAB: _table,
    SURVIVAL: _table,
    MOMENTS: _moments,
    LOGISTIC: _logistic,
}

"""Pooling: from the hospitals' sufficient statistics to the figures of all patients together.

For means, variances, tables and regressions this is exact: the pooled figures
are those of the pooled data, up to the last digits. Quantiles are known as
well as the bins say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from consilium.federation.statistics.bins import pool_table
from consilium.federation.statistics.site.computing import square
from consilium.federation.statistics.site.design import Numbers, terms
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
from consilium.kernel.errors import InputError

Figures = Mapping[str, Any]
Pooled = dict[str, Any]


def pool(question: Question, answers: Sequence[Figures]) -> Pooled:
    """Pool hospitals' figures.

    Parameters
    ----------
    answers : sequence of mapping
        Each hospital's figures of one step, in the order of their names.

    Raises
    ------
    InputError
        `federation.figures_differ` if they do not fit together.

    Discloses
    ---------
    Nothing: the figures are the lead's already.
    """
    try:
        return _POOL[question.statistic](question, answers)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError("federation.figures_differ") from error


def correlate(pooled: Mapping[str, Any]) -> Pooled:
    """Turn pooled moments into Pearson's correlations; None where a column does not vary.

    Discloses
    ---------
    Nothing.
    """
    cross = np.array(pooled["cross"], dtype=np.float64)
    spread = np.sqrt(np.diag(cross))
    size = len(pooled["terms"])
    rows = [
        [
            float(cross[i, j] / (spread[i] * spread[j])) if spread[i] and spread[j] else None
            for j in range(size)
        ]
        for i in range(size)
    ]
    return {"n": pooled["n"], "terms": pooled["terms"], "correlation": rows}


def fit_line(pooled: Mapping[str, Any]) -> Pooled:
    """Fit the first of pooled moments' columns to the others by least squares.

    Returns
    -------
    dict
        `n`, `residual_sd`, `r2`, and `coefficients` with `term`, `value` and
        `error`, the intercept first.

    Raises
    ------
    InputError
        `federation.no_step` when the predictors depend on one another.

    Discloses
    ---------
    Nothing.
    """
    cross = np.array(pooled["cross"], dtype=np.float64)
    means = np.array(pooled["mean"], dtype=np.float64)
    inner, outer = cross[1:, 1:], cross[1:, 0]
    # Columns of one size, so that their units do not cost digits.
    size = np.sqrt(np.diag(inner))
    if not size.all():
        raise InputError("federation.no_step")
    inverse = _inverse(inner / np.outer(size, size)) / np.outer(size, size)
    slopes = inverse @ outer
    n, free = pooled["n"], pooled["n"] - len(means)
    rest = max(float(cross[0, 0] - slopes @ outer), 0.0)
    variance = rest / free if free > 0 else math.nan
    start = float(means[0] - slopes @ means[1:])
    errors: Numbers = np.sqrt(variance * np.diag(inverse))
    start_error = math.sqrt(variance * (1 / n + float(means[1:] @ inverse @ means[1:])))
    return {
        "n": n,
        "residual_sd": math.sqrt(variance),
        "r2": 1 - rest / float(cross[0, 0]) if cross[0, 0] else None,
        "coefficients": [
            _coefficient("intercept", start, start_error),
            *(
                _coefficient(term, float(value), float(error))
                for term, value, error in zip(pooled["terms"][1:], slopes, errors, strict=True)
            ),
        ],
    }


def describe_logistic(question: Question, beta: Sequence[float], pooled: Pooled) -> Pooled:
    """Say the coefficients of a logistic regression, with the errors of its last step.

    Discloses
    ---------
    Nothing.
    """
    errors: Numbers = np.sqrt(np.diag(_inverse(np.array(pooled["curvature"]))))
    names = ("intercept", *terms(question, question.variables[1:]))
    return {
        "n": pooled["n"],
        "coefficients": [
            _coefficient(name, float(value), float(error))
            for name, value, error in zip(names, beta, errors, strict=True)
        ],
    }


def _coefficient(term: str, value: float, error: float) -> Pooled:
    return {"term": term, "value": value, "error": error}


def _inverse(matrix: Any) -> Numbers:
    try:
        found: Numbers = np.linalg.inv(matrix)
    except np.linalg.LinAlgError as error:
        raise InputError("federation.no_step") from error
    return found


def _count(_question: Question, answers: Sequence[Figures]) -> Pooled:
    return {name: sum(int(one[name]) for one in answers) for name in ("patients", "rows")}


def _mean(question: Question, answers: Sequence[Figures]) -> Pooled:
    """Join means and sums of squares two by two (Chan, Golub and LeVeque 1983)."""
    found = {}
    for name in question.variables:
        n, mean, m2 = 0, 0.0, 0.0
        for one in (answer["variables"][name] for answer in answers):
            both = n + int(one["n"])
            if both <= 0:
                continue
            apart = float(one["mean"]) - mean
            m2 += float(one["m2"]) + apart * apart * n * int(one["n"]) / both
            mean += apart * int(one["n"]) / both
            n = both
        variance = m2 / (n - 1) if n > 1 else None
        sd = None if variance is None else math.sqrt(max(variance, 0.0))
        found[name] = {"n": n, "mean": mean if n else None, "variance": variance, "sd": sd}
    return {"variables": found}


def _missing(question: Question, answers: Sequence[Figures]) -> Pooled:
    rows = sum(int(one["rows"]) for one in answers)
    missing = {}
    for name in question.variables:
        counts = [one["missing"][name] for one in answers]
        missing[name] = None if None in counts else sum(counts)
    return {"rows": rows, "missing": missing}


def _moments(question: Question, answers: Sequence[Figures]) -> Pooled:
    names = terms(question, question.variables)
    n, mean = 0, np.zeros(len(names))
    cross = np.zeros((len(names), len(names)))
    for one in answers:
        more, both = int(one["n"]), n + int(one["n"])
        apart = np.array(one["mean"], dtype=np.float64) - mean
        cross += square(one["cross"]) + np.outer(apart, apart) * n * more / both
        mean += apart * more / both
        n = both
    return {"n": n, "terms": list(names), "mean": mean.tolist(), "cross": cross.tolist()}


def _survival(question: Question, answers: Sequence[Figures]) -> Pooled:
    """Kaplan and Meier's estimate on the grid: an event counts at the end of its interval."""
    table = pool_table(question, answers)
    event = question.get_column(question.variables[1]).categories.index(question.event)
    counts = np.array(table["counts"], dtype=np.int64)
    groups = table["groups"][0]
    at_risk, alive, steps = int(counts.sum()), 1.0, []
    for place, row in enumerate(counts):
        events = int(row[event])
        alive *= 1 - events / at_risk if at_risk else 1.0
        steps.append(
            {
                "from": groups["edges"][place - 1] if place else None,
                "to": groups["edges"][place] if place < len(groups["edges"]) else None,
                "at_risk": at_risk,
                "events": events,
                "survival": alive,
            }
        )
        at_risk -= int(row.sum())
    return {"n": int(counts.sum()), "intervals": steps}


def _logistic(_question: Question, answers: Sequence[Figures]) -> Pooled:
    curvature = sum(square(one["curvature"]) for one in answers)
    gradient = sum(np.array(one["gradient"], dtype=np.float64) for one in answers)
    n = sum(int(one["n"]) for one in answers)
    return {"n": n, "gradient": list(gradient), "curvature": np.asarray(curvature).tolist()}  # type: ignore[arg-type]


_POOL: Mapping[str, Callable[[Question, Sequence[Figures]], Pooled]] = {
    COUNT: _count,
    MEAN: _mean,
    MISSING: _missing,
    HISTOGRAM: pool_table,
    CROSSTAB: pool_table,
    SURVIVAL: _survival,
    MOMENTS: _moments,
    LOGISTIC: _logistic,
}

"""Judging a model with noise: one histogram, and everything else from that.

Held-out patients are counted by label and by tenths of the predicted chance.
Each patient is in one cell, so one discrete Laplace draw for each cell hides
every patient at the plan's epsilon; figures are worked out from noisy counts
alone and cost nothing more. No patient of the held-out part is ever trained on,
so nobody pays for both (parallel composition, McSherry, SIGMOD 2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.federation.noise.source import NoiseSource, Vector
from consilium.gate.noise import add_noise
from consilium.kernel.canonical import Json
from consilium.measures.records import Measurement

BINS = 10
NOT_WITH_NOISE = "federation.not_with_noise"
METRICS = ("auroc", "accuracy", "brier", "calibration_slope")
WITHHELD = ("recalibrated", "local", "majority")
"""Rows of an exact evaluation that depend on training patients: they stay empty."""
Counts = npt.NDArray[np.float64]


def noisy_figures(
    y: Vector,
    chances: Vector,
    *,
    group: npt.NDArray[np.int64],
    epsilon: float,
    source: NoiseSource,
    min_cases: int,
) -> dict[str, Json]:
    """Judge predicted chances of a label of two classes, with noise.

    Parameters
    ----------
    y, chances : arrays of shape (n,)
        Labels 0 or 1, and chances within [0, 1]; what is not finite counts as 0.5.
    group : array of shape (n,)
        Patient by row. A patient with several rows counts with the first.
    epsilon : float
        Privacy loss of all that is returned, together.
    min_cases : int
        Bins with fewer cases, by their noisy count, are left out.

    Returns
    -------
    dict
        `rows`, `bins` and `choice` as an exact evaluation has them, with figures
        of the federated model alone. Without intervals, and without what noisy
        counts cannot give.

    Discloses
    ---------
    Figures with noise, at a privacy loss of `epsilon` for each held-out patient.
    """
    counts = _draw(y, chances, group=group, epsilon=epsilon, source=source)
    rows: dict[str, Json] = {name: {**_figures({}, n=len(y))} for name in WITHHELD}
    rows["federated"] = {**_figures(_values(counts), n=len(y))}
    return {
        "rows": rows,
        "bins": {"federated": _bins(counts, most=len(y), min_cases=max(min_cases, 1))},
        "choice": {"chosen": "federated", "scores": {}, "folds": 0},
    }


def _draw(
    y: Vector,
    chances: Vector,
    *,
    group: npt.NDArray[np.int64],
    epsilon: float,
    source: NoiseSource,
) -> Counts:
    """Count patients by label (rows) and bin (columns), with noise, none below 0."""
    _, firsts = np.unique(group, return_index=True)
    known = np.nan_to_num(chances[firsts], nan=0.5)
    places = np.clip((known * BINS).astype(np.intp), 0, BINS - 1)
    flat = (y[firsts] > 0).astype(np.intp) * BINS + places
    share = Fraction(repr(float(epsilon)))
    drawn = [
        add_noise(int(count), sensitivity=1, epsilon=share, draw=source.below)
        for count in np.bincount(flat, minlength=2 * BINS)
    ]
    return np.maximum(np.array(drawn, dtype=np.float64), 0.0).reshape(2, BINS)


def _values(counts: Counts) -> dict[str, float]:
    total, negatives, positives = counts.sum(), counts[0].sum(), counts[1].sum()
    half = BINS // 2
    values: dict[str, float] = {}
    if total:
        right = counts[0, :half].sum() + counts[1, half:].sum()
        wrong = (_middles() - np.array([[0.0], [1.0]])) ** 2
        values["accuracy"] = float(right / total)
        values["brier"] = float((counts * wrong).sum() / total)
    if negatives and positives:
        below = np.cumsum(counts[0]) - counts[0]
        pairs = counts[1] @ (below + counts[0] / 2)
        values["auroc"] = float(pairs / (negatives * positives))
    return values


def _figures(values: Mapping[str, float], *, n: int) -> Mapping[str, Any]:
    return {
        name: Measurement(
            value=values.get(name), n=n, reason=None if name in values else NOT_WITH_NOISE
        ).as_record()
        for name in METRICS
    }


def _bins(counts: Counts, *, most: int, min_cases: int) -> list[Json]:
    shown: list[Json] = []
    for middle, negatives, positives in zip(_middles(), *counts, strict=True):
        total = int(min(negatives + positives, most))
        if total >= min_cases:
            share = min(float(positives / (negatives + positives)), 1.0)
            shown.append({"n": total, "predicted": float(middle), "observed": share})
    return shown


def _middles() -> Vector:
    return np.asarray((np.arange(BINS) + 0.5) / BINS, dtype=np.float64)

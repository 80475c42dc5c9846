"""What every metric is built on: checked cases and rows of weights.

A metric is written once, for a matrix of weights with one row per resample.
The plain figure is the row of ones; a bootstrap is a thousand rows of counts.
So interval and figure can never follow different formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.records import NOT_CONVERGED, TOO_FEW_CASES, Measurement

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

BlockOf = Callable[[Matrix], Vector]
"""Takes weights of shape (resamples, cases), gives one figure each; NaN = undefined."""


class Metric(Protocol):
    """A figure over labels and predictions."""

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Do once what does not depend on the weights."""
        ...

    def reason(self, y: Vector, p: Vector) -> str | None:
        """Say why the figure is undefined on these cases, or None."""
        ...


def check_cases(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Vector, Vector]:
    """Return labels and predictions as float64 vectors of one length.

    Parameters
    ----------
    y : array of shape (n,)
        Labels, each 0 or 1.
    p : array of shape (n,)
        Predicted chances of the positive class, each within [0, 1].

    Raises
    ------
    InputError
        `measures.bad_cases`.
    """
    labels, chances = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != chances.shape:
        raise InputError("measures.bad_cases", labels=labels.size, predictions=chances.size)
    if not np.isin(labels, (0.0, 1.0)).all() or not ((chances >= 0) & (chances <= 1)).all():
        raise InputError("measures.bad_cases", labels=labels.size, predictions=chances.size)
    return labels, chances


def measure_plain(metric: Metric, y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Take a metric over all cases once, without an interval."""
    labels, chances = check_cases(y, p)
    if not labels.size:
        return Measurement(value=None, n=0, reason=TOO_FEW_CASES)
    reason = metric.reason(labels, chances)
    if reason:
        return Measurement(value=None, n=labels.size, reason=reason)
    value = float(metric.prepare(labels, chances)(np.ones((1, labels.size)))[0])
    if not np.isfinite(value):
        return Measurement(value=None, n=labels.size, reason=NOT_CONVERGED)
    return Measurement(value=value, n=labels.size)

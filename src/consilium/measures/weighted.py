"""What every metric is built on: checked cases and rows of weights.

A metric is written once, for a matrix of weights with one row per resample.
The plain figure is the row of ones; a bootstrap is a thousand rows of counts.
So interval and figure can never follow different formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure made ready on its cases: it can be taken under any weights.

    Attributes
    ----------
    n : int
        Cases it is taken over.
    block : BlockOf, optional
        Takes it; None when it is undefined on these cases, and `reason` says why.
    reason : str, optional
        Code of a sentence.
    """

    n: int
    block: BlockOf | None = None
    reason: str | None = None


def prepare_figure(metric: Metric, y: Vector, p: Vector) -> Figure:
    """Make a metric ready on checked labels and predictions of shape (n,)."""
    reason = metric.reason(y, p) if y.size else TOO_FEW_CASES
    if reason:
        return Figure(n=y.size, reason=reason)
    return Figure(n=y.size, block=metric.prepare(y, p))


def take_plain(figure: Figure) -> Measurement:
    """Take a figure with weight one for every case, without an interval."""
    if figure.block is None:
        return Measurement(value=None, n=figure.n, reason=figure.reason)
    value = float(figure.block(np.ones((1, figure.n)))[0])
    if not np.isfinite(value):
        return Measurement(value=None, n=figure.n, reason=NOT_CONVERGED)
    return Measurement(value=value, n=figure.n)


def measure_plain(metric: Metric, y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Take a metric over all cases once, without an interval."""
    labels, chances = check_cases(y, p)
    return take_plain(prepare_figure(metric, labels, chances))


def mean_of(each: Vector) -> BlockOf:
    """Take the weighted mean of one finite number per case, shape (n,)."""

    def block(weights: Matrix) -> Vector:
        found: Vector = (weights @ each) / weights.sum(axis=1)
        return found

    return block


def check_finite(*columns: npt.ArrayLike) -> tuple[Vector, ...]:
    """Return columns as finite float64 vectors of one length.

    Raises
    ------
    InputError
        `measures.bad_values`.
    """
    found = tuple(np.asarray(column, dtype=np.float64) for column in columns)
    sizes = ", ".join(str(one.size) for one in found)
    if any(one.ndim != 1 or one.size != found[0].size for one in found):
        raise InputError("measures.bad_values", sizes=sizes)
    if not all(np.isfinite(one).all() for one in found):
        raise InputError("measures.bad_values", sizes=sizes)
    return found

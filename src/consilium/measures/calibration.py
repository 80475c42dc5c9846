"""Whether predicted chances mean what they say: Brier, log loss, slope, intercept, bins, error."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.logistic import fit_recalibration, log_odds
from consilium.measures.records import (
    NO_SPREAD,
    ONE_CLASS,
    CalibrationBin,
    Measurement,
)
from consilium.measures.weighted import BlockOf, Matrix, Vector, check_cases, measure_plain

FLOOR = 1e-15
"""Chances are kept this far from 0 and 1 before a logarithm is taken."""


def brier(y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Measure the mean squared distance of chances from outcomes, within [0, 1].

    Sources
    -------
    Brier, Monthly Weather Review 78, 1950 (two-class form).
    """
    return measure_plain(Brier(), y, p)


def log_loss(y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Measure the mean negative log likelihood in nats; chances are kept from 0 and 1."""
    return measure_plain(LogLoss(), y, p)


def calibration_slope(y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Measure the slope of outcomes on the log odds of the predictions.

    One is right; below one the predictions are too extreme. A weak pull
    towards 1 keeps it finite when the classes are separated.

    Returns
    -------
    Measurement
        Undefined with one class (`measures.one_class`) or when all predictions
        are alike (`measures.no_spread`).

    Sources
    -------
    Cox, Biometrika 45, 1958; Van Calster et al., BMC Medicine 17:230, 2019.
    """
    return measure_plain(CalibrationSlope(), y, p)


def calibration_intercept(y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Measure calibration in the large: the shift of log odds that fits best.

    Zero is right; above zero the predictions are too low. The slope is held at
    1. Undefined with one class (`measures.one_class`), where it has no end.
    """
    return measure_plain(CalibrationIntercept(), y, p)


def calibration_error(y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 10) -> Measurement:
    """Measure the expected calibration error over bins of equal width, within [0, 1].

    Bin b of B holds the predictions in [b/B, (b+1)/B); the last holds 1 too.
    In each bin the mean prediction is compared with the share of positives, and
    the distances are averaged by the bins' cases. The figure depends on the
    number of bins and is biased upwards on few cases: state the bins, and
    compare only figures over equally many cases.

    Parameters
    ----------
    y, p : array of shape (n,)
        Labels and predicted chances.
    bins : int, optional
        At least 1.

    Raises
    ------
    InputError
        `measures.bad_bins`, `measures.bad_cases`.

    Sources
    -------
    Naeini et al., AAAI 2015; Guo et al., ICML 2017, equation 5. Bias: Bröcker,
    Climate Dynamics 39, 2012.
    """
    if bins < 1:
        raise InputError("measures.bad_bins", bins=bins)
    return measure_plain(CalibrationError(bins=bins), y, p)


def calibration_bins(
    y: npt.ArrayLike, p: npt.ArrayLike, *, bins: int = 10, minimum: int = 10
) -> tuple[CalibrationBin, ...]:
    """Group cases of like prediction for a calibration plot.

    Bins hold about equally many cases; equal predictions stay together, and a
    bin of fewer than `minimum` cases joins its neighbour.

    Parameters
    ----------
    y, p : array of shape (n,)
        Labels and predicted chances.
    bins : int, optional
        At most so many, at least 1.
    minimum : int, optional
        Fewest cases in a bin, at least 1.

    Returns
    -------
    tuple of CalibrationBin
        By rising prediction; empty when there are fewer than `minimum` cases.
    """
    labels, chances = check_cases(y, p)
    minimum = max(1, minimum)
    if labels.size < minimum:
        return ()
    order = np.argsort(chances, kind="stable")
    labels, chances = labels[order], chances[order]
    wanted = np.linspace(0, labels.size, max(1, min(bins, labels.size // minimum)) + 1)[1:-1]
    # A cut moves left to where its prediction begins, so ties stay together.
    cuts = np.unique(np.searchsorted(chances, chances[wanted.round().astype(int)]))
    kept = [0]
    for cut in [*cuts.tolist(), labels.size]:
        if cut - kept[-1] >= minimum:
            kept.append(cut)
    kept[-1] = labels.size
    return tuple(
        CalibrationBin(
            predicted=float(chances[start:end].mean()),
            observed=float(labels[start:end].mean()),
            n=end - start,
        )
        for start, end in pairwise(kept)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Brier:
    """Mean squared error of chances as a weighted metric."""

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Any case will do."""
        return None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Square once; each resample is a weighted mean."""
        squared = (p - y) ** 2
        return lambda weights: (weights @ squared) / weights.sum(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLoss:
    """Mean negative log likelihood as a weighted metric."""

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Any case will do."""
        return None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Take logarithms once; each resample is a weighted mean."""
        kept = np.clip(p, FLOOR, 1 - FLOOR)
        loss = -(y * np.log(kept) + (1 - y) * np.log1p(-kept))
        return lambda weights: (weights @ loss) / weights.sum(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSlope:
    """Slope of logistic recalibration as a weighted metric."""

    def reason(self, y: Vector, p: Vector) -> str | None:
        """Both classes and two different predictions are needed."""
        if not 0 < y.sum() < y.size:
            return ONE_CLASS
        return NO_SPREAD if np.ptp(log_odds(p)) == 0 else None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Take log odds once; each resample is a fit of two numbers."""
        z = log_odds(p)

        def block(weights: Matrix) -> Vector:
            return fit_recalibration(y, z, weights, slope=True)[:, 1]

        return block


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationIntercept:
    """Calibration in the large as a weighted metric."""

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Both classes are needed."""
        return None if 0 < y.sum() < y.size else ONE_CLASS

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Take log odds once; each resample is a fit of one number."""
        z = log_odds(p)

        def block(weights: Matrix) -> Vector:
            return fit_recalibration(y, z, weights, slope=False)[:, 0]

        return block


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError:
    """Expected calibration error over bins of equal width as a weighted metric."""

    bins: int = 10

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Any case will do."""
        return None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Sort cases into bins once; each resample is a sum over bins."""
        place = np.minimum((p * self.bins).astype(np.intp), self.bins - 1)
        # The weighted distance of a bin times its weight is |sum of w (p - y)| over its cases.
        distance = np.zeros((y.size, self.bins))
        distance[np.arange(y.size), place] = p - y
        return lambda weights: np.abs(weights @ distance).sum(axis=1) / weights.sum(axis=1)

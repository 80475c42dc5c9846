"""Intervals by resampling patients: how far a figure could have been otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.calibration import (
    Brier,
    CalibrationIntercept,
    CalibrationSlope,
    LogLoss,
)
from consilium.measures.discrimination import Accuracy, Auroc
from consilium.measures.records import TOO_FEW_PATIENTS, TOO_FEW_RESAMPLES, Measurement
from consilium.measures.weighted import Matrix, Metric, Vector, check_cases, measure_plain

METRICS: Mapping[str, Metric] = {
    "auroc": Auroc(),
    "accuracy": Accuracy(),
    "brier": Brier(),
    "log_loss": LogLoss(),
    "calibration_slope": CalibrationSlope(),
    "calibration_intercept": CalibrationIntercept(),
}
"""The figures that can be asked for by name."""

RESAMPLES = 1000
LEAST_VALID = 0.5
"""An interval needs this share of resamples in which the figure is defined."""

_BLOCK = 4_000_000  # weights held at once: 32 MB


def measure(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    metrics: Sequence[str] = tuple(METRICS),
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, Measurement]:
    """Measure figures by name, each with a percentile interval over patients.

    Patients are drawn with replacement, each with all its cases, and every
    figure is taken on the same draws. The same arguments give the same
    figures to the last bit on the same machine.

    Parameters
    ----------
    y : array of shape (n,)
        Labels, each 0 or 1.
    p : array of shape (n,)
        Predicted chances of the positive class, within [0, 1].
    group : array of shape (n,), integer
        Patient number of each case.
    seed : int
        Not negative.
    metrics : sequence of str, optional
        Names out of `METRICS`.
    resamples : int, optional
        Draws, at least 1.
    level : float, optional
        Share that the interval covers, within (0, 1).

    Returns
    -------
    dict of str to Measurement
        Without interval, and with the reason, where there are fewer than two
        patients or too few draws in which the figure is defined.

    Raises
    ------
    InputError
        `measures.bad_cases`, `measures.unknown_metric`.

    Sources
    -------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13;
    resampling whole patients: Davison and Hinkley, 1997, section 3.8.
    """
    labels, chances = check_cases(y, p)
    patients = np.unique(np.asarray(group), return_inverse=True)[1].reshape(-1)
    if patients.shape != labels.shape:
        raise InputError("measures.bad_cases", labels=labels.size, predictions=patients.size)
    found = {name: measure_plain(_get_metric(name), labels, chances) for name in metrics}
    asked = [name for name, one in found.items() if one.value is not None]
    if not asked:
        return found
    if patients.max() < 1:
        return found | {name: replace(found[name], reason=TOO_FEW_PATIENTS) for name in asked}
    draws = _resample(asked, labels, chances, patients=patients, seed=seed, resamples=resamples)
    return found | {name: _with_interval(found[name], draws[name], level) for name in asked}


def _resample(
    names: Sequence[str],
    y: Vector,
    p: Vector,
    *,
    patients: npt.NDArray[np.intp],
    seed: int,
    resamples: int,
) -> dict[str, Vector]:
    """Take each figure on each draw of patients; a block of draws at a time."""
    blocks = {name: METRICS[name].prepare(y, p) for name in names}
    found = {name: np.empty(resamples) for name in names}
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // y.size)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        weights = _draw(generator, patients, count)
        for name, block in blocks.items():
            found[name][start : start + count] = block(weights)
    return found


def _draw(generator: np.random.Generator, patients: npt.NDArray[np.intp], count: int) -> Matrix:
    """Draw patients with replacement; a case weighs as often as its patient was drawn."""
    n_patients = int(patients.max()) + 1
    drawn = generator.integers(0, n_patients, size=(count, n_patients))
    drawn += np.arange(count)[:, None] * n_patients
    times = np.bincount(drawn.reshape(-1), minlength=count * n_patients)
    weights: Matrix = times.reshape(count, n_patients)[:, patients].astype(np.float64)
    return weights


def _with_interval(plain: Measurement, draws: Vector, level: float) -> Measurement:
    valid = draws[np.isfinite(draws)]
    skipped = draws.size - valid.size
    if valid.size < max(1, LEAST_VALID * draws.size):
        return replace(plain, reason=TOO_FEW_RESAMPLES, skipped=skipped)
    tail = (1 - level) / 2
    low, high = np.quantile(valid, (tail, 1 - tail))
    return replace(plain, low=float(low), high=float(high), skipped=skipped)


def _get_metric(name: str) -> Metric:
    if name not in METRICS:
        raise InputError("measures.unknown_metric", metric=name, known=", ".join(METRICS))
    return METRICS[name]

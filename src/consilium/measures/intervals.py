"""Figures of binary predictions by name, each with an interval over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.calibration import (
    Brier,
    CalibrationError,
    CalibrationIntercept,
    CalibrationSlope,
    LogLoss,
)
from consilium.measures.discrimination import (
    Accuracy,
    Auroc,
    BalancedAccuracy,
    Sensitivity,
    Specificity,
)
from consilium.measures.records import Measurement
from consilium.measures.resampling import RESAMPLES, measure_figures, number_patients
from consilium.measures.weighted import Figure, Metric, check_cases, prepare_figure

METRICS: Mapping[str, Metric] = {
    "auroc": Auroc(),
    "accuracy": Accuracy(),
    "brier": Brier(),
    "log_loss": LogLoss(),
    "calibration_slope": CalibrationSlope(),
    "calibration_intercept": CalibrationIntercept(),
}
"""The figures that are taken when none is named."""

ON_REQUEST: Mapping[str, Metric] = {
    "balanced_accuracy": BalancedAccuracy(),
    "sensitivity": Sensitivity(),
    "specificity": Specificity(),
    "calibration_error": CalibrationError(),
}
"""Further figures that can be asked for by name."""


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
        Names out of `METRICS` and `ON_REQUEST`.
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
    """
    figures = prepare_binary(y, p, metrics=metrics)
    number_patients(group, check_cases(y, p)[0].size)
    return measure_figures(figures, group=group, seed=seed, resamples=resamples, level=level)


def prepare_binary(
    y: npt.ArrayLike, p: npt.ArrayLike, *, metrics: Sequence[str] = tuple(METRICS)
) -> dict[str, Figure]:
    """Make figures of binary predictions ready by name.

    Raises
    ------
    InputError
        `measures.bad_cases`, `measures.unknown_metric`.
    """
    labels, chances = check_cases(y, p)
    return {name: prepare_figure(_get_metric(name), labels, chances) for name in metrics}


def _get_metric(name: str) -> Metric:
    known = {**METRICS, **ON_REQUEST}
    if name not in known:
        raise InputError("measures.unknown_metric", metric=name, known=", ".join(known))
    return known[name]

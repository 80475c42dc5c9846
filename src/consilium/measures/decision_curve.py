"""Decision curves: what acting on a model gains over treating everybody or nobody.

AUROC does not say whether a model is worth using. A clinic that would treat at
a chance of 10 % accepts nine needless treatments for each needed one; the net
benefit counts both in this currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.measures.records import Measurement
from consilium.measures.resampling import RESAMPLES, measure_figures, number_patients
from consilium.measures.weighted import BlockOf, Vector, check_cases, mean_of, prepare_figure

THRESHOLDS = tuple(step / 100 for step in range(5, 100, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPoint:
    """Net benefits at one threshold, in true positives for each case.

    Attributes
    ----------
    threshold : float
        Chance at and above which one would treat, within (0, 1).
    model : Measurement
        Treat as the model says.
    treat_all : Measurement
        Treat everybody. Treating nobody has the net benefit 0 everywhere.
    """

    threshold: float
    model: Measurement
    treat_all: Measurement

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {
            "threshold": self.threshold,
            "model": self.model.as_record(),
            "treat_all": self.treat_all.as_record(),
            "treat_none": 0.0,
        }


def decision_curve(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = RESAMPLES,
) -> tuple[DecisionPoint, ...]:
    """Take net benefits over thresholds, with 95 % intervals over patients at each.

    The net benefit at threshold t is TP/n - FP/n * t/(1-t), where a case whose
    prediction equals t is treated. It is at most the share of positives, and
    below zero where treating nobody would be better.

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
    thresholds : sequence of float, optional
        Each within (0, 1).
    resamples : int, optional
        Draws, at least 1.

    Returns
    -------
    tuple of DecisionPoint
        One for each threshold, in the order asked. Defined with one class too;
        undefined only without cases (`measures.too_few_cases`).

    Raises
    ------
    InputError
        `measures.bad_threshold`, `measures.bad_cases`.

    Sources
    -------
    Vickers and Elkin, Medical Decision Making 26, 2006; intervals: Vickers et
    al., BMC Medical Informatics and Decision Making 8:53, 2008.
    """
    labels, chances = check_cases(y, p)
    number_patients(group, labels.size)
    figures = {}
    for place, threshold in enumerate(thresholds):
        metric = NetBenefit(threshold=threshold)
        figures[f"model.{place}"] = prepare_figure(metric, labels, chances)
        figures[f"all.{place}"] = prepare_figure(metric, labels, np.ones_like(chances))
    found = measure_figures(figures, group=group, seed=seed, resamples=resamples)
    return tuple(
        DecisionPoint(
            threshold=threshold, model=found[f"model.{place}"], treat_all=found[f"all.{place}"]
        )
        for place, threshold in enumerate(thresholds)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetBenefit:
    """Net benefit at one threshold as a weighted metric.

    Raises
    ------
    InputError
        `measures.bad_threshold` when the threshold is not within (0, 1).
    """

    threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError("measures.bad_threshold", threshold=self.threshold)

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Any case will do."""
        return None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Weigh each case once; each resample is a weighted mean."""
        odds = self.threshold / (1 - self.threshold)
        return mean_of((p >= self.threshold) * (y - (1 - y) * odds))

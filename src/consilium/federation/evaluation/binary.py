"""Judging yes or no: chances, their ranking and their calibration."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor, Vector
from consilium.federation.evaluation.kind import Correction, Losses, count_alike
from consilium.federation.recalibration import fit_intercept, sigmoid
from consilium.kernel.canonical import Json
from consilium.measures.calibration import FLOOR, calibration_bins
from consilium.measures.decision_curve import THRESHOLDS, decision_curve
from consilium.measures.intervals import measure
from consilium.measures.records import Measurement
from consilium.measures.targets import OF_TARGET


class Binary:
    """A label that is yes or no; predictions are log-odds, and say chances."""

    metrics = OF_TARGET["binary"]

    def read(self, raw: Tensor) -> Tensor:
        """Turn log-odds into chances."""
        return sigmoid(raw)

    def measure(
        self, cases: Cases, said: Tensor, *, seed: int, resamples: int
    ) -> dict[str, Measurement]:
        """Take AUROC, accuracy, Brier score and calibration slope."""
        return measure(
            cases.y,
            said,
            group=cases.group,
            seed=seed,
            metrics=self.metrics,
            resamples=resamples,
        )

    def losses(self, cases: Cases, said: Tensor) -> Losses:
        """Return the log loss, in nats."""
        chance = np.where(cases.y > 0, said, 1 - said)
        return count_alike(-np.log(np.maximum(chance, FLOOR)))

    def recalibrate(self, train: Cases, raw: Tensor) -> Correction:
        """Fit one intercept."""
        shift = fit_intercept(raw, train.y)
        return lambda other: other + shift

    def guess(self, train: Cases, cases: Cases) -> Tensor:
        """Say the training part's prevalence."""
        return np.full(cases.n, train.y.mean())

    def group(self, cases: Cases, said: Tensor, *, minimum: int) -> list[Json]:
        """Group by predicted chance."""
        bins = calibration_bins(cases.y, said, minimum=minimum)
        return [one.as_record() for one in bins]

    def detail(self, cases: Cases, said: Tensor, *, plan: EvaluationPlan) -> dict[str, Json]:
        """Tell the decision curve, at thresholds that set no few patients apart."""
        thresholds = tell_apart(said, minimum=plan.min_cases)
        curve = decision_curve(
            cases.y,
            said,
            group=cases.group,
            seed=plan.chance.seed,
            thresholds=thresholds,
            resamples=plan.resamples,
        )
        points: list[Json] = [
            {
                "n": one.model.n,
                "threshold": one.threshold,
                "value": one.model.value,
                "low": one.model.low,
                "high": one.model.high,
                "treat_all": one.treat_all.value,
            }
            for one in curve
        ]
        return {"decision": points}


def tell_apart(chances: Vector, *, minimum: int) -> list[float]:
    """List the thresholds of a decision curve between which enough patients lie, or none.

    A net benefit is a sum of two counts. From two neighbouring thresholds one
    could work out how many patients lie between them, so those must be none or
    at least `minimum`; so must those above the last threshold.

    Discloses
    ---------
    Nothing by itself; thresholds are the same for all hospitals.
    """
    kept, before = [], chances.size
    for threshold in THRESHOLDS:
        above = int(np.count_nonzero(chances >= threshold))
        between = before - above
        if between in range(1, minimum) or above in range(1, minimum):
            continue
        kept.append(threshold)
        before = above
    return kept

"""Judging a model at one hospital, on its own held-out patients.

Every judgement stands beside three others: the federated model with the
site's own intercept, a model trained on the site's own data alone, and the
site's prevalence as a constant. What leaves is aggregate: figures with
intervals, and calibration bins of a minimum size.

The site also chooses which of the three models it would use, by log loss in
cross-validation inside its training part. The held-out part is never asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilium.federation.contract import (
    Cases,
    EvaluationPlan,
    Index,
    Prepared,
    Recipe,
    Vector,
    train_rounds,
)
from consilium.federation.recalibration import fit_intercept, sigmoid
from consilium.kernel.canonical import Json
from consilium.measures.calibration import calibration_bins, log_loss
from consilium.measures.intervals import measure
from consilium.measures.records import Measurement
from consilium.models.weights import Arrays

_NOTHING: Arrays = {}
METRICS = ("auroc", "accuracy", "brier", "calibration_slope")
CANDIDATES = ("federated", "recalibrated", "local")
FOLDS = 5
NOT_FINITE = "federation.not_finite"

Predict = Callable[[Cases], Vector]
"""From cases to log-odds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What the rows of one site's evaluation are made from.

    `alone` are the settings for local-only training: the study's, without what
    makes sense only in a federation.
    """

    recipe: Recipe
    arrays: Arrays
    settings: Any
    alone: Any
    plan: EvaluationPlan

    def fit(self, train: Cases) -> dict[str, Predict]:
        """Return each candidate, fitted on `train` where it is fitted at all."""
        shift = fit_intercept(self.federated(train), train.y)
        local = self.train_alone(train)
        return {
            "federated": self.federated,
            "recalibrated": lambda cases: self.federated(cases) + shift,
            "local": lambda cases: self.recipe.predict(cases, local, self.alone, kept=_NOTHING),
        }

    def federated(self, cases: Cases) -> Vector:
        """Return the federated model's log-odds."""
        return self.recipe.predict(cases, self.arrays, self.settings, kept=_NOTHING)

    def train_alone(self, train: Cases) -> Arrays:
        """Train from the same start, for as many rounds, on the site's own cases."""
        return train_rounds(
            self.recipe,
            train,
            self.plan.start,
            self.alone,
            chance=self.plan.chance,
            rounds=self.plan.rounds,
        ).arrays


def evaluate_site(judge: Judge, prepared: Prepared) -> dict[str, Json]:
    """Judge a model for a label of two classes on the held-out part.

    Parameters
    ----------
    judge : Judge
        Recipe, weights, settings and plan.
    prepared : Prepared
        The site's cases.

    Returns
    -------
    dict
        `n_train`, `n_test`; `rows` (federated, recalibrated, local, majority:
        each of `METRICS` as a measurement's record); `bins` (calibration of
        federated, recalibrated and the chosen one); `choice`.

    Discloses
    ---------
    Figures over the held-out part with intervals, two counts of cases, and
    calibration bins of at least `plan.min_cases` cases. Never a row, a
    prediction of one patient, the local weights or the site's intercept.

    Sources
    -------
    Steyerberg, Clinical Prediction Models, 2nd ed. 2019, chapters 15 and 20.
    """
    train, held_out = prepared.train, prepared.held_out
    candidates = judge.fit(train)
    chances = {name: _chances(predict(held_out)) for name, predict in candidates.items()}
    rows = chances | {"majority": np.full(held_out.n, train.y.mean())}
    choice = choose(judge, train)
    shown = {"federated", "recalibrated", str(choice["chosen"])}
    return {
        "n_train": train.n,
        "n_test": held_out.n,
        "rows": {name: _measured(held_out, p, judge.plan) for name, p in rows.items()},
        "bins": {name: _bins(held_out, chances[name], judge.plan) for name in sorted(shown)},
        "choice": choice,
    }


def choose(judge: Judge, train: Cases) -> dict[str, Json]:
    """Choose a candidate by log loss over patient-wise folds of the training part.

    The federated model has seen these patients too, as one site's share of the
    federation; its score is a little flattered, the others' are not.

    Returns
    -------
    dict
        `chosen`, `scores` (log loss by candidate, null where undefined) and
        `folds`; with fewer than two patients the federated model, unscored.

    Discloses
    ---------
    One mean log loss for each candidate.
    """
    folds = _folds(train, judge.plan)
    if len(folds) < 2:
        return {"chosen": "federated", "scores": dict.fromkeys(CANDIDATES), "folds": 0}
    z = {name: np.empty(train.n) for name in CANDIDATES}
    for fold in folds:
        for name, predict in judge.fit(train.take(~fold)).items():
            z[name][fold] = predict(train.take(fold))
    scores = {name: _score(train.y, z[name]) for name in CANDIDATES}
    known = {name: score for name, score in scores.items() if score is not None}
    chosen = min(known, key=lambda name: known[name]) if known else "federated"
    return {"chosen": chosen, "scores": {**scores}, "folds": len(folds)}


def _folds(train: Cases, plan: EvaluationPlan) -> list[Index]:
    """Deal patients into folds; each fold as a mask over the rows."""
    patients = plan.chance.draw("folds").permutation(np.unique(train.group))
    parts = np.array_split(patients, max(1, min(FOLDS, len(patients))))
    return [np.isin(train.group, part) for part in parts]


def _chances(z: Vector) -> Vector:
    """Turn log-odds into chances; infinite ones, from weights that diverged, into NaN."""
    return np.where(np.isfinite(z), sigmoid(z), np.nan)


def _score(y: Vector, z: Vector) -> float | None:
    return log_loss(y, sigmoid(z)).value if np.isfinite(z).all() else None


def _measured(cases: Cases, p: Vector, plan: EvaluationPlan) -> Mapping[str, Json]:
    if not np.isfinite(p).all():
        lost = Measurement(value=None, n=cases.n, reason=NOT_FINITE)
        return dict.fromkeys(METRICS, lost.as_record())
    seed = int(plan.chance.draw("bootstrap").integers(2**31))
    found = measure(
        cases.y, p, group=cases.group, seed=seed, metrics=METRICS, resamples=plan.resamples
    )
    return {name: found[name].as_record() for name in METRICS}


def _bins(cases: Cases, p: Vector, plan: EvaluationPlan) -> list[Json]:
    if not np.isfinite(p).all():
        return []
    return [one.as_record() for one in calibration_bins(cases.y, p, minimum=plan.min_cases)]

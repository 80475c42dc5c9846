"""The candidates: what a hospital could use after a study, each fitted on its own data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilium.federation.contract import (
    Cases,
    EvaluationPlan,
    Needs,
    Recipe,
    Tensor,
    Trained,
    train_rounds,
)
from consilium.federation.evaluation.kind import TargetKind
from consilium.federation.evaluation.kinds import kind_of
from consilium.gate.subgroups import Places
from consilium.models.weights import Arrays

CANDIDATES = ("federated", "recalibrated", "fine_tuned", "personalised", "local")
"""In the order in which equals are chosen: what is simplest and most shared comes first."""

Predict = Callable[[Cases], Tensor]
"""From cases to predictions on the recipe's scale."""

_NOTHING: Arrays = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What the rows of one site's evaluation are made from.

    Attributes
    ----------
    recipe : Recipe
        The recipe that calls.
    arrays : mapping of str to array
        The shared model to judge.
    settings : object
        The study's, as `read_settings` gave them.
    alone : object
        The settings for training at one site: the study's, without what makes
        sense only in a federation (a proximal term, a personal model).
    plan : EvaluationPlan
        Needs, start, rounds, chance, and what the site kept.
    tuning_rounds : int
        Rounds of local training that make `fine_tuned` from the shared model;
        0 for no such candidate.
    """

    recipe: Recipe
    arrays: Arrays
    settings: Any
    alone: Any
    plan: EvaluationPlan
    tuning_rounds: int = 1

    @property
    def strata(self) -> tuple[Places, ...]:
        """For each field that the plan wants apart, the group of every held-out case."""
        return self.plan.strata

    @property
    def needs(self) -> Needs:
        """What the study asks for and predicts."""
        return self.plan.needs

    @property
    def kept(self) -> Arrays:
        """What the site kept after the last round; empty where the method is not personal."""
        return self.plan.kept

    @property
    def kind(self) -> TargetKind:
        """How predictions are read and measured."""
        return kind_of(self.needs.target)

    def fit(self, train: Cases) -> dict[str, Predict]:
        """Return each candidate as it would be used, fitted on `train` where it is fitted at all.

        Discloses
        ---------
        Nothing: predictions stay in the job process.
        """
        return self._fit(train, personal=lambda cases: self._predict(cases, kept=self.kept))

    def fit_without(self, train: Cases) -> dict[str, Predict]:
        """Return each candidate fitted on some patients only, to be scored on the others.

        What the site kept has seen all of them, so the personal model is made
        anew: as many rounds of the recipe's own training as the study had, on
        `train` alone, each from the final shared model.

        Discloses
        ---------
        Nothing: predictions stay in the job process.
        """
        again = self._personalise(train) if self.kept else _NOTHING
        return self._fit(train, personal=lambda cases: self._predict(cases, kept=again))

    def federated(self, cases: Cases) -> Tensor:
        """Predict with the shared model alone."""
        return self._predict(cases, kept=_NOTHING)

    def train_alone(self, train: Cases) -> Trained:
        """Train from the study's start, for as many rounds, on the site's own cases."""
        plan = self.plan
        return train_rounds(
            self.recipe, train, plan.start, self.alone, chance=plan.chance, rounds=plan.rounds
        )

    def _fit(self, train: Cases, *, personal: Predict) -> dict[str, Predict]:
        correct = self.kind.recalibrate(train, self.federated(train))
        found: dict[str, Predict] = {"federated": self.federated}
        if correct is not None:
            found["recalibrated"] = lambda cases: correct(self.federated(cases))
        if self.tuning_rounds:
            found["fine_tuned"] = self._use(self._tune(train))
        if self.kept:
            found["personalised"] = personal
        return found | {"local": self._use(self.train_alone(train))}

    def _predict(self, cases: Cases, *, kept: Arrays) -> Tensor:
        return self.recipe.predict(cases, self.arrays, self.settings, kept=kept)

    def _use(self, trained: Trained) -> Predict:
        """Predict with what training at this site alone left, its local arrays included."""
        return lambda cases: self.recipe.predict(
            cases, trained.arrays, self.alone, kept=trained.kept
        )

    def _tune(self, train: Cases) -> Trained:
        """Train on from the shared model."""
        trained = Trained(arrays=self.arrays, facts={})
        for number in range(1, self.tuning_rounds + 1):
            trained = self._round(train, trained, self.plan.rounds + number, settings=self.alone)
        return trained

    def _personalise(self, train: Cases) -> Arrays:
        """Make what the site would have kept, had it only these cases and this shared model."""
        trained = Trained(arrays=self.arrays, facts={})
        for number in range(1, self.plan.rounds + 1):
            held = Trained(arrays=self.arrays, facts={}, kept=trained.kept)
            trained = self._round(train, held, number, settings=self.settings)
        return trained.kept

    def _round(self, train: Cases, start: Trained, number: int, *, settings: Any) -> Trained:
        return self.recipe.train(
            train,
            start.arrays,
            settings,
            chance=self.plan.chance,
            number=number,
            kept=start.kept,
        )


def read_all(
    judge: Judge, candidates: Mapping[str, Predict], cases: Cases
) -> dict[str, Tensor | None]:
    """Let each candidate say what it predicts; None where its predictions are not finite.

    Discloses
    ---------
    Nothing: predictions stay in the job process.
    """
    return {name: _read(judge.kind, predict(cases)) for name, predict in candidates.items()}


def _read(kind: TargetKind, raw: Tensor) -> Tensor | None:
    return kind.read(raw) if np.isfinite(raw).all() else None

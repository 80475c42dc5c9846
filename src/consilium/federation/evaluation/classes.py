"""Judging several classes: which one, how often rightly, and how sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor
from consilium.federation.evaluation.kind import Correction, Losses, count_alike
from consilium.federation.recalibration import fit_class_biases, softmax
from consilium.kernel.canonical import Json
from consilium.measures.calibration import FLOOR, calibration_bins
from consilium.measures.intervals import measure
from consilium.measures.records import Measurement
from consilium.measures.several_classes import measure_classes
from consilium.measures.subgroups import hide_groups
from consilium.measures.targets import OF_TARGET

MOST_CLASSES = 40
"""With more classes than this nothing is told of each class apart."""


@dataclass(frozen=True, slots=True)
class Classes:
    """One of `count` classes; predictions are logits, and say a chance for each class."""

    count: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the figures."""
        return OF_TARGET["classes"]

    def read(self, raw: Tensor) -> Tensor:
        """Turn logits into chances."""
        return softmax(raw)

    def measure(
        self, cases: Cases, said: Tensor, *, seed: int, resamples: int
    ) -> dict[str, Measurement]:
        """Take macro AUROC, accuracy, balanced accuracy and Brier score."""
        return measure_classes(cases.y, said, group=cases.group, seed=seed, resamples=resamples)

    def losses(self, cases: Cases, said: Tensor) -> Losses:
        """Return the log loss of the true class, in nats."""
        chance = said[np.arange(cases.n), cases.y.astype(np.intp)]
        return count_alike(-np.log(np.maximum(chance, FLOOR)))

    def recalibrate(self, train: Cases, raw: Tensor) -> Correction:
        """Fit one bias for each class."""
        biases = fit_class_biases(raw, train.y)
        return lambda other: other + biases

    def guess(self, train: Cases, cases: Cases) -> Tensor:
        """Say the classes' shares of the training part."""
        shares = np.bincount(train.y.astype(np.intp), minlength=self.count) / max(1, train.n)
        return np.tile(shares, (cases.n, 1))

    def group(self, cases: Cases, said: Tensor, *, minimum: int) -> list[Json]:
        """Group by the chance of the class that was called, against how often it was right."""
        right = (said.argmax(axis=1) == cases.y).astype(np.float64)
        bins = calibration_bins(right, said.max(axis=1).clip(0, 1), minimum=minimum)
        return [one.as_record() for one in bins]

    def detail(self, cases: Cases, said: Tensor, *, plan: EvaluationPlan) -> dict[str, Json]:
        """Tell each class apart, by its index: how many of it were found, and its AUROC."""
        if self.count > MOST_CLASSES:
            return {}
        inside = [np.unique(cases.group[cases.y == one]) for one in range(self.count)]
        hidden = hide_groups(inside, least=plan.min_cases)
        rows: list[Json] = [
            {"index": one, "reason": hidden[one]}
            if one in hidden
            else {"index": one, **_one_class(cases, said, one, plan=plan)}
            for one in range(self.count)
        ]
        return {"classes": rows}


def _one_class(cases: Cases, said: Tensor, one: int, *, plan: EvaluationPlan) -> dict[str, Json]:
    """Take the figures of one class against the rest."""
    member = (cases.y == one).astype(np.float64)
    called = (said.argmax(axis=1) == one).astype(np.float64)
    seed, resamples = plan.chance.seed, plan.resamples
    share = measure(
        member,
        called,
        group=cases.group,
        seed=seed,
        metrics=("sensitivity", "specificity"),
        resamples=resamples,
    )
    area = measure(
        member,
        said[:, one].clip(0, 1),
        group=cases.group,
        seed=seed,
        metrics=("auroc",),
        resamples=resamples,
    )
    found = {**share, **area}
    return {"n": int(member.sum()), **{name: one.as_record() for name, one in found.items()}}

"""Judging predicted numbers: how far they lie from the true ones."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor
from consilium.federation.evaluation.kind import Correction, Losses, count_alike
from consilium.federation.recalibration import fit_shift
from consilium.kernel.canonical import Json
from consilium.measures.distance import measure_errors
from consilium.measures.records import Measurement
from consilium.measures.targets import OF_TARGET


class Numbers:
    """A number; predictions are in its unit, and say what they are."""

    metrics = OF_TARGET["number"]

    def read(self, raw: Tensor) -> Tensor:
        """Return the numbers."""
        return raw

    def measure(
        self, cases: Cases, said: Tensor, *, seed: int, resamples: int
    ) -> dict[str, Measurement]:
        """Take mean absolute, root mean square and mean error."""
        return measure_errors(cases.y, said, group=cases.group, seed=seed, resamples=resamples)

    def losses(self, cases: Cases, said: Tensor) -> Losses:
        """Return the absolute error; its mean leads the report."""
        return count_alike(np.abs(said - cases.y))

    def recalibrate(self, train: Cases, raw: Tensor) -> Correction:
        """Fit one shift."""
        shift = fit_shift(raw, train.y)
        return lambda other: other + shift

    def guess(self, train: Cases, cases: Cases) -> Tensor:
        """Say the training part's mean."""
        return np.full(cases.n, train.y.mean())

    def group(self, cases: Cases, said: Tensor, *, minimum: int) -> list[Json]:
        """Numbers are not chances: `mean_error` says whether they are too high."""
        del cases, said, minimum
        return []

    def detail(self, cases: Cases, said: Tensor, *, plan: EvaluationPlan) -> dict[str, Json]:
        """Nothing further."""
        del cases, said, plan
        return {}

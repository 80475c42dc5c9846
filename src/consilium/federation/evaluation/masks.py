"""Judging drawn regions, image by image."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor
from consilium.federation.evaluation.kind import Correction
from consilium.kernel.canonical import Json
from consilium.measures.overlap import measure_masks
from consilium.measures.records import Measurement
from consilium.measures.targets import OF_TARGET


class Masks:
    """A region of each image; predictions are logits of its pixels, and say which are marked."""

    metrics = OF_TARGET["mask"]

    def read(self, raw: Tensor) -> Tensor:
        """Mark the pixels whose logit is above 0."""
        return raw > 0

    def measure(
        self, cases: Cases, said: Tensor, *, seed: int, resamples: int
    ) -> dict[str, Measurement]:
        """Take Dice, sensitivity and precision, each a mean over images."""
        return measure_masks(_truth(cases), said, group=cases.group, seed=seed, resamples=resamples)

    def loss(self, cases: Cases, said: Tensor) -> float | None:
        """Return one less the mean Dice coefficient, the figure that leads the report."""
        found = measure_masks(_truth(cases), said, group=cases.group, seed=0, resamples=1)
        value = found["dice"].value
        return None if value is None else 1.0 - value

    def recalibrate(self, train: Cases, raw: Tensor) -> Correction | None:
        """None: how large a region is differs from image to image, not from place to place."""
        del train, raw
        return None

    def guess(self, train: Cases, cases: Cases) -> Tensor:
        """Mark nothing."""
        del train
        return np.zeros(cases.tensors["mask"].shape, dtype=bool)

    def group(self, cases: Cases, said: Tensor, *, minimum: int) -> list[Json]:
        """Masks are not chances."""
        del cases, said, minimum
        return []

    def detail(self, cases: Cases, said: Tensor, *, plan: EvaluationPlan) -> dict[str, Json]:
        """Nothing further."""
        del cases, said, plan
        return {}


def _truth(cases: Cases) -> Tensor:
    """Return the true masks; whatever is not 0 is marked."""
    marked: Tensor = cases.tensors["mask"] != 0
    return marked

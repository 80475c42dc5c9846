"""Judging drawn regions, image by image."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor
from consilium.federation.evaluation.kind import Correction, Losses, count_alike
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

    def losses(self, cases: Cases, said: Tensor) -> Losses:
        """Return one less each image's Dice coefficient, whose mean leads the report.

        Where nothing is marked, drawing nothing is right.
        """
        truth, axes = _truth(cases), (1, 2)
        both = np.count_nonzero(truth & said, axis=axes)
        marked = np.count_nonzero(truth, axis=axes) + np.count_nonzero(said, axis=axes)
        return count_alike(np.where(marked > 0, 1 - 2 * both / np.maximum(marked, 1), 0.0))

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

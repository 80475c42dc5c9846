"""What judging needs to know of a kind of target.

One small file beside this one for each kind answers it. Everything else about
an evaluation (candidates, choice, what is told) is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor, Vector
from consilium.kernel.canonical import Json
from consilium.measures.records import Measurement

Correction = Callable[[Tensor], Tensor]
"""From a recipe's predictions to recalibrated ones, on the same scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What each case lost under one candidate.

    Attributes
    ----------
    each : array of shape (n,), float64
        Finite, at least 0.
    weight : array of shape (n,), float64
        How much the case counts in the mean, at least 0; it follows from the
        cases alone, so that candidates can be compared.
    """

    each: Vector
    weight: Vector


def count_alike(each: Vector) -> Losses:
    """Count all cases alike.

    Discloses
    ---------
    Nothing: losses of single cases stay in the job process.
    """
    return Losses(each=each, weight=np.ones(len(each)))


class TargetKind(Protocol):
    """How predictions for one kind of target are read, measured and compared.

    Predictions come in two forms: `raw`, on the recipe's scale
    (`Recipe.predict`), and `said`, what they say of the target: chances,
    numbers, risks or masks. Rows along the first axis; all finite.
    """

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the figures; the first one leads."""
        ...

    def read(self, raw: Tensor) -> Tensor:
        """Turn raw predictions into what they say."""
        ...

    def measure(
        self, cases: Cases, said: Tensor, *, seed: int, resamples: int
    ) -> dict[str, Measurement]:
        """Take every figure, with intervals over patients."""
        ...

    def losses(self, cases: Cases, said: Tensor) -> Losses:
        """Return the loss of each case, by whose mean a site chooses; less is better."""
        ...

    def recalibrate(self, train: Cases, raw: Tensor) -> Correction | None:
        """Fit the hospital's own correction to its training part; None if the kind has none."""
        ...

    def guess(self, train: Cases, cases: Cases) -> Tensor:
        """Say for all cases what one would without a model, knowing the training part."""
        ...

    def group(self, cases: Cases, said: Tensor, *, minimum: int) -> list[Json]:
        """Group cases of like prediction for a calibration plot; empty if the kind has none."""
        ...

    def detail(self, cases: Cases, said: Tensor, *, plan: EvaluationPlan) -> dict[str, Json]:
        """Tell further facts of the candidate that the site chose, by their keys."""
        ...

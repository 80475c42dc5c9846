"""Judging times until an event: whether those at higher risk have it earlier."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor
from consilium.federation.evaluation.kind import Correction
from consilium.kernel.canonical import Json
from consilium.measures.prognosis import concordance_index, prepare_concordance
from consilium.measures.records import Measurement
from consilium.measures.targets import OF_TARGET
from consilium.measures.weighted import take_plain


class Survival:
    """A time until an event; predictions are risk scores, of which only the order counts."""

    metrics = OF_TARGET["survival"]

    def read(self, raw: Tensor) -> Tensor:
        """Return the risk scores."""
        return raw

    def measure(
        self, cases: Cases, said: Tensor, *, seed: int, resamples: int
    ) -> dict[str, Measurement]:
        """Take the concordance index."""
        found = concordance_index(
            cases.tensors["time"],
            cases.y,
            said,
            group=cases.group,
            seed=seed,
            resamples=resamples,
        )
        return {"concordance": found}

    def loss(self, cases: Cases, said: Tensor) -> float | None:
        """Return the share of comparable pairs in the wrong order."""
        found = take_plain(prepare_concordance(cases.tensors["time"], cases.y, said))
        return None if found.value is None else 1.0 - found.value

    def recalibrate(self, train: Cases, raw: Tensor) -> Correction | None:
        """None: a shift of all risks changes no order."""
        del train, raw
        return None

    def guess(self, train: Cases, cases: Cases) -> Tensor:
        """Say the same risk for everybody."""
        del train
        return np.zeros(cases.n)

    def group(self, cases: Cases, said: Tensor, *, minimum: int) -> list[Json]:
        """Risk scores are not chances."""
        del cases, said, minimum
        return []

    def detail(self, cases: Cases, said: Tensor, *, plan: EvaluationPlan) -> dict[str, Json]:
        """Nothing further: each step of a survival curve is the time of a real patient."""
        del cases, said, plan
        return {}

"""Judging times until an event: whether those at higher risk have it earlier."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Tensor
from consilium.federation.evaluation.kind import Correction, Losses
from consilium.kernel.canonical import Json
from consilium.measures.prognosis import concordance_index
from consilium.measures.records import Measurement
from consilium.measures.targets import OF_TARGET


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

    def losses(self, cases: Cases, said: Tensor) -> Losses:
        """Return the share of each event's comparable pairs in the wrong order.

        Weighed by how many pairs those are, the mean is one less the
        concordance index; cases without a pair count nothing.
        """
        time, each, weight = cases.tensors["time"], np.zeros(cases.n), np.zeros(cases.n)
        for one in np.flatnonzero(cases.y > 0):
            later = (time > time[one]) | ((time == time[one]) & (cases.y == 0))
            wrong = (said[one] < said[later]) + 0.5 * (said[one] == said[later])
            if wrong.size:
                each[one], weight[one] = wrong.mean(), wrong.size
        return Losses(each=each, weight=weight)

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

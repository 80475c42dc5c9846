"""A recipe small enough to check by hand, for every kind of target; personal if it is asked to be.

Its model is `weight` of shape (columns, outputs). Its personal model is a
second weight of that shape, trained the same way and never shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from consilium.federation.contract import (
    Cases,
    Chance,
    EvaluationPlan,
    Needs,
    Prepared,
    Tensor,
    Trained,
)
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.recalibration import sigmoid, softmax
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.canonical import Json
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

CLASSES = ("left", "middle", "right")
TARGETS = {
    "binary": Target(),
    "classes": Target(kind="classes", classes=CLASSES),
    "number": Target(kind="number", unit="mm"),
    "survival": Target(kind="survival", unit="d"),
    "mask": Target(kind="mask"),
}


@dataclass(frozen=True)
class Settings:
    """`steps` of gradient descent in a round; `personal` also trains the site's own weight."""

    steps: int = 30
    rate: float = 0.3
    personal: bool = False


@dataclass(frozen=True)
class ToyRecipe:
    """Linear predictions of `kind`."""

    kind: str = "binary"
    name: str = "toy"
    version: str = "0"

    def read_settings(self, given: Mapping[str, Any]) -> Settings:
        return Settings(**given)

    def initial(self, needs: Needs, settings: Settings, *, seed: int) -> dict[str, Tensor]:
        del settings, seed
        return {"weight": np.zeros((len(needs.columns), _outputs(needs.target)))}

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        del needs, settings, chance
        return Prepared(train=train, held_out=held_out)

    def train(
        self,
        cases: Cases,
        start: Arrays,
        settings: Settings,
        *,
        chance: Chance,
        number: int,
        kept: Arrays,
    ) -> Trained:
        del chance, number
        after = self._descend(cases, start["weight"], settings)
        own = self._descend(cases, kept.get("own", start["weight"]), settings)
        return Trained(
            arrays={"weight": after}, facts={}, kept={"own": own} if settings.personal else {}
        )

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Tensor:
        del settings
        return self._raw(cases, kept.get("own", arrays["weight"]))

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        alone = replace(settings, personal=False)
        judge = Judge(recipe=self, arrays=arrays, settings=settings, alone=alone, plan=plan)
        return evaluate_site(judge, prepared)

    def _raw(self, cases: Cases, weight: Tensor) -> Tensor:
        found: Tensor = cases.x @ weight
        if self.kind == "mask":
            side = round(weight.shape[1] ** 0.5)
            return found.reshape(-1, side, side)
        return found if self.kind == "classes" else found[:, 0]

    def _descend(self, cases: Cases, weight: Tensor, settings: Settings) -> Tensor:
        for _ in range(settings.steps):
            error = self._error(cases, cases.x @ weight)
            weight = weight - settings.rate * cases.x.T @ error / max(1, cases.n)
        return weight

    def _error(self, cases: Cases, raw: Tensor) -> Tensor:
        if self.kind == "binary":
            return sigmoid(raw) - cases.y[:, None]
        if self.kind == "classes":
            return softmax(raw) - (cases.y[:, None] == np.arange(raw.shape[1]))
        if self.kind == "number":
            return raw - cases.y[:, None]
        if self.kind == "survival":
            late = np.log(cases.tensors["time"])[:, None]
            return raw + (late - late.mean())
        return sigmoid(raw) - cases.tensors["mask"].reshape(len(raw), -1)


def _outputs(target: Target) -> int:
    return {"classes": len(target.classes), "mask": 16}.get(target.kind, 1)


def make_toy_cases(kind: str, *, n: int, seed: int, truth_seed: int = 0, rows: int = 1) -> Cases:
    """Draw n cases of two columns and a constant; `rows` of them for each patient."""
    generator, truths = np.random.default_rng(seed), np.random.default_rng(truth_seed)
    x = np.concatenate([generator.normal(size=(n, 2)), np.ones((n, 1))], axis=1)
    weight = truths.normal(size=(3, _outputs(TARGETS[kind]))) * 1.5
    raw = x @ weight
    y, tensors = np.zeros(n), {}
    if kind == "binary":
        y = (generator.random(n) < sigmoid(raw[:, 0])).astype(float)
    elif kind == "classes":
        y = (softmax(raw).cumsum(axis=1) < generator.random((n, 1))).sum(axis=1).astype(float)
    elif kind == "number":
        y = raw[:, 0] + generator.normal(size=n)
    elif kind == "survival":
        time = generator.exponential(np.exp(-raw[:, 0])) + 1e-3
        stop = generator.exponential(2.0, size=n) + 1e-3
        y = (time <= stop).astype(float)
        tensors = {"time": np.minimum(time, stop)}
    else:
        mask = (raw + generator.normal(size=raw.shape) > 0).astype(np.uint8)
        tensors = {"mask": mask.reshape(n, 4, 4)}
    return Cases(x=x, y=y, group=np.arange(n) // rows, tensors=tensors)


def make_judge(
    kind: str,
    *,
    arrays: Arrays | None = None,
    tuning_rounds: int = 1,
    settings: Settings | None = None,
    **changes: Any,
) -> Judge:
    """Make a judge of a toy model; `changes` are fields of its plan."""
    needs = Needs(
        features=tuple(FieldNeed(name=name, kind="number") for name in "abc"),
        target=TARGETS[kind],
    )
    recipe = ToyRecipe(kind=kind)
    used = settings or Settings()
    start = recipe.initial(needs, used, seed=0)
    plan = EvaluationPlan(
        needs=needs,
        start=start,
        rounds=2,
        chance=Chance(seed=7, participant=ParticipantId("did:web:x:north")),
        resamples=100,
    )
    return Judge(
        recipe=recipe,
        arrays=start if arrays is None else arrays,
        settings=used,
        alone=replace(used, personal=False),
        plan=replace(plan, **changes),
        tuning_rounds=tuning_rounds,
    )


def train_toy(kind: str, cases: Cases, *, rounds: int = 3) -> Arrays:
    """Train a toy model on cases."""
    judge = make_judge(kind)
    weight = judge.plan.start
    for number in range(1, rounds + 1):
        weight = judge.recipe.train(
            cases, weight, Settings(), chance=judge.plan.chance, number=number, kept={}
        ).arrays
    return weight

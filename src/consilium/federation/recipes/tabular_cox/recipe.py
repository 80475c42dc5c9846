"""The recipe `tabular-cox`: its four site verbs and its starting model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
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
    Vector,
)
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.recipes.tabular_cox.likelihood import (
    Settings,
    Stratum,
    descend,
)
from consilium.federation.recipes.tabular_logistic.inputs import (
    count_inputs,
    lacks_scaling,
    no_moments,
    prepare_inputs,
    scale_inputs,
    take_moments,
)
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

PERSONAL = "personal.weight"
"""What a site keeps: its personal model."""


@dataclass(frozen=True, slots=True)
class TabularCox:
    """Cox regression on a table, for the time to an event.

    Each site is a stratum with a baseline hazard of its own that it never
    says, so no risk set spans two hospitals and nothing but weights is
    exchanged. The model's array is `weight` of shape (inputs,), float64, 0 at
    first; with `scaling = "shared"` the inputs' moments too. The personal model
    is kept as `personal.weight`.
    """

    name: str = "tabular-cox"
    version: str = "1.0.0"

    def read_settings(self, given: Mapping[str, Any]) -> Settings:
        """Return typed settings; refuses unknown names and impossible values.

        Raises
        ------
        InputError
            `federation.unknown_setting`, `federation.bad_setting`.
        """
        return Settings(**fill_settings(_schema(), given, owner=self.name))

    def initial(self, needs: Needs, settings: Settings, *, seed: int) -> dict[str, Tensor]:
        """Return zeros: the likelihood has one summit, wherever one begins.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`.
        """
        del seed
        if needs.target.kind != "survival" or not needs.columns:
            raise InputError("federation.recipe_does_not_fit", recipe=self.name, what="survival")
        width = count_inputs(needs.columns)
        moments = no_moments(width) if settings.scaling == "shared" else {}
        return {"weight": np.zeros(width)} | moments

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Make indicators and z-scores; the scaling is learnt from `train` alone.

        With `scaling = "shared"` the model scales, so what is missing stays so.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_label`, `federation.bad_target`.
        """
        del chance
        for cases in (train, held_out):
            _check(cases, owner=self.name)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        return prepare_inputs(train, held_out, needs=needs, scaling=settings.scaling)

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
        """Take a round's steps from the global weights, and from the personal ones if any.

        Discloses
        ---------
        The weights, and the loss over the training part before and after; no
        figure of fewer cases than the whole part. A round that learns the
        shared scaling says the inputs' moments and trains nothing. Baseline
        hazard and personal model stay.
        """
        del chance, number
        if lacks_scaling(start):
            return Trained(arrays={**start, **take_moments(cases.x)}, facts={}, kept=kept)
        x, before = scale_inputs(cases.x, start), start["weight"].astype(np.float64)
        stratum = Stratum.of(x, times=cases.tensors["time"], events=cases.y, ties=settings.ties)
        after = descend(stratum, before, home=before, settings=settings)
        personal: Arrays = {}
        if settings.personal == "ditto":
            pulled = replace(settings, proximal_mu=settings.personal_lambda)
            own = kept[PERSONAL] if kept else before
            personal = {PERSONAL: descend(stratum, own, home=before, settings=pulled)}
        losses = {"loss_before": stratum.loss(before), "loss_after": stratum.loss(after)}
        facts: dict[str, Json] = {
            name: loss if math.isfinite(loss) else None for name, loss in losses.items()
        }
        return Trained(arrays={**start, "weight": after}, facts=facts, kept=personal)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Vector:
        """Return each case's log hazard ratio against an average one. It stays in the job."""
        del settings
        weights = kept[PERSONAL] if kept else arrays["weight"]
        with np.errstate(over="ignore", invalid="ignore"):
            risk: Vector = scale_inputs(cases.x, arrays) @ weights
        return risk

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only.

        Local-only training goes without the proximal term and without a
        personal model, which pull towards a federation that it does not have.
        """
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=replace(settings, proximal_mu=0.0, personal="none"),
            plan=plan,
        )
        return evaluate_site(judge, prepared)


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _check(cases: Cases, *, owner: str) -> None:
    if not np.isin(cases.y, (0.0, 1.0)).all():
        raise InputError("federation.bad_label", recipe=owner)
    times = cases.tensors.get("time")
    if times is None or not np.isfinite(times).all() or (times < 0).any():
        raise InputError("federation.bad_target", recipe=owner, wanted="a time of 0 or more")


RECIPE = TabularCox()

"""The recipe `tabular-linear`: its four site verbs and its starting model."""

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
    Matrix,
    Needs,
    Prepared,
    Tensor,
    Trained,
    Vector,
)
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.recipes.tabular_linear.descent import (
    Settings,
    descend,
    fit_near,
    mean_squared_error,
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

PERSONAL, OWN = "personal.", "own.bias"
"""What a site keeps: its personal model's arrays, its own intercept of the shared model."""


@dataclass(frozen=True, slots=True)
class TabularLinear:
    """Linear regression on a table, for a number.

    The model's arrays are `weight` of shape (inputs,) and `bias` of shape (1,),
    float64, both 0 at first; with `scaling = "shared"` the inputs' moments too.
    With `intercept = "site"` the shared `bias` stays 0 and each site keeps
    `own.bias`. The personal model is kept as `personal.weight`, `personal.bias`.
    """

    name: str = "tabular-linear"
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
        """Return zeros: the problem has one valley, wherever one begins.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`.
        """
        del seed
        if needs.target.kind != "number" or not needs.columns:
            raise InputError("federation.recipe_does_not_fit", recipe=self.name, what="number")
        width = count_inputs(needs.columns)
        moments = no_moments(width) if settings.scaling == "shared" else {}
        return _arrays(np.zeros(width + 1)) | moments

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Make indicators and z-scores; the scaling is learnt from `train` alone.

        With `scaling = "shared"` the model scales, so what is missing stays so.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_target`.
        """
        del chance
        for cases in (train, held_out):
            if not np.isfinite(cases.y).all():
                raise InputError(
                    "federation.bad_target", recipe=self.name, wanted="a finite number"
                )
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
        """Take a round's steps from the global weights, and fit what stays here.

        Discloses
        ---------
        The weights, and the mean squared error over the training part before
        and after; no figure of fewer cases than the whole part. A round that
        learns the shared scaling says the inputs' moments and trains nothing.
        The site's intercept and the personal model stay.
        """
        if lacks_scaling(start):
            return Trained(arrays={**start, **take_moments(cases.x)}, facts={}, kept=kept)
        x, y, shared = scale_inputs(cases.x, start), cases.y, _weights(start)
        before = _with_own(x, y, shared) if settings.intercept == "site" else shared
        after = descend(x, y, before, settings=settings, generator=chance.draw("train", number))
        moved = np.append(after[:-1], shared[-1]) if settings.intercept == "site" else after
        return Trained(
            arrays={**start, **_arrays(moved)},
            facts=_losses(x, y, before=before, after=after),
            kept=_kept(x, y, before, settings),
        )

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Vector:
        """Return each case's number, in the target's unit. It stays in the job process.

        With `intercept = "site"` and nothing kept: the distance to the site's mean.
        """
        del settings
        weights = _weights(kept, PERSONAL) if f"{PERSONAL}weight" in kept else _weights(arrays)
        if OWN in kept and f"{PERSONAL}weight" not in kept:
            weights[-1] = kept[OWN][0]
        with np.errstate(over="ignore", invalid="ignore"):
            number: Vector = scale_inputs(cases.x, arrays) @ weights[:-1] + weights[-1]
        return number

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


def _with_own(x: Matrix, y: Vector, shared: Vector) -> Vector:
    """Put the intercept that fits this site best beside the shared slopes."""
    return np.append(shared[:-1], np.mean(y - x @ shared[:-1]))


def _kept(x: Matrix, y: Vector, before: Vector, settings: Settings) -> dict[str, Matrix]:
    kept = {OWN: before[-1:].copy()} if settings.intercept == "site" else {}
    if settings.personal == "ditto":
        own = _arrays(fit_near(x, y, before, pull=settings.personal_lambda))
        kept |= {f"{PERSONAL}{name}": array for name, array in own.items()}
    return kept


def _losses(x: Matrix, y: Vector, *, before: Vector, after: Vector) -> dict[str, Json]:
    losses = {
        "loss_before": mean_squared_error(x, y, before),
        "loss_after": mean_squared_error(x, y, after),
    }
    return {name: loss if math.isfinite(loss) else None for name, loss in losses.items()}


def _weights(arrays: Arrays, prefix: str = "") -> Vector:
    both = [arrays[f"{prefix}weight"], arrays[f"{prefix}bias"]]
    return np.concatenate(both).astype(np.float64)


def _arrays(weights: Vector) -> dict[str, Matrix]:
    return {"bias": weights[-1:].copy(), "weight": weights[:-1].copy()}


RECIPE = TabularLinear()

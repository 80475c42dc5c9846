"""The recipe `tabular-logistic`: its four site verbs and its starting model."""

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
from consilium.federation.noise.scaling import scale_by_range
from consilium.federation.recipes.tabular_logistic.descent import (
    Settings,
    descend,
    descend_with_noise,
    mean_log_loss,
)
from consilium.federation.recipes.tabular_logistic.inputs import (
    count_inputs,
    expand,
    learn_scaling,
)
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.gate.orders import FieldNeed
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays


@dataclass(frozen=True, slots=True)
class TabularLogistic:
    """Logistic regression on a table.

    The model's arrays are `weight` of shape (inputs,) and `bias` of shape (1,),
    float64.
    """

    name: str = "tabular-logistic"
    version: str = "1.0.0"

    def read_settings(self, given: Mapping[str, Any]) -> Settings:
        """Return typed settings; refuses unknown names and impossible values.

        Raises
        ------
        InputError
            `federation.unknown_setting`, `federation.bad_setting`.
        """
        settings = Settings(**fill_settings(_schema(), given, owner=self.name))
        if settings.noise and not settings.clip:
            raise InputError(
                "federation.bad_setting", owner=self.name, setting="clip", allowed="> 0 with noise"
            )
        return settings

    def initial(self, needs: Needs, settings: Settings, *, seed: int) -> dict[str, Tensor]:
        """Draw the starting weights, U(±1/√inputs) like a linear layer, or zeros.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`.
        """
        if needs.target.kind != "binary" or not needs.columns:
            raise InputError("federation.recipe_does_not_fit", recipe=self.name, what="binary")
        width = count_inputs(needs.columns)
        bound = 1.0 / math.sqrt(width) if settings.init == "uniform" and width else 0.0
        drawn = np.random.default_rng(seed).uniform(-bound, bound, size=width + 1)
        return _arrays(drawn)

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Make indicators and z-scores; the scaling is learnt from `train` alone.

        With noise nothing is learnt: numbers are scaled by the plan's ranges.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_label`, `federation.no_range`.
        """
        del chance
        for cases in (train, held_out):
            if not np.isin(cases.y, (0.0, 1.0)).all():
                raise InputError("federation.bad_label", recipe=self.name)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        features = needs.columns
        if settings.noise:
            return Prepared(
                train=replace(train, x=_by_range(train.x, features)),
                held_out=replace(held_out, x=_by_range(held_out.x, features)),
            )
        inputs = expand(train.x, features)
        scaling = learn_scaling(inputs)
        return Prepared(
            train=replace(train, x=scaling.apply(inputs)),
            held_out=replace(held_out, x=scaling.apply(expand(held_out.x, features))),
        )

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
        """Take a round's steps from the global weights.

        Discloses
        ---------
        The weights, and the mean log loss over the training part before and
        after; no figure of fewer cases than the whole part. With noise the
        weights alone, at the loss that the plan says.
        """
        del kept
        before = _weights(start)
        if settings.clip:
            source = chance.draw_secret("train", number)
            noisy = descend_with_noise(cases, before, settings=settings, source=source)
            return Trained(arrays=_arrays(noisy), facts={})
        after = descend(
            cases.x,
            cases.y,
            before,
            settings=settings,
            generator=chance.draw("train", number),
        )
        losses = {
            "loss_before": mean_log_loss(cases.x, cases.y, before),
            "loss_after": mean_log_loss(cases.x, cases.y, after),
        }
        facts: dict[str, Json] = {
            name: loss if math.isfinite(loss) else None for name, loss in losses.items()
        }
        return Trained(arrays=_arrays(after), facts=facts)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Vector:
        """Return each case's log-odds. They stay in the job process."""
        del settings, kept
        weights = _weights(arrays)
        with np.errstate(over="ignore", invalid="ignore"):
            z: Vector = cases.x @ weights[:-1] + weights[-1]
        return z

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only.

        Local-only training goes without the proximal term, which pulls towards
        a federation that it does not have, and without noise: it never leaves.
        """
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=replace(settings, proximal_mu=0.0, clip=0.0, noise=0.0),
            plan=plan,
        )
        return evaluate_site(judge, prepared)


def _by_range(x: Matrix, features: tuple[FieldNeed, ...]) -> Matrix:
    return np.nan_to_num(expand(scale_by_range(x, features), features))


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _weights(arrays: Arrays) -> Vector:
    return np.concatenate([arrays["weight"], arrays["bias"]]).astype(np.float64)


def _arrays(weights: Vector) -> dict[str, Matrix]:
    return {"bias": weights[-1:].copy(), "weight": weights[:-1].copy()}


RECIPE = TabularLogistic()

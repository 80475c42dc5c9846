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
from consilium.federation.recipes.tabular_logistic.descent import (
    Settings,
    descend,
    mean_log_loss,
)
from consilium.federation.recipes.tabular_logistic.inputs import (
    count_inputs,
    expand,
    learn_scaling,
)
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
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
        return Settings(**fill_settings(_schema(), given, owner=self.name))

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

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_label`.
        """
        del settings, chance
        for cases in (train, held_out):
            if not np.isin(cases.y, (0.0, 1.0)).all():
                raise InputError("federation.bad_label", recipe=self.name)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        features = needs.columns
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
        after; no figure of fewer cases than the whole part.
        """
        del kept
        before = _weights(start)
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
        a federation that it does not have.
        """
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=replace(settings, proximal_mu=0.0),
            plan=plan,
        )
        return evaluate_site(judge, prepared)


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _weights(arrays: Arrays) -> Vector:
    return np.concatenate([arrays["weight"], arrays["bias"]]).astype(np.float64)


def _arrays(weights: Vector) -> dict[str, Matrix]:
    return {"bias": weights[-1:].copy(), "weight": weights[:-1].copy()}


RECIPE = TabularLogistic()

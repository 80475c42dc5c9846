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
from consilium.federation.noise.steps import Patients
from consilium.federation.recipes.tabular_logistic.descent import (
    Settings,
    descend,
    descend_with_noise,
    mean_log_loss,
)
from consilium.federation.recipes.tabular_logistic.inputs import (
    count_inputs,
    expand,
    lacks_scaling,
    no_moments,
    prepare_inputs,
    scale_inputs,
    take_moments,
)
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.gate.orders import FieldNeed
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

PERSONAL = "personal."
"""What stands before the names of a personal model's arrays."""


@dataclass(frozen=True, slots=True)
class TabularLogistic:
    """Logistic regression on a table.

    The model's arrays are `weight` of shape (inputs,) and `bias` of shape (1,),
    float64; with `scaling = "shared"` the inputs' moments too. What a site keeps
    is its personal model, `personal.weight` and `personal.bias`.
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
        if settings.noise and (not settings.clip or settings.scaling != "site"):
            allowed = 'clip > 0 and scaling = "site" with noise'
            raise InputError(
                "federation.bad_setting", owner=self.name, setting="noise", allowed=allowed
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
        return _arrays(drawn) | (no_moments(width) if settings.scaling == "shared" else {})

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Make indicators and z-scores; the scaling is learnt from `train` alone.

        With `scaling = "shared"` the model scales, so what is missing stays so.
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
        if settings.noise:
            return Prepared(
                train=_by_range(train, needs.columns), held_out=_by_range(held_out, needs.columns)
            )
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
        The weights, and the mean log loss over the training part before and
        after; no figure of fewer cases than the whole part. A round that
        learns the shared scaling says the inputs' moments and trains nothing.
        The personal model stays. With noise the weights alone, at the loss that
        the plan says.
        """
        if lacks_scaling(start):
            return Trained(arrays={**start, **take_moments(cases.x)}, facts={}, kept=kept)
        x, before = scale_inputs(cases.x, start), _weights(start)
        after = _train_shared(x, cases, before, settings=settings, chance=chance, number=number)
        losses = {
            "loss_before": mean_log_loss(x, cases.y, before),
            "loss_after": mean_log_loss(x, cases.y, after),
        }
        facts: dict[str, Json] = {
            name: loss if math.isfinite(loss) else None
            for name, loss in losses.items()
            if not settings.noise
        }
        personal: Arrays = {}
        if settings.personal == "ditto":
            own = _train_personal(
                x, cases.y, before, settings=settings, chance=chance, number=number, kept=kept
            )
            personal = {f"{PERSONAL}{name}": array for name, array in _arrays(own).items()}
        return Trained(arrays={**start, **_arrays(after)}, facts=facts, kept=personal)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Vector:
        """Return each case's log-odds. They stay in the job process."""
        del settings
        weights = _weights(kept, PERSONAL) if kept else _weights(arrays)
        with np.errstate(over="ignore", invalid="ignore"):
            z: Vector = scale_inputs(cases.x, arrays) @ weights[:-1] + weights[-1]
        return z

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only.

        Local-only training goes without the proximal term and without a
        personal model, which pull towards a federation that it does not have,
        and without noise: it never leaves.
        """
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=replace(settings, proximal_mu=0.0, personal="none", clip=0.0, noise=0.0),
            plan=plan,
        )
        return evaluate_site(judge, prepared)


def _by_range(cases: Cases, columns: tuple[FieldNeed, ...]) -> Cases:
    inputs = expand(scale_by_range(cases.x, columns), columns)
    return replace(cases, x=np.nan_to_num(inputs))


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _train_shared(
    x: Matrix, cases: Cases, start: Vector, *, settings: Settings, chance: Chance, number: int
) -> Vector:
    """Take a round's steps on batches, or on patients who are hidden by noise."""
    if settings.clip:
        return descend_with_noise(
            x,
            cases.y,
            start,
            patients=Patients(cases.group),
            settings=settings,
            source=chance.draw_secret("train", number),
        )
    return descend(x, cases.y, start, settings=settings, generator=chance.draw("train", number))


def _train_personal(
    x: Matrix,
    y: Vector,
    home: Vector,
    *,
    settings: Settings,
    chance: Chance,
    number: int,
    kept: Arrays,
) -> Vector:
    """Take Ditto's steps: the personal model's own loss, pulled to the global weights.

    Sources
    -------
    Li, Hu, Beirami, Smith, ICML 2021, arXiv:2012.04221, algorithm 1.
    """
    return descend(
        x,
        y,
        _weights(kept, PERSONAL) if kept else home,
        settings=replace(settings, proximal_mu=settings.personal_lambda),
        generator=chance.draw("personal", number),
        home=home,
    )


def _weights(arrays: Arrays, prefix: str = "") -> Vector:
    both = [arrays[f"{prefix}weight"], arrays[f"{prefix}bias"]]
    return np.concatenate(both).astype(np.float64)


def _arrays(weights: Vector) -> dict[str, Matrix]:
    return {"bias": weights[-1:].copy(), "weight": weights[:-1].copy()}


RECIPE = TabularLogistic()

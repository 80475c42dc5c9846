"""The recipe `tabular-trees`: its four site verbs and its starting model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
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
)
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.recipes.tabular_logistic.inputs import count_inputs, prepare_inputs
from consilium.federation.recipes.tabular_trees.forest import (
    COUNT,
    PARTS,
    ForestShape,
    margins,
    settle,
    shape_of,
)
from consilium.federation.recipes.tabular_trees.growing import Settings, grow, level
from consilium.federation.recipes.tabular_trees.losses import KINDS, loss_of
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.gate.orders import Target
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

KIND = "forest.kind"
"""The array of shape (1,) that says which of `losses.KINDS` the forest predicts."""


@dataclass(frozen=True, slots=True)
class TabularTrees:
    """Gradient-boosted trees on a table, put together by the rule `bagging`.

    The model's arrays are described in `forest`. In each round every site
    grows one tree for each output on what the forest misses among its cases;
    the rule puts them into the forest side by side.
    """

    name: str = "tabular-trees"
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
        """Return a forest without trees.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`.
        """
        del seed
        target = needs.target
        if target.kind not in KINDS or not count_inputs(needs.columns):
            raise InputError(
                "federation.recipe_does_not_fit", recipe=self.name, what=", ".join(KINDS)
            )
        outputs = loss_of(target.kind, classes=len(target.classes)).outputs
        shape = ForestShape(settings.trees, outputs, settings.max_depth)
        return shape.empty() | {KIND: np.full(1, float(KINDS.index(target.kind)))}

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Make indicators of categories; numbers stay in their unit, missing stays missing.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_label`, `federation.bad_target`.
        """
        del settings, chance
        for cases in (train, held_out):
            _check(cases, needs.target, owner=self.name)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        return prepare_inputs(train, held_out, needs=needs, scaling="none")

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
        """Grow this round's trees on what the forest misses among the site's cases.

        The first tree for a number has no split: it says the site's mean.

        Raises
        ------
        InputError
            `federation.bad_setting` when the forest has no place left.

        Discloses
        ---------
        The new trees (see `growing.grow`), and the mean loss over the training
        part before and after; no figure of fewer than `min_leaf` patients.
        """
        del chance, number, kept
        model = settle(start)
        if model[COUNT][0] >= shape_of(model).trees:
            raise InputError(
                "federation.bad_setting", owner=self.name, setting="trees", allowed="rounds * sites"
            )
        kind, loss = _kind(model), loss_of(_kind(model), classes=shape_of(model).outputs)
        before = margins(cases.x, model)
        if kind == "number" and not model[COUNT][0]:
            grown = level(cases.y, group=cases.group, loss=loss, settings=settings)
        else:
            grown = grow(cases.x, cases.y, before, group=cases.group, loss=loss, settings=settings)
        model |= {f"fresh.{part}": grown[part] for part in PARTS}
        losses = {
            "loss_before": loss.mean(cases.y, before),
            "loss_after": loss.mean(cases.y, margins(cases.x, model)),
        }
        facts: dict[str, Json] = {
            name: value if math.isfinite(value) else None for name, value in losses.items()
        }
        return Trained(arrays=model, facts=facts)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Tensor:
        """Return log-odds or the number (n,), or each class's logit (n, classes).

        They stay in the job process.
        """
        del settings, kept
        total = margins(cases.x, arrays)
        return total if _kind(arrays) == "classes" else total[:, 0]

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only.

        A full forest has no place for trees of one site: it is not fine-tuned.
        """
        has_place = arrays[COUNT][0] < shape_of(arrays).trees
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=settings,
            plan=plan,
            tuning_rounds=1 if has_place else 0,
        )
        return evaluate_site(judge, prepared)


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _kind(model: Arrays) -> str:
    return KINDS[int(model[KIND][0])]


def _check(cases: Cases, target: Target, *, owner: str) -> None:
    if target.kind == "binary" and not np.isin(cases.y, (0.0, 1.0)).all():
        raise InputError("federation.bad_label", recipe=owner)
    if target.kind == "classes" and not np.isin(cases.y, np.arange(len(target.classes))).all():
        raise InputError("federation.bad_target", recipe=owner, wanted="a class of the study")
    if not np.isfinite(cases.y).all():
        raise InputError("federation.bad_target", recipe=owner, wanted="a finite number")


RECIPE = TabularTrees()

"""A model of any size whose training is one addition."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
from consilium.federation.settings_schema import fill_settings, read_schema
from consilium.kernel.canonical import Json
from consilium.models.weights import Arrays

ARRAYS = 8


class Ballast:
    """Eight arrays of float32; a round adds a small number to each."""

    name = "ballast"
    version = "1.0.0"

    def read_settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in the size."""
        text = files(__package__ or "").joinpath("recipe.toml").read_text(encoding="utf-8")
        return fill_settings(read_schema(tomllib.loads(text)["settings"]), given, owner=self.name)

    def initial(self, needs: Needs, settings: Any, *, seed: int) -> dict[str, Tensor]:
        """Draw the model."""
        del needs
        each = max(1, int(settings["megabytes"] * 1e6 / 4 / ARRAYS))
        generator = np.random.default_rng(seed)
        return {
            f"part{number}": generator.standard_normal(each, dtype=np.float32)
            for number in range(ARRAYS)
        }

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Any, chance: Chance
    ) -> Prepared:
        """Leave the cases as they are."""
        del needs, settings, chance
        return Prepared(train=train, held_out=held_out)

    def train(
        self,
        cases: Cases,
        start: Arrays,
        settings: Any,
        *,
        chance: Chance,
        number: int,
        kept: Arrays,
    ) -> Trained:
        """Add a small number to every weight."""
        del cases, settings, kept
        step = np.float32(chance.draw("train", number).normal())
        return Trained(arrays={name: array + step for name, array in start.items()}, facts={})

    def predict(self, cases: Cases, arrays: Arrays, settings: Any, *, kept: Arrays) -> Tensor:
        """Predict nothing."""
        del arrays, settings, kept
        return np.zeros(cases.n)

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Any, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge nothing."""
        del arrays, settings, plan
        return {"n_train": prepared.train.n, "n_test": prepared.held_out.n}


RECIPE = Ballast()

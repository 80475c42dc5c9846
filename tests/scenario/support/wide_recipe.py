"""A recipe for tests: ten thousand float32 parameters, as a small network has, over few columns.

The columns go through a fixed random expansion; its weights are learnt. `install`
writes it into a folder as an installed package would lie there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilium.federation.contract import (
    Cases,
    Chance,
    EvaluationPlan,
    Needs,
    Prepared,
    Trained,
)
from consilium.kernel.canonical import Json
from consilium.models.weights import Arrays

NAME, WIDTH = "wide-logistic", 10_000
_PACKAGE = "consilium_wide_logistic"
_CARD = f"""
name = "{NAME}"
version = "1.0.0"

[capability]
modalities = ["table"]
targets = ["binary"]
model_family = "logistic regression on a random expansion"
discloses_en = "Each round the change of the weights."
discloses_zh = "每轮发送权重变化量。"
"""


def expand(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give every row `WIDTH` numbers between -1 and 1."""
    spread = np.random.default_rng(1).normal(size=(x.shape[1], WIDTH))
    return np.tanh(np.nan_to_num(x) @ spread)


@dataclass(frozen=True)
class WideLogistic:
    """Ten steps of gradient descent each round."""

    name: str = NAME
    version: str = "1.0.0"

    def read_settings(self, given: Mapping[str, Any]) -> None:
        """Have no settings."""

    def initial(self, needs: Needs, settings: None, *, seed: int) -> dict[str, Any]:
        """Start at zero."""
        return {"weight": np.zeros(WIDTH, dtype=np.float32)}

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: None, chance: Chance
    ) -> Prepared:
        """Take the cases as they are."""
        return Prepared(train=train, held_out=held_out)

    def train(
        self,
        cases: Cases,
        start: Arrays,
        settings: None,
        *,
        chance: Chance,
        number: int,
        kept: Arrays,
    ) -> Trained:
        """Go down the slope."""
        x, weight = expand(cases.x), start["weight"].astype(np.float64)
        for _ in range(10):
            residual = 1 / (1 + np.exp(-x @ weight)) - cases.y
            weight = weight - 0.01 * x.T @ residual / cases.n
        return Trained(arrays={"weight": weight.astype(np.float32)}, facts={"loss_before": 0.5})

    def predict(
        self, cases: Cases, arrays: Arrays, settings: None, *, kept: Arrays
    ) -> np.ndarray[Any, Any]:
        """Give log-odds."""
        found: np.ndarray[Any, Any] = expand(cases.x) @ arrays["weight"]
        return found

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: None, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Say nothing."""
        return {}


RECIPE = WideLogistic()


def install(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Install the recipe for this process and for all that it starts."""
    package, info = folder / _PACKAGE, folder / f"{_PACKAGE}-1.0.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "recipe.toml").write_text(_CARD, encoding="utf-8")
    (package / "__init__.py").write_text("from wide_recipe import RECIPE\n", encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_PACKAGE}\nVersion: 1.0.0\n")
    entry = f"[consilium.recipes]\n{NAME} = {_PACKAGE}:RECIPE\n"
    (info / "entry_points.txt").write_text(entry)
    here = str(Path(__file__).parent)
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), here]))
    patch.syspath_prepend(str(folder))
    patch.syspath_prepend(here)

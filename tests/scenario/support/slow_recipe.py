"""A recipe for tests: logistic regression whose one hospital takes long over one round.

`install` writes it into a folder as an installed package would lie there, so that
every process of a space finds it by its entry point, and by its digest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from consilium.federation.contract import Cases, Chance, Trained
from consilium.federation.recipes import tabular_logistic
from consilium.federation.recipes.tabular_logistic.descent import Settings
from consilium.federation.recipes.tabular_logistic.recipe import TabularLogistic
from consilium.models.weights import Arrays

NAME = "slow-tabular"
_PACKAGE = "consilium_slow_tabular"
_OWN = frozenset({"slow_site", "slow_round", "slow_s"})
_SETTINGS = """
[settings.slow_site]
kind = "choice"
default = "renhe"
choices = ["north", "renhe", "lakeside", "hillside"]
meaning = "The hospital that takes long."

[settings.slow_round]
kind = "whole"
default = 2
least = 1
most = 100
meaning = "The round that it takes long over."

[settings.slow_s]
kind = "number"
default = 120.0
least = 0
most = 600
meaning = "How long it computes, in seconds."
"""


@dataclass(frozen=True, kw_only=True)
class SlowSettings(Settings):
    """The settings of the recipe below, with its own three."""

    slow_site: str
    slow_round: int
    slow_s: float


@dataclass(frozen=True)
class SlowTabular(TabularLogistic):
    """Computes on and on in one round of one hospital, as a large model would."""

    name: str = NAME

    def read_settings(self, given: Mapping[str, Any]) -> Settings:
        """Take the three own settings apart from the rest."""
        base = super().read_settings({k: v for k, v in given.items() if k not in _OWN})
        return SlowSettings(**asdict(base), **{name: given[name] for name in _OWN})

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
        """Train, and go on computing if it is this hospital's turn."""
        trained = super().train(cases, start, settings, chance=chance, number=number, kept=kept)
        if isinstance(settings, SlowSettings) and number == settings.slow_round:
            slow = chance.participant.endswith(f":{settings.slow_site}")
            ends = time.monotonic() + (settings.slow_s if slow else 0.0)
            while time.monotonic() < ends:
                _ = float((cases.x @ cases.x.T).sum())
                time.sleep(0.02)
        return trained


RECIPE = SlowTabular()


def install(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Install the recipe for this process and for all that it starts."""
    package, info = folder / _PACKAGE, folder / f"{_PACKAGE}-1.0.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    card = files(tabular_logistic).joinpath("recipe.toml").read_text(encoding="utf-8")
    card = card.replace('name = "tabular-logistic"', f'name = "{NAME}"') + _SETTINGS
    (package / "recipe.toml").write_text(card, encoding="utf-8")
    (package / "__init__.py").write_text("from slow_recipe import RECIPE\n", encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_PACKAGE}\nVersion: 1.0.0\n")
    entry = f"[consilium.recipes]\n{NAME} = {_PACKAGE}:RECIPE\n"
    (info / "entry_points.txt").write_text(entry)
    here = str(Path(__file__).parent)
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), here]))
    patch.syspath_prepend(str(folder))

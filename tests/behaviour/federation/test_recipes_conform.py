"""Every installed recipe holds to everything that is asked of one."""

from __future__ import annotations

from typing import Any

import pytest
from extras import need

from consilium.federation.registry import Recipes
from consilium.federation.workshop import CHECKS, check_recipe

RECIPES = Recipes()
QUICK: dict[str, dict[str, Any]] = {
    "image-classifier": {"size": 16, "width": 4, "local_epochs": 4, "learning_rate": 0.005},
    "image-segmenter": {"width": 4, "patch": 32, "patches": 2, "epochs": 1},
}
"""Settings that make a recipe's rounds short, by name; the checks stay the same."""
PACKAGES = {
    "fusion-classifier": "torch",
    "image-classifier": "monai",
    "image-segmenter": "monai",
    "tabular-trees": "xgboost",
}
"""What recipes stand on beyond the base install."""


def _named(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow if name in PACKAGES else ())


@pytest.mark.parametrize("name", [_named(name) for name in sorted(RECIPES.digests)])
def test_an_installed_recipe_conforms(name: str) -> None:
    if name in PACKAGES:
        need(PACKAGES[name])
    installed = RECIPES.find(name)
    assert installed is not None
    findings = list(check_recipe(installed, settings=QUICK.get(name)))
    assert len(findings) >= len(CHECKS)
    assert [finding for finding in findings if not finding.holds] == []

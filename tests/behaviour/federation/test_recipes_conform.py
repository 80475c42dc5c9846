"""Every installed recipe holds to everything that is asked of one."""

from __future__ import annotations

from typing import Any

import pytest

from consilium.federation.registry import Recipes
from consilium.federation.workshop import CHECKS, check_recipe

RECIPES = Recipes()
QUICK: dict[str, dict[str, Any]] = {}
"""Settings that make a recipe's rounds short, by name; the checks stay the same."""


@pytest.mark.parametrize("name", sorted(one.name for one in RECIPES.list()))
def test_an_installed_recipe_conforms(name: str) -> None:
    installed = RECIPES.find(name)
    assert installed is not None
    findings = list(check_recipe(installed, settings=QUICK.get(name)))
    assert len(findings) >= len(CHECKS)
    assert [finding for finding in findings if not finding.holds] == []

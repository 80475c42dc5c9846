"""Gradient-boosted trees on a table, grown where the table is. Needs the extra `trees`."""

from consilium.federation.recipes.tabular_trees.recipe import RECIPE

__all__ = ["RECIPE"]

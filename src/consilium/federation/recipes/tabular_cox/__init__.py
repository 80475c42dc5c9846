"""Cox regression on a table, trained where the table is. Needs numpy only."""

from consilium.federation.recipes.tabular_cox.recipe import RECIPE

__all__ = ["RECIPE"]

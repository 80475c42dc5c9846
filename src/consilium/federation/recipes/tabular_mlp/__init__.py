"""Small neural networks on a table, trained where the tables are. Needs numpy only."""

from consilium.federation.recipes.tabular_mlp.recipe import RECIPE

__all__ = ["RECIPE"]

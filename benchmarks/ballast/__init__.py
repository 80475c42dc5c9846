"""The recipe `ballast`: a model of any size, for measuring what size costs."""

from benchmarks.ballast.recipe import RECIPE

__all__ = ["RECIPE"]

"""Several kinds of data about a patient, of which a hospital may lack some. Needs torch only."""

from consilium.federation.recipes.fusion_classifier.recipe import RECIPE

__all__ = ["RECIPE"]

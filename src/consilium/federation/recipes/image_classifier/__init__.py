"""Image classifier: a small residual or dense network, trained where the images are."""

from consilium.federation.recipes.image_classifier.recipe import RECIPE

__all__ = ["RECIPE"]

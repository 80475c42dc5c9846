"""Drawing regions in images, such as vessels, with a U-Net. Needs the extra `imaging`."""

from consilium.federation.recipes.image_segmenter.recipe import RECIPE

__all__ = ["RECIPE"]

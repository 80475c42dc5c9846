"""From pixels to inputs: what differs between cameras is taken out at the site."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from consilium.federation.contract import Tensor
from consilium.federation.networks import ChannelScaling, scale_each
from consilium.federation.recipes.image_segmenter.settings import Settings

Images = npt.NDArray[np.float32]
DARK = 0.1
"""Below this share of the greatest possible brightness lies nothing of the body."""
LEAST_SPREAD = 0.01
GREEN = 1


def to_brightness(images: Tensor, settings: Settings) -> Images:
    """Return brightness within [0, 1], of the channels that the study asks for.

    Parameters
    ----------
    images : array of shape (n, height, width, channels), uint8, uint16 or float32
        Whole numbers are divided by the greatest of their type; others stay.

    Returns
    -------
    array of shape (n, height, width, channels or 1), float32

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    whole = np.issubdtype(images.dtype, np.integer)
    scale = float(np.iinfo(images.dtype).max) if whole else 1.0
    chosen = images[..., GREEN : GREEN + 1] if settings.channels == "green" else images
    return np.asarray(chosen / scale, dtype=np.float32)


def even_out(
    images: Images, lit: npt.NDArray[np.bool_], *, settings: Settings, site: ChannelScaling
) -> Images:
    """Normalise images as the study asks; what is not lit becomes 0.

    Parameters
    ----------
    images : array of shape (n, height, width, channels), float32
    lit : array of shape (n, height, width), boolean
        Where there is something to be seen.
    site : ChannelScaling
        Of the site's training part, for `contrast = site`.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    if settings.contrast == "site":
        scaled = site.apply(images)
    elif settings.contrast == "image":
        scaled = scale_each(images)
    else:
        radius = settings.contrast_radius
        scaled = np.empty_like(images)
        for place, (image, where) in enumerate(zip(images, lit, strict=True)):
            scaled[place] = local_contrast(image, where, radius=radius)
    return scaled * lit[..., None].astype(np.float32)


def find_lit(images: Tensor) -> npt.NDArray[np.bool_]:
    """Find where an image is not black: the field of view, or the body.

    Parameters
    ----------
    images : array of shape (n, height, width, channels)
        Float images have no greatest brightness: all of them is lit.

    Returns
    -------
    array of shape (n, height, width), boolean

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    if not np.issubdtype(images.dtype, np.integer):
        return np.ones(images.shape[:3], dtype=bool)
    lit: npt.NDArray[np.bool_] = images.max(axis=3) > DARK * np.iinfo(images.dtype).max
    return lit


def local_contrast(image: Images, lit: npt.NDArray[np.bool_], *, radius: float) -> Images:
    """Subtract the mean of each pixel's surroundings and divide by their spread.

    Parameters
    ----------
    image : array of shape (height, width, channels), float32
        Within [0, 1] where it came as whole numbers.
    lit : array of shape (height, width), boolean
        Only these pixels count as surroundings.
    radius : float
        Spread of the Gaussian window, in pixels.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.

    Sources
    -------
    Jarrett et al., ICCV 2009 (local contrast normalisation).
    """
    weight = lit.astype(np.float64)
    around = gaussian_filter(weight, radius) + 1e-6
    result = np.empty_like(image)
    for channel in range(image.shape[2]):
        seen = image[..., channel].astype(np.float64)
        mean = gaussian_filter(seen * weight, radius) / around
        square = gaussian_filter(seen * seen * weight, radius) / around
        spread = np.sqrt(np.maximum(square - mean * mean, LEAST_SPREAD**2))
        result[..., channel] = (seen - mean) / spread
    return result

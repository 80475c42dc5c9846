"""What both drawings need: a grid, soft edges, smooth noise, blur; numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def grid(size: int) -> tuple[Image, Image]:
    """Return y and x of every pixel's middle, within (-1, 1); y grows downwards.

    Returns
    -------
    pair of arrays of shape (size, size)
    """
    ticks = (np.arange(size) + 0.5) * 2 / size - 1
    y, x = np.meshgrid(ticks, ticks, indexing="ij")
    return y, x


def soft(distance: Image, *, width: float) -> Image:
    """Give 1 well inside (distance below 0), 0 well outside, and an edge of this width between."""
    shown: Image = 0.5 - 0.5 * np.tanh(2 * distance / width)
    return shown


def smooth_noise(generator: np.random.Generator, size: int, *, knots: int) -> Image:
    """Draw smooth noise of shape (size, size): bilinear between knots² standard normal draws."""
    coarse = generator.normal(size=(knots, knots))
    places = np.linspace(0, knots - 1, size)
    low = np.minimum(places.astype(int), knots - 2)
    part = places - low
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    mixed: Image = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return mixed


def blur(image: Image, *, spread: float) -> Image:
    """Blur the first two axes by a Gaussian of this spread, in pixels; edges are repeated."""
    if spread <= 0:
        return image
    reach = max(1, int(np.ceil(3 * spread)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        edges = [(0, 0)] * image.ndim
        edges[axis] = (reach, reach)
        padded = np.pad(image, edges, mode="edge")
        length = image.shape[axis]
        image = sum(
            weight * np.take(padded, range(shift, shift + length), axis=axis)
            for shift, weight in enumerate(kernel)
        )
    return image


def to_bytes(image: Image) -> npt.NDArray[np.uint8]:
    """Turn brightness within [0, 1] into 0 to 255; what lies outside is cut."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)

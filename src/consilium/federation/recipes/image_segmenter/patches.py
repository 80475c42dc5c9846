"""Patches of images, as the network meets them: drawn by chance, turned, mirrored, noisy."""

from __future__ import annotations

import math

import numpy as np
import torch

from consilium.federation.contract import Cases
from consilium.federation.networks.training import Pair, Rows
from consilium.federation.recipes.image_segmenter.settings import Settings

STEP, LEAST_EDGE = 16, 32
"""The network halves an image four times, and must not end with a single pixel."""
CONTRAST, BRIGHTNESS, NOISE = 0.2, 0.2, 0.05
"""Half widths of the drawn contrast and brightness, and the spread of the noise."""


class Patches:
    """Patches of one site's images; all chance is torch's own.

    Row r is a patch of image r // `settings.patches`.

    Parameters
    ----------
    cases : Cases
        With `inputs` (n, height, width, channels), float32, and `mask`
        (n, height, width), uint8, among its tensors.
    """

    def __init__(self, cases: Cases, settings: Settings) -> None:
        images = cases.tensors["inputs"]
        self._inputs = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self._masks = torch.from_numpy(cases.tensors["mask"].astype(np.float32))
        self._settings = settings
        self._edge = fit_patch(images.shape[1:3], settings)
        self._tiles = _corners(images.shape[1:3], self._edge)
        self.n = cases.n * settings.patches

    def batch(self, rows: Rows, augmented: bool) -> Pair:
        """Return patches (rows, channels, edge, edge) and masks (rows, 1, edge, edge).

        With the flag they are drawn and changed; without it they are fixed tiles.
        """
        drawn = [self._take(int(row), augmented) for row in rows]
        return torch.stack([pair[0] for pair in drawn]), torch.stack([pair[1] for pair in drawn])

    def _take(self, row: int, augmented: bool) -> Pair:
        image, number = divmod(row, self._settings.patches)
        top, left = self._draw_corner() if augmented else self._tiles[number % len(self._tiles)]
        rows, columns = slice(top, top + self._edge), slice(left, left + self._edge)
        patch, mask = self._inputs[image, :, rows, columns], self._masks[image, None, rows, columns]
        if augmented and self._settings.augment != "none":
            patch, mask = _turn(patch, mask)
        if augmented and self._settings.augment == "strong":
            patch = _spoil(patch)
        return patch, mask

    def _draw_corner(self) -> tuple[int, int]:
        height, width = self._inputs.shape[2:]
        top = torch.randint(height - self._edge + 1, ()).item()
        left = torch.randint(width - self._edge + 1, ()).item()
        return int(top), int(left)


def fit_patch(shape: tuple[int, ...], settings: Settings) -> int:
    """Return the greatest edge that the setting and the image allow, a multiple of 16.

    Parameters
    ----------
    shape : pair of int
        Height and width of the images in pixels.

    Returns
    -------
    int
        0 when the images are too small.

    Discloses
    ---------
    Nothing: it sees shapes.
    """
    edge = min(settings.patch, *shape) // STEP * STEP
    return edge if edge >= LEAST_EDGE else 0


def _corners(shape: tuple[int, ...], edge: int) -> list[tuple[int, int]]:
    """Return corners of tiles that cover an image; the last ones lie at its far edges."""
    tops, lefts = ([min(i * edge, n - edge) for i in range(math.ceil(n / edge))] for n in shape)
    return [(top, left) for top in tops for left in lefts]


def _turn(patch: torch.Tensor, mask: torch.Tensor) -> Pair:
    quarter = int(torch.randint(4, ()).item())
    patch, mask = (torch.rot90(one, quarter, (1, 2)) for one in (patch, mask))
    if torch.rand(()).item() < 0.5:
        patch, mask = patch.flip(2), mask.flip(2)
    return patch, mask


def _spoil(patch: torch.Tensor) -> torch.Tensor:
    contrast, brightness = (2 * torch.rand(2) - 1).tolist()
    changed = patch * (1 + CONTRAST * contrast) + BRIGHTNESS * brightness
    return changed + NOISE * torch.randn(patch.shape)

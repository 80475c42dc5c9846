"""Augmentation at the site: mirrored, turned, shifted, zoomed, brighter or darker."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from consilium.federation.recipes.image_classifier.settings import Settings


def augment(images: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Change each image a little, each in its own way; chance is torch's own.

    Parameters
    ----------
    images : tensor of shape (n, channels, height, width), float32
        Normalised. What comes in from beyond the border repeats it.

    Returns
    -------
    tensor of the same shape

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    moved = _move(images, settings)
    if not settings.intensity:
        return moved
    gain = 1.0 + settings.intensity * _either_way(len(images))
    offset = settings.intensity * _either_way(len(images))
    return moved * gain[:, None, None, None] + offset[:, None, None, None]


def mix(
    images: torch.Tensor, targets: torch.Tensor, *, strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image and its target with another's, by a share from Beta(strength, strength).

    Discloses
    ---------
    Nothing: it stays in the job process.

    Sources
    -------
    Zhang et al., ICLR 2018, arXiv:1710.09412 (mixup).
    """
    share = torch.distributions.Beta(strength, strength).sample()
    other = torch.randperm(len(images))
    return (
        share * images + (1 - share) * images[other],
        share * targets + (1 - share) * targets[other],
    )


def _move(images: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Mirror, turn, zoom and shift by one affine map for each image."""
    n = len(images)
    angle = math.radians(settings.rotate) * _either_way(n)
    zoom = 1.0 + settings.zoom * _either_way(n)
    across, down = settings.shift * _either_way(n), settings.shift * _either_way(n)
    left = _mirrored(n) if settings.flip in ("horizontal", "both") else torch.ones(n)
    up = _mirrored(n) if settings.flip in ("vertical", "both") else torch.ones(n)
    cos, sin = zoom * torch.cos(angle), zoom * torch.sin(angle)
    maps = torch.stack(
        [
            torch.stack([left * cos, -up * sin, across], dim=1),
            torch.stack([left * sin, up * cos, down], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _either_way(n: int) -> torch.Tensor:
    """Draw n numbers between -1 and 1."""
    return 2.0 * torch.rand(n) - 1.0


def _mirrored(n: int) -> torch.Tensor:
    """Draw n signs."""
    return torch.where(torch.rand(n) < 0.5, -1.0, 1.0)

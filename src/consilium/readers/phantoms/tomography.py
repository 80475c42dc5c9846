"""The scan across a fovea (OCT): the layers of a retina, and what disease does to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consilium.readers.phantoms.canvas import Image, Mask, blur, grid, soft

LAYERS = (
    # name, thickness at the rim, share of it that the fovea loses, reflectivity
    ("nerve fibres", 0.065, 0.97, 0.78),
    ("ganglion cells", 0.105, 0.92, 0.46),
    ("inner nuclear", 0.075, 0.85, 0.24),
    ("outer plexiform", 0.035, 0.60, 0.50),
    ("outer nuclear", 0.115, -0.35, 0.18),
    ("photoreceptors", 0.045, -0.10, 0.66),
    ("dark band", 0.022, 0.0, 0.34),
    ("pigment epithelium", 0.050, 0.0, 0.92),
    ("choroid", 0.240, 0.0, 0.42),
)
_FIBRES, _NUCLEAR, _PIGMENT = 0, 4, 7
VITREOUS, SCLERA, FLUID = 0.04, 0.14, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFindings:
    """What is to be seen: nerve fibres left (1 is all), so many cysts of fluid, so many drusen."""

    fibres: float = 1.0
    cysts: int = 0
    drusen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A drawn scan: `image` within [0, 1] and `fluid`, both of shape (size, size)."""

    image: Image
    fluid: Mask


def draw_scan(generator: np.random.Generator, findings: ScanFindings, *, size: int) -> Scan:
    """Draw a scan.

    Parameters
    ----------
    generator : numpy.random.Generator
        Where everything that varies comes from.
    findings : ScanFindings
    size : int
        Pixels along each edge, at least 32.

    Returns
    -------
    Scan
    """
    y, x = grid(size)
    across = x[0]
    cysts = _place_cysts(generator, findings.cysts)
    borders = _borders(generator, findings, across, cysts)
    light = np.array([VITREOUS, *(layer[3] for layer in LAYERS), SCLERA])
    # Each pixel's layer is the number of borders above it.
    layer = (y[None] >= borders[:, None, :]).sum(axis=0)
    image = blur(light[layer], spread=0.006 * size)
    image *= np.where(layer == len(LAYERS), np.exp(-2.5 * np.maximum(0, y - borders[-2])), 1.0)
    fluid = _fluid(y, x, cysts, borders) * (layer > _FIBRES + 1) * (layer <= _NUCLEAR + 1)
    image = image * (1 - fluid) + FLUID * fluid
    image = image * _shadows(generator, across) ** (layer > 1)
    # Coherent light speckles: the noise multiplies.
    speckle = generator.gamma(6.0, 1 / 6.0, size=image.shape)
    image = blur(image * speckle, spread=0.0035 * size) + generator.normal(0, 0.012, image.shape)
    return Scan(image=image.clip(0, 1), fluid=fluid > 0.5)


def _borders(
    generator: np.random.Generator, findings: ScanFindings, across: Image, cysts: Image
) -> Image:
    """Return the borders of the layers, from above, of shape (layers + 1, size)."""
    pit = np.exp(-((across - generator.normal(scale=0.05)) ** 2) / generator.uniform(0.035, 0.06))
    base = 0.30 + generator.normal(scale=0.03) + generator.normal(scale=0.05) * across
    base = base + generator.uniform(0.02, 0.10) * across**2 * -1
    thick = np.array([rim * (1 - lost * pit) for _, rim, lost, _ in LAYERS])
    thick *= generator.normal(1.0, 0.05, size=(len(LAYERS), 1))
    thick[_FIBRES] *= findings.fibres
    thick[_FIBRES + 1] *= 0.45 + 0.55 * findings.fibres
    for place, _, width, height in cysts:
        thick[_NUCLEAR] += 0.9 * height * np.exp(-(((across - place) / (1.7 * width)) ** 2))
    lift = np.zeros_like(across)
    for _ in range(findings.drusen):
        place, width = generator.uniform(-0.7, 0.7), generator.uniform(0.04, 0.09)
        bump = generator.uniform(0.04, 0.085)
        lift = np.maximum(lift, bump * np.exp(-(((across - place) / width) ** 2)))
    # All is measured from the base of the pigment epithelium, which lies still.
    below = thick[_PIGMENT + 1 :].cumsum(axis=0)
    above = thick[: _PIGMENT + 1][::-1].cumsum(axis=0)[::-1]
    borders = np.concatenate([base - above, base[None], base + below])
    borders[: _PIGMENT + 1] -= lift
    return borders


def _place_cysts(generator: np.random.Generator, count: int) -> Image:
    """Draw place, depth within the layers, half width and half height of each cyst."""
    return np.stack(
        [
            generator.normal(0, 0.28, count).clip(-0.75, 0.75),
            generator.uniform(0.25, 0.75, count),
            generator.uniform(0.06, 0.15, count),
            generator.uniform(0.035, 0.075, count),
        ],
        axis=1,
    )


def _fluid(y: Image, x: Image, cysts: Image, borders: Image) -> Image:
    found = np.zeros_like(y)
    for place, depth, width, height in cysts:
        column = int(np.argmin(np.abs(x[0] - place)))
        top, bottom = borders[_FIBRES + 2, column], borders[_NUCLEAR + 1, column]
        middle = top + depth * (bottom - top)
        away = np.hypot((x - place) / width, (y - middle) / height)
        found = np.maximum(found, soft(away - 1, width=0.3))
    return found


def _shadows(generator: np.random.Generator, across: Image) -> Image:
    """Return what vessels leave of the light, column by column."""
    left = np.ones_like(across)
    for _ in range(generator.integers(2, 6)):
        place = generator.choice((-1, 1)) * generator.uniform(0.3, 0.95)
        left -= generator.uniform(0.15, 0.4) * np.exp(-(((across - place) / 0.022) ** 2))
    return left.clip(0.3, 1)

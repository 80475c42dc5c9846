"""The photograph of the back of an eye: disc, vessels, fovea, and what disease adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consilium.readers.phantoms.canvas import Image, Mask, grid, smooth_noise, soft

ORANGE = np.array([0.72, 0.33, 0.14])
PALE = np.array([0.95, 0.64, 0.36])
CUP = np.array([1.0, 0.97, 0.82])
BLOOD = np.array([0.42, 0.10, 0.06])
EXUDATE = np.array([0.96, 0.88, 0.45])
DRUSEN = np.array([0.90, 0.66, 0.32])
FIELD, DISC_PLACE, DISC_RADIUS = 0.95, 0.48, 0.17
"""Radius of the field of view; the disc's distance from the middle, and its radius."""
FOVEA = -0.06
"""The fovea, on the other side of the middle."""
_STEP = 0.014


@dataclass(frozen=True, slots=True, kw_only=True)
class FundusFindings:
    """What is to be seen: the cup's share of the disc's width, and so many of each lesion."""

    cup: float = 0.3
    microaneurysms: int = 0
    haemorrhages: int = 0
    exudates: int = 0
    drusen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fundus:
    """A drawn photograph.

    `image` of shape (size, size, 3), red green blue, within [0, 1]; `vessels`
    and `lesions` of shape (size, size), boolean.
    """

    image: Image
    vessels: Mask
    lesions: Mask


def draw_fundus(
    generator: np.random.Generator, findings: FundusFindings, *, size: int, side: int
) -> Fundus:
    """Draw a photograph.

    Parameters
    ----------
    generator : numpy.random.Generator
        Where everything that varies comes from.
    findings : FundusFindings
    size : int
        Pixels along each edge, at least 32.
    side : int
        1 when the disc lies right of the middle (a right eye), -1 when left.

    Returns
    -------
    Fundus
    """
    y, x = grid(size)
    field = soft(np.hypot(y, x) - FIELD, width=0.02)
    disc_y = generator.normal(scale=0.02)
    image = _background(generator, y, x, side)
    image = _paint(image, _disc(y, x, disc_y, side, 1.0), PALE, 0.95)
    image = _paint(image, _disc(y, x, disc_y, side, findings.cup), CUP, 0.9)
    vessels = _vessels(generator, size, disc_y, side)
    image = _paint(image, vessels, BLOOD, 0.75)
    image, lesions = _lesions(generator, image, findings, side)
    inside = field > 0.5
    return Fundus(
        image=image * field[..., None],
        vessels=(vessels > 0.5) & inside,
        lesions=(lesions > 0.5) & inside,
    )


def _background(generator: np.random.Generator, y: Image, x: Image, side: int) -> Image:
    tint = ORANGE * generator.normal(1.0, 0.06, size=3)
    texture = 0.03 * smooth_noise(generator, len(y), knots=9)
    fall = 1 - 0.35 * (y**2 + x**2)
    fovea = 0.28 * np.exp(-(y**2 + (x - side * FOVEA) ** 2) / 0.03)
    return (tint * (fall * (1 - fovea) + texture)[..., None]).clip(0, 1)


def _disc(y: Image, x: Image, disc_y: float, side: int, share: float) -> Image:
    away = np.hypot((y - disc_y) / 1.1, x - side * DISC_PLACE)
    return soft(away - DISC_RADIUS * share, width=0.035)


def _paint(image: Image, where: Image, colour: Image, strength: float) -> Image:
    share = (strength * where)[..., None]
    return image * (1 - share) + colour * share


def _vessels(generator: np.random.Generator, size: int, disc_y: float, side: int) -> Image:
    """Let four pairs of vessels grow from the disc, two of them in arcs around the fovea."""
    canvas = np.zeros((size, size))
    for up in (1, -1):
        for width in (0.017, 0.023):  # an artery, and a vein beside it
            # Headings are measured from the direction of the fovea.
            temporal = up * generator.uniform(1.25, 1.65)
            bend = -up * generator.uniform(1.05, 1.45)
            nasal = up * generator.uniform(2.1, 2.6)
            for heading, turn in ((temporal, bend), (nasal, up * 0.2)):
                start = (disc_y, side * DISC_PLACE)
                _grow(canvas, generator, start, side, heading=heading, turn=turn, width=width)
    return canvas


def _grow(
    canvas: Image,
    generator: np.random.Generator,
    start: tuple[float, float],
    side: int,
    *,
    heading: float,
    turn: float,
    width: float,
) -> None:
    """Walk until the field ends or the vessel is too thin, and let branches go."""
    y, x = start
    until_branch = generator.integers(12, 30)
    while width > 0.005 and np.hypot(y, x) < FIELD + 0.05:
        _stamp(canvas, y, x, width)
        heading += turn * _STEP + generator.normal(scale=0.055)
        y, x = y - _STEP * np.sin(heading), x - side * _STEP * np.cos(heading)
        width *= 0.9915
        until_branch -= 1
        if until_branch == 0:
            until_branch = generator.integers(14, 34)
            fork = generator.choice((-1, 1)) * generator.uniform(0.5, 0.9)
            _grow(
                canvas,
                generator,
                (y, x),
                side,
                heading=heading + fork,
                turn=turn * 0.4,
                width=width * 0.62,
            )


def _stamp(canvas: Image, y: float, x: float, radius: float) -> None:
    """Darken a small round place; only the window around it is touched."""
    size = len(canvas)
    reach = int(np.ceil((radius + 0.03) * size / 2)) + 1
    row, column = int((y + 1) * size / 2), int((x + 1) * size / 2)
    rows = slice(max(0, row - reach), max(0, row + reach + 1))
    columns = slice(max(0, column - reach), max(0, column + reach + 1))
    ticks = (np.arange(size) + 0.5) * 2 / size - 1
    away = np.hypot(ticks[rows, None] - y, ticks[None, columns] - x)
    # The edge is a pixel wide, so that thin vessels become faint and not broken.
    shown = soft(away - radius, width=1.6 / size)
    canvas[rows, columns] = np.maximum(canvas[rows, columns], shown)


def _lesions(
    generator: np.random.Generator, image: Image, findings: FundusFindings, side: int
) -> tuple[Image, Image]:
    """Paint each kind of lesion where it is found; return the image and where they are."""
    kinds = (
        (findings.drusen, (0.018, 0.04), 0.22, DRUSEN, 0.7),
        (findings.exudates, (0.012, 0.03), 0.38, EXUDATE, 0.9),
        (findings.haemorrhages, (0.03, 0.06), 0.7, BLOOD, 0.85),
        (findings.microaneurysms, (0.011, 0.017), 0.6, BLOOD, 0.85),
    )
    every = np.zeros(image.shape[:2])
    for count, radii, spread, colour, strength in kinds:
        spots = np.zeros_like(every)
        for _ in range(count):
            away = spread * np.sqrt(generator.random())
            angle = generator.uniform(0, 2 * np.pi)
            y, x = away * np.sin(angle), side * FOVEA + away * np.cos(angle)
            _stamp(spots, y, x, generator.uniform(*radii))
        image = _paint(image, spots, colour, strength)
        every = np.maximum(every, spots)
    return image, every

"""Mock rows: invented cases that fit a study's needs, with something in them to learn.

They are drawn from names, kinds and ranges alone. No row of a patient is ever
looked at, so a study can be tried before anybody has agreed to anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from consilium.federation.contract import Cases, Matrix, Needs, Tensor, Vector
from consilium.gate.orders import FieldNeed, Target

MISSING_SHARE = 0.05
"""Share of table cells that are missing."""
_CLASSES = ("first", "second", "third")
_SHAPES = {"image": (32, 32, 1), "signal": (64, 2)}

Ranges = Mapping[str, tuple[float, float]]
"""Least and greatest plausible number, by column."""


def mock_needs(modalities: Sequence[str], target: str) -> Needs:
    """Make the needs of an invented study: two numbers and a category for a table.

    Parameters
    ----------
    modalities : sequence of str
        Of `table`, `image`, `signal`.
    target : str
        A kind of target.

    Discloses
    ---------
    Nothing: it is invented.
    """
    features: list[FieldNeed] = []
    if "table" in modalities:
        features += [
            FieldNeed(name="age", kind="number", unit="a"),
            FieldNeed(name="pressure", kind="number", unit="mm[Hg]"),
            FieldNeed(name="stage", kind="category", categories=("I", "II", "III")),
        ]
    features += [
        FieldNeed(name=kind, kind=kind, modality=kind, shape=_SHAPES[kind])
        for kind in ("image", "signal")
        if kind in modalities
    ]
    classes = _CLASSES if target == "classes" else ()
    return Needs(features=tuple(features), target=Target(kind=target, classes=classes))


def mock_sides(
    needs: Needs,
    *,
    seed: int,
    n: int = 90,
    lacks: Sequence[str] = (),
    ranges: Ranges | None = None,
) -> tuple[Cases, Cases]:
    """Draw a site's training part (two thirds) and held-out part.

    A hidden figure of each patient shows in every field and decides the
    target, so that a recipe which learns anything does better than chance.
    Every third patient has two rows.

    Parameters
    ----------
    needs : Needs
        What to draw.
    n : int, optional
        Rows, at least 12.
    lacks : sequence of str, optional
        Modalities that the site does not have.

    Discloses
    ---------
    Nothing: it is invented.
    """
    generator = np.random.default_rng(seed)
    group = np.sort(np.minimum(np.arange(n), (np.arange(n) * 3) // 4)).astype(np.int64)
    hidden = generator.normal(size=int(group.max()) + 1)[group]
    y, tensors = _draw_target(needs, hidden, generator)
    for need in needs.features:
        if not need.is_column and need.modality not in lacks:
            tensors[need.name] = _draw_tensor(need, hidden, generator)
    columns = [_draw_column(need, hidden, generator, ranges or {}) for need in needs.columns]
    x = np.stack(columns, axis=1) if columns else np.empty((n, 0))
    for place, need in enumerate(needs.columns):
        if need.modality in lacks:
            x[:, place] = np.nan
    cases = Cases(x=x, y=y, group=group, tensors=tensors)
    held_out = group % 3 == 2
    return cases.take(~held_out), cases.take(held_out)


def _draw_column(
    need: FieldNeed, hidden: Vector, generator: np.random.Generator, ranges: Ranges
) -> Vector:
    noisy = hidden + generator.normal(size=len(hidden))
    share = 0.5 * (1 + np.tanh(noisy / 2))
    if need.kind == "category":
        column = np.floor(share * len(need.categories)).clip(0, len(need.categories) - 1)
    else:
        low, high = ranges.get(need.name, (-2.0, 2.0))
        column = low + share * (high - low)
    return np.where(generator.random(len(hidden)) < MISSING_SHARE, np.nan, column)


def _draw_tensor(need: FieldNeed, hidden: Vector, generator: np.random.Generator) -> Tensor:
    noise = generator.normal(size=(len(hidden), *need.shape))
    if need.kind == "signal":
        wave = np.sin(np.linspace(0, 6 * np.pi, need.shape[0]))[None, :, None]
        return (noise + wave * (2 * hidden)[:, None, None]).astype(np.float32)
    spot = _spot(need.shape[0], need.shape[1])[None, :, :, None]
    bright = 110 + 12 * noise + 90 * spot * _sigmoid(2 * hidden)[:, None, None, None]
    return bright.clip(0, 255).astype(np.uint8)


def _draw_target(
    needs: Needs, hidden: Vector, generator: np.random.Generator
) -> tuple[Vector, dict[str, Tensor]]:
    target, n = needs.target, len(hidden)
    noisy = hidden + 0.5 * generator.normal(size=n)
    if target.kind == "classes":
        edges = np.quantile(noisy, np.linspace(0, 1, len(target.classes) + 1)[1:-1])
        return np.searchsorted(edges, noisy).astype(np.float64), {}
    if target.kind == "number":
        return 20 + 5 * noisy, {}
    if target.kind == "survival":
        time = generator.exponential(np.exp(-noisy)) + 1e-3
        return (generator.random(n) < 0.7).astype(np.float64), {"time": time}
    if target.kind == "mask":
        return np.zeros(n), {"mask": _draw_mask(needs, hidden)}
    return (noisy > 0).astype(np.float64), {}


def _draw_mask(needs: Needs, hidden: Vector) -> Tensor:
    image = next(need for need in needs.features if need.kind == "image")
    spot = _spot(image.shape[0], image.shape[1])
    return (spot[None] > 0.75 - 0.3 * _sigmoid(hidden)[:, None, None]).astype(np.uint8)


def _spot(height: int, width: int) -> Matrix:
    """A bright round spot in the middle, within [0, 1]."""
    down, right = np.mgrid[-1 : 1 : complex(0, height), -1 : 1 : complex(0, width)]
    return np.asarray(np.exp(-3 * (down**2 + right**2)))


def _sigmoid(z: Vector) -> Vector:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))

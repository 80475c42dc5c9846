"""The output gate for updates: arrays of the model's own names and shapes, finite, bare.

An update is the one thing that leaves in bulk. Its layout is fixed by the plan
that the lead signed and this hospital admitted, so an update cannot be larger
or other than the model; notes, odd number formats and NaN payloads are refused,
and what leaves is packed anew from the arrays alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.gate.orders import Study
from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import DeniedError, InputError
from consilium.models.weights import Arrays, read_notes, unpack_arrays

Layout = Mapping[str, tuple[int, ...]]
"""Shape by name."""

LARGEST_UPDATE = 1024 * 1024 * 1024
WIDEST_NUMBER = 8
SLACK = 64 * 1024
SLACK_PER_ARRAY = 512


def read_update(update: bytes, *, largest: int) -> Arrays:
    """Return an update's arrays if there is nothing else in it.

    Raises
    ------
    DeniedError
        `gate.update_too_large`, `gate.update_unreadable`, `gate.update_has_notes`,
        `gate.update_not_numbers`, `gate.update_not_finite`.

    Discloses
    ---------
    Nothing by itself.
    """
    if len(update) > largest:
        raise DeniedError("gate.update_too_large", bytes=len(update), largest=largest)
    try:
        notes, arrays = read_notes(update), unpack_arrays(update)
    except InputError as error:
        raise DeniedError("gate.update_unreadable") from error
    if notes:
        raise DeniedError("gate.update_has_notes")
    for array in arrays.values():
        if array.dtype.kind not in "fiu" or array.dtype.itemsize > WIDEST_NUMBER:
            raise DeniedError("gate.update_not_numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DeniedError("gate.update_not_finite")
    return arrays


def check_layout(arrays: Arrays, layout: Layout) -> None:
    """Refuse arrays whose names and shapes are not exactly those of `layout`.

    Raises
    ------
    DeniedError
        `gate.update_other_arrays`.
    """
    if layout_of(arrays) != dict(layout):
        raise DeniedError("gate.update_other_arrays", wanted=len(layout), found=len(arrays))


def layout_of(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    """Return shape by name."""
    return {name: tuple(array.shape) for name, array in arrays.items()}


def plan_layout(study: Study) -> Layout | None:
    """Return the layout that the plan fixes, or None when it fixes none."""
    return {need.name: need.shape for need in study.layout} or None


def largest_update(layout: Layout | None) -> int:
    """Return how many bytes an update may have: the model's numbers at 8 bytes, and a header."""
    if layout is None:
        return LARGEST_UPDATE
    numbers = sum(math.prod(shape) for shape in layout.values())
    named = sum(SLACK_PER_ARRAY + 6 * len(name) for name in layout)
    return min(LARGEST_UPDATE, numbers * WIDEST_NUMBER + named + SLACK)


def write_layout(layout: Layout) -> str:
    """Write a layout for the gate's table."""
    return canonical_bytes({name: list(shape) for name, shape in layout.items()}).decode()


def read_layout(text: str) -> Layout:
    """Read what `write_layout` wrote."""
    plain: Any = read_json(text)
    return {name: tuple(shape) for name, shape in plain.items()}

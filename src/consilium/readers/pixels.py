"""Pictures as arrays: brought to the schema's size, reduced to a few figures. No file, no codec.

Grey values are kept as they are: nothing is scaled, and nothing of a file but
its picture elements comes this far.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.readers.records import Field

Pixels = npt.NDArray[Any]

HASH_SIDE = 16
GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


class UnfitError(Exception):
    """A picture or signal that cannot be used; `reason` is one of `REASONS`. Stays in this room."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS = (
    "no_file",
    "unreadable",
    "too_large",
    "several_pages",
    "wrong_channels",
    "wrong_depth",
    "other_size",
)
"""Why a picture or signal cannot be used."""


def dtype_of(field: Field) -> np.dtype[Any]:
    """Return how a field's elements are kept: uint8, uint16, or float32 for signals."""
    if field.kind == "signal":
        return np.dtype("<f4")
    return np.dtype("u1") if field.depth == 8 else np.dtype("<u2")


def inner_size(size: tuple[int, int], field: Field) -> tuple[int, int]:
    """Return height and width that a picture gets inside the field's shape before it is filled up.

    Parameters
    ----------
    size : pair of int
        Height and width of the picture.
    field : Field
        An image field.
    """
    height, width = field.shape[:2]
    if field.fit == "stretch":
        return height, width
    scale = min(height / size[0], width / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fill_up(picture: Pixels, field: Field) -> Pixels:
    """Put a picture into the middle of the field's shape, zeros around it."""
    if picture.shape == field.shape:
        return picture
    whole = np.zeros(field.shape, dtype=picture.dtype)
    top, left = ((field.shape[axis] - picture.shape[axis]) // 2 for axis in (0, 1))
    whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return whole


def fit_signal(signal: npt.NDArray[np.float64], field: Field) -> npt.NDArray[np.float32]:
    """Bring a signal of shape (length, channels) to the field's length.

    `pad` cuts what is longer at its end and fills up with zeros; `stretch`
    interpolates linearly over the whole length.

    Raises
    ------
    UnfitError
        Other channels, no length, or values that are not finite.
    """
    length, channels = field.shape
    if signal.ndim == 1:
        signal = signal[:, None]
    if signal.ndim != 2 or signal.shape[1] != channels or not len(signal):
        raise UnfitError("wrong_channels")
    if not np.isfinite(signal).all() or np.abs(signal).max() > np.finfo(np.float32).max:
        raise UnfitError("unreadable")
    if field.fit == "stretch" and len(signal) != length:
        old, new = np.linspace(0, 1, len(signal)), np.linspace(0, 1, length)
        signal = np.stack([np.interp(new, old, one) for one in signal.T], axis=1)
    whole = np.zeros(field.shape, dtype=np.float32)
    whole[: min(length, len(signal))] = signal[:length]
    return whole


def grey_of(picture: Pixels) -> npt.NDArray[np.float64]:
    """Return brightness of shape (height, width) of a picture (height, width, 1 or 3)."""
    if picture.shape[2] == 1:
        return picture[:, :, 0].astype(np.float64)
    grey: npt.NDArray[np.float64] = picture @ np.array(GREY)
    return grey


def difference_hash(grey: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Return 256 bits that near copies of a picture share, as four words.

    The picture is averaged on a grid of 16 rows and 17 columns; each bit says
    whether a cell is brighter than its left neighbour.

    Sources
    -------
    Krawetz, "Kind of Like That", hackerfactor.com, 2013 (dHash).
    """
    cells = _averages(_averages(grey, HASH_SIDE).T, HASH_SIDE + 1).T
    # Steps that rounding alone could make are no steps.
    bits = np.diff(cells, axis=1) > 1e-6 * max(float(np.abs(cells).max(initial=0.0)), 1e-12)
    return np.packbits(bits.ravel()).view(np.uint64)


def _averages(values: npt.NDArray[np.float64], cells: int) -> npt.NDArray[np.float64]:
    """Average rows into so many cells; where there are fewer rows, they are repeated."""
    if len(values) < cells:
        values = values[np.arange(cells) * len(values) // cells]
    edges = np.arange(cells) * len(values) // cells
    sizes = np.diff([*edges, len(values)])
    averages: npt.NDArray[np.float64] = np.add.reduceat(values, edges, axis=0) / sizes[:, None]
    return averages

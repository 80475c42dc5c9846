"""Pillow, bounded: the one file that knows it.

It opens PNG, JPEG and TIFF only, looks at a picture's size before it unpacks
it, and gives back picture elements and nothing else: no EXIF, no TIFF tags, no
colour profile. It is an extra (`consilium[imaging]`), loaded on first use.
"""

from __future__ import annotations

import importlib
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from consilium.kernel.errors import StateError
from consilium.readers.pixels import Pixels, UnfitError, fill_up, inner_size
from consilium.readers.records import Field

MOST_PIXELS = 1 << 26
"""Picture elements of a picture before it is resized: 8,192 squared."""

FORMATS = ("PNG", "JPEG", "TIFF")
_OF_A_CAMERA = ("JPEG", "MPO")
"""May hold previews behind their picture; the first one counts."""

_PLAIN = {"1": "L", "L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB"}
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    struct.error,
    EOFError,
)
"""What Pillow's decoders raise over damaged files."""


def check_pillow() -> None:
    """Refuse at the start where images cannot be read.

    Raises
    ------
    StateError
        `readers.no_imaging`.
    """
    _load("Image")


def decode(file: BinaryIO, field: Field) -> Pixels:
    """Read a picture from an open file, upright, with the field's channels and depth.

    Returns
    -------
    array of shape (height, width, channels), uint8 or uint16
        As large as in the file.

    Raises
    ------
    UnfitError
        With its reason; the decoder's own words could quote the file.
    """
    images = _load("Image")
    with _guarded(images), images.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise UnfitError("too_large")
        if opened.format not in _OF_A_CAMERA and getattr(opened, "n_frames", 1) > 1:
            raise UnfitError("several_pages")
        deep = opened.mode in _DEEP or _is_reduced(opened)
        if deep != (field.depth == 16) or opened.mode in ("I", "F"):
            raise UnfitError("wrong_depth")
        if deep and opened.mode not in _DEEP:
            raise UnfitError("wrong_channels")
        upright = _load("ImageOps").exif_transpose(opened)
        return _take(upright if deep else _flatten(upright), field)


def resize(picture: Pixels, field: Field) -> Pixels:
    """Bring a picture to the field's shape; grey values keep their scale.

    Parameters
    ----------
    picture : array of shape (height, width, channels), uint8 or uint16
    field : Field
        Tells shape, fit and interpolation. `bilinear` and `bicubic` average
        over all that falls together where a picture gets smaller.
    """
    return fill_up(resize_inner(picture, field), field)


def resize_inner(picture: Pixels, field: Field) -> Pixels:
    """Do the first half of `resize`: the picture without what fills it up."""
    size = inner_size((picture.shape[0], picture.shape[1]), field)
    if picture.shape[:2] == size:
        return picture
    images = _load("Image")
    way = {"area": "BOX"}.get(field.interpolation, field.interpolation.upper())
    top = np.iinfo(picture.dtype).max
    resized = np.empty((*size, picture.shape[2]), dtype=picture.dtype)
    for channel in range(picture.shape[2]):
        plane = images.fromarray(picture[:, :, channel].astype(np.float32))
        found = np.asarray(plane.resize(size[::-1], getattr(images.Resampling, way)))
        resized[:, :, channel] = np.clip(np.rint(found), 0, top)
    return resized


def _flatten(picture: Any) -> Any:
    """Return a picture of 8 bits in grey or RGB; see-through places are refused."""
    if picture.mode in ("P", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "RGBA") and picture.getchannel("A").getextrema()[0] < 255:
        raise UnfitError("wrong_channels")
    if picture.mode not in _PLAIN:
        raise UnfitError("wrong_channels")
    return picture.convert(_PLAIN[picture.mode])


def _take(picture: Any, field: Field) -> Pixels:
    """Return picture elements with the field's channels; colour without colour is grey."""
    found = np.asarray(picture)
    found = found.astype(np.uint16 if field.depth == 16 else np.uint8)
    if found.ndim == 2:
        found = found[:, :, None]
    if field.shape[2] == 1 and found.shape[2] == 3 and (found == found[:, :, :1]).all():
        found = found[:, :, :1]
    if found.shape[2] != field.shape[2]:
        raise UnfitError("wrong_channels")
    return np.ascontiguousarray(found)


def _is_reduced(picture: Any) -> bool:
    """Tell whether Pillow would cut 16 bits of colour down to 8 without a word."""
    return any(";16" in str(tile[3]) for tile in picture.tile)


@contextmanager
def _guarded(images: Any) -> Iterator[None]:
    """Turn what a decoder says of a damaged or oversized file into our reasons."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", images.DecompressionBombWarning)
        try:
            yield
        except (images.DecompressionBombError, images.DecompressionBombWarning, MemoryError):
            raise UnfitError("too_large") from None
        except _BROKEN:
            raise UnfitError("unreadable") from None


def _load(module: str) -> Any:
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise StateError("readers.no_imaging") from error

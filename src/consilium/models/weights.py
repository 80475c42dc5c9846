"""Weights as bytes: safetensors, in one order, without code.

The same arrays always give the same bytes, so a model can be named by the
SHA-256 of its file and compared across hospitals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from consilium.kernel.errors import InputError

Arrays = Mapping[str, npt.NDArray[Any]]
"""Named arrays, float64 unless said otherwise."""

LARGEST_HEADER = 16 * 1024 * 1024


def pack_arrays(arrays: Arrays, *, note: str = "") -> bytes:
    """Write arrays as one safetensors file, names sorted.

    Parameters
    ----------
    arrays : mapping of str to array
        Any shape; finite or not (the output gate judges that).
    note : str, optional
        Text kept in the file's header. One only: the format keeps several in
        no fixed order, and the bytes must be the same each time.
    """
    tidy = {name: _ordered(arrays[name]) for name in sorted(arrays)}
    return bytes(save(tidy, metadata={"note": note} if note else None))


def unpack_arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Read what `pack_arrays` wrote.

    Raises
    ------
    InputError
        `models.not_weights` when the bytes are no safetensors file.
    """
    try:
        return dict(sorted(load(data).items()))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("models.not_weights") from error


def read_notes(data: bytes) -> dict[str, str]:
    """Return every text in the file's header; `{"note": …}` in our own files.

    Raises
    ------
    InputError
        `models.not_weights`.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(LARGEST_HEADER, len(data) - 8):
        raise InputError("models.not_weights")
    try:
        notes = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        return {str(key): str(value) for key, value in notes.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError("models.not_weights") from error


def _ordered(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Lay an array out row by row, keeping a scalar a scalar."""
    return np.asarray(array, order="C")

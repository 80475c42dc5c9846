"""The array file: what a job may read of a dataset, and nothing else.

An uncompressed npz without objects: `x` float64 (n, features), `y` float64
(n,), `group` int64 (n,), `part` int8 (n,). It is written in a stream and has
no times in it, so the same source and schema give the same bytes.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from consilium.readers.split import Labels, Numbers

_EPOCH = (1980, 1, 1, 0, 0, 0)
_ROWS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows in order.

    `x` float64 of shape (rows, features); `y` int8 of shape (rows,); `group`
    int64 of shape (rows,), the patients' numbers, or None without patient ids.
    """

    x: npt.NDArray[np.float64]
    y: Labels
    group: Numbers | None


Divide = Callable[[Labels, Numbers | None], npt.NDArray[np.int8]]
"""Gives each row its part, from labels and patient numbers."""


def write_arrays(
    path: Path, chunks: Iterable[Chunk], *, shape: tuple[int, int], divide: Divide
) -> None:
    """Write the array file; it appears at `path` complete or not at all.

    Parameters
    ----------
    path : Path
        Written with mode 0600, over whatever was there.
    chunks : iterable of Chunk
        All rows in order.
    shape : pair of int
        Rows and features in total.
    divide : callable
        See `Divide`.
    """
    waiting = path.with_name(path.name + ".part")
    handle = os.open(waiting, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w+b") as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
                y, group = _write_cases(archive, chunks, shape)
                part = divide(y, group)
                _write_vector(archive, "y", y, np.dtype("<f8"))
                numbers = np.arange(shape[0]) if group is None else group
                _write_vector(archive, "group", numbers, np.dtype("<i8"))
                _write_vector(archive, "part", part, np.dtype("i1"))
            out.flush()
            os.fsync(out.fileno())
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)


def _write_cases(
    archive: zipfile.ZipFile, chunks: Iterable[Chunk], shape: tuple[int, int]
) -> tuple[Labels, Numbers | None]:
    labels: list[Labels] = []
    groups: list[Numbers] = []
    with _entry(archive, "x", np.dtype("<f8"), shape) as entry:
        for chunk in chunks:
            entry.write(np.ascontiguousarray(chunk.x, dtype="<f8").data)
            labels.append(chunk.y)
            if chunk.group is not None:
                groups.append(chunk.group)
    return np.concatenate(labels), np.concatenate(groups) if groups else None


@contextmanager
def _entry(
    archive: zipfile.ZipFile, name: str, kind: np.dtype[np.generic], shape: tuple[int, ...]
) -> Iterator[IO[bytes]]:
    info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
    with archive.open(info, "w", force_zip64=True) as entry:
        header = {
            "descr": np.lib.format.dtype_to_descr(kind),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(entry, header)
        yield entry


def _write_vector(
    archive: zipfile.ZipFile,
    name: str,
    values: npt.NDArray[np.generic],
    kind: np.dtype[np.generic],
) -> None:
    with _entry(archive, name, kind, values.shape) as entry:
        for start in range(0, values.size, _ROWS):
            piece = values[start : start + _ROWS]
            entry.write(np.ascontiguousarray(piece.astype(kind)).data)

"""The array file: what a job may read of a dataset, and nothing else.

An uncompressed npz without objects: `x` float64 (n, columns), `y` float64
(n,), `group` int64 (n,), `part` int8 (n,); where the target has them, `time`
float64 (n,) and `mask` uint8 (n, height, width); and for each image or signal
`field.NAME`, uint8 or uint16 (n, height, width, channels) or float32 (n,
length, channels). It is written in a stream and has no times in it, so the
same source and schema give the same bytes.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from consilium.readers.split import Labels, Numbers, Reals, Rows

_EPOCH = (1980, 1, 1, 0, 0, 0)
_ROWS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows in order.

    `x` float64 of shape (rows, columns); `y` of shape (rows,), int8, int16 or
    float64 by the label's kind; `group` int64 of shape (rows,), the patients'
    numbers, or None without patient ids; `time`, `given` (the split's category
    by its index) and `order` float64 of shape (rows,), or None.
    """

    x: npt.NDArray[np.float64]
    y: Labels
    group: Numbers | None
    time: Reals | None = None
    given: Reals | None = None
    order: Reals | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A further member of the array file, written piece by piece.

    `pieces` gives the bytes of all rows in order, C order, `dtype`.
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    pieces: Callable[[], Iterator[memoryview]]


Divide = Callable[[Rows], npt.NDArray[np.int8]]
"""Gives each row its part."""


def write_arrays(
    path: Path,
    chunks: Iterable[Chunk],
    *,
    shape: tuple[int, int],
    divide: Divide,
    tensors: Iterable[Tensor] = (),
) -> None:
    """Write the array file; it appears at `path` complete or not at all.

    Parameters
    ----------
    path : Path
        Written with mode 0600, over whatever was there.
    chunks : iterable of Chunk
        All rows in order.
    shape : pair of int
        Rows and columns in total.
    divide : callable
        See `Divide`.
    tensors : iterable of Tensor, optional
        Images, signals and masks of the same rows.
    """
    waiting = path.with_name(path.name + ".part")
    handle = os.open(waiting, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w+b") as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
                rows = _write_cases(archive, chunks, shape)
                part = divide(rows)
                _write_vector(archive, "y", rows.y, np.dtype("<f8"))
                numbers = np.arange(shape[0]) if rows.group is None else rows.group
                _write_vector(archive, "group", numbers, np.dtype("<i8"))
                _write_vector(archive, "part", part, np.dtype("i1"))
                if rows.time is not None:
                    _write_vector(archive, "time", rows.time, np.dtype("<f8"))
                for tensor in tensors:
                    with _entry(archive, tensor.name, tensor.dtype, tensor.shape) as entry:
                        for piece in tensor.pieces():
                            entry.write(piece)
            out.flush()
            os.fsync(out.fileno())
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)


def _write_cases(archive: zipfile.ZipFile, chunks: Iterable[Chunk], shape: tuple[int, int]) -> Rows:
    kept: dict[str, list[npt.NDArray[Any]]] = {}
    with _entry(archive, "x", np.dtype("<f8"), shape) as entry:
        for chunk in chunks:
            if chunk.x.size:
                entry.write(np.ascontiguousarray(chunk.x, dtype="<f8").data)
            for name in ("y", "group", "time", "given", "order"):
                values = getattr(chunk, name)
                if values is not None:
                    kept.setdefault(name, []).append(values)
    found: dict[str, Any] = {name: np.concatenate(values) for name, values in kept.items()}
    return Rows(**{"group": None, **found})


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

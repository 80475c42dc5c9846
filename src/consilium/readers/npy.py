"""Members of numpy's array files, read in a stream: no objects, no maps, no surprise sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

KINDS = "biufSU"
"""What a member may hold: truth values, numbers and text. Never objects, dates or records."""

MOST_BYTES_OF_A_ROW = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The head of one array: element type and shape, rows first."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def read_head(file: IO[bytes]) -> Member | None:
    """Read an array's head; None when it is none that this house reads.

    The file then stands at the first row.
    """
    try:
        version = np.lib.format.read_magic(file)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = reader(file)
    except (ValueError, KeyError, OSError, EOFError, SyntaxError, TypeError):
        return None
    head = Member(dtype=dtype, shape=shape)
    if dtype.kind not in KINDS or not shape or (fortran and len(shape) > 1):
        return None
    return head if head.row_bytes <= MOST_BYTES_OF_A_ROW else None


def read_rows(file: IO[bytes], head: Member, *, at_once: int) -> Iterator[npt.NDArray[Any]]:
    """Give out an array's rows, so many at a time.

    Raises
    ------
    EOFError
        When the file ends before the head's shape does.
    """
    for start in range(0, head.rows, at_once):
        rows = min(at_once, head.rows - start)
        data = file.read(rows * head.row_bytes)
        if len(data) != rows * head.row_bytes:
            raise EOFError
        yield np.frombuffer(data, dtype=head.dtype).reshape(rows, *head.shape[1:])

"""Images as PNG, without a library: the base installation brings none."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Write a grey or red-green-blue image as PNG, without times or comments.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, 3), uint8

    Sources
    -------
    PNG specification, third edition, W3C 2025: sections 5 and 11 (chunks), 9.2 (filter 0).
    """
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + image[0].size), dtype=np.uint8)  # each begins with its filter, 0
    rows[:, 1:] = image.reshape(height, -1)
    colour = 2 if image.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

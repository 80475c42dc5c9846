"""What is planted in the data, and the search for it in whatever coat it may wear."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

WORD = "Zq9Xw7Kp"
"""Part of every patient id, and of every foreign cell written in Latin letters."""
SIGN = "鳜鱼鸢尾"
"""Part of every name, note and foreign cell written in Chinese."""
COLUMN = "鲲鹏别栏"
"""Name of a column that the schema does not know; its steward may read it, nobody else."""
FIGURE, BESIDE = 7391.246803571113, 61.70346890127745
"""Two neighbouring cells of one row."""

CODES = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_DECIMAL = re.compile(rb"\d+\.\d{6,}(?:[eE][+-]?\d+)?")
_ZIPPED, _GZIPPED = b"PK\x03\x04", b"\x1f\x8b\x08"
_DEEPEST, _LARGEST = 5, 1 << 26


def sightings(haystacks: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Name the places where something planted is found, and in which form."""
    needles = planted()
    found = {
        place: sorted(name for name, forms in needles.items() if any(one in data for one in forms))
        for place, data in haystacks.items()
    }
    return {place: names for place, names in found.items() if names}


def planted() -> dict[str, set[bytes]]:
    """Give every form of everything planted, by its name."""
    return {
        "word": forms_of(WORD),
        "sign": forms_of(SIGN),
        "column": forms_of(COLUMN),
        "figure as text": {b"7391.24", b"7391.25", b"7391,24", b"61.70346"},
        "figure as double": coats(struct.pack("<d", FIGURE)) | coats(struct.pack(">d", FIGURE)),
        "figures as floats": coats(struct.pack("<2f", BESIDE, FIGURE))
        | coats(struct.pack("<2f", FIGURE, BESIDE)),
    }


def forms_of(text: str) -> set[bytes]:
    """Write a text in each of the usual codes, plain and packed."""
    plain = {text.encode(code) for code in CODES}
    packed = {one for data in plain for one in coats(data)}
    escaped = {json.dumps(text)[1:-1].encode(), quote(text).encode(), quote(text).lower().encode()}
    return packed | escaped


def coats(data: bytes) -> set[bytes]:
    """Give bytes as they are, as hexadecimal digits and as base64 wherever they may begin."""
    found = {data, data.hex().encode(), data.hex().upper().encode()}
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data + bytes(2))
        # The characters that the neighbours have a part in are left out.
        first, last = -(-8 * before // 6), (8 * (before + len(data))) // 6
        inner = coded[first:last]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def peel(data: bytes) -> bytes:
    """Take every coat off, base64 within base64 and what is deflated; give all layers together."""
    return b"\n".join(_layers(data, _DEEPEST))


def _layers(data: bytes, depth: int) -> Iterator[bytes]:
    yield data
    if depth == 0:
        return
    for run in _BASE64.finditer(data):
        # A letter of what stands before may have been taken for the first digit.
        for start in range(4):
            yield from _layers(_decoded(run.group()[start:]), depth - 1)
    for inner in _inflated(data):
        yield from _layers(inner, depth - 1)


def _decoded(run: bytes) -> bytes:
    tidy = run.translate(bytes.maketrans(b"-_", b"+/"))
    tidy = tidy[: len(tidy) - 1] if len(tidy) % 4 == 1 else tidy
    return base64.b64decode(tidy + b"=" * (-len(tidy) % 4))


def _inflated(data: bytes) -> Iterator[bytes]:
    for found in re.finditer(re.escape(_ZIPPED), data):
        head = data[found.start() : found.start() + 30]
        if len(head) == 30:
            names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            yield _inflate(data[found.start() + 30 + names :], -15)
    for found in re.finditer(re.escape(_GZIPPED), data):
        yield _inflate(data[found.start() :], 31)


def _inflate(data: bytes, window: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(data, _LARGEST)
    except zlib.error:
        return b""


def figures_in(data: bytes, figures: npt.NDArray[np.float64]) -> set[float]:
    """Find any of these figures: as a double at any place, or in decimal digits."""
    wanted = np.unique(figures[_is_unlikely(figures)])
    bits = wanted.view(np.uint64)
    found: set[float] = set()
    for order in ("<u8", ">u8"):
        for start in range(8):
            usable = (len(data) - start) // 8 * 8
            words = np.frombuffer(data[start : start + usable], dtype=order).astype(np.uint64)
            found |= set(words[np.isin(words, bits)].view(np.float64).tolist())
    told = {float(one) for one in _DECIMAL.findall(data)}
    return found | (told & set(wanted.tolist()))


def _is_unlikely(figures: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Pick figures with so many digits that nobody writes them by chance."""
    tidy = np.array([float(f"{one:.6g}") for one in figures])
    unlikely: npt.NDArray[np.bool_] = np.isfinite(figures) & (tidy != figures)
    return unlikely

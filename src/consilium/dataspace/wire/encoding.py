"""Bodies in gzip on the way. What is signed is the body itself, before and after.

An answer is packed only for who asks for it, at the last moment before it
travels, and unpacked before anything else looks at it. So signatures hold with
and without, and whoever carries the answer may pack it anew.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable

_SMALLEST = 1024
"""Bytes below which packing gains nothing."""
_LEVEL = 5
_GZIP = "gzip"


class TooLongError(ValueError):
    """More came than is taken in."""


def pack(body: bytes, *, accepted: str) -> tuple[bytes, dict[str, str]]:
    """Return a body as it travels, with its headers.

    Parameters
    ----------
    accepted : str
        The request's `Accept-Encoding`.

    Discloses
    ---------
    Nothing.
    """
    if len(body) < _SMALLEST:
        return body, {}
    vary = {"Vary": "Accept-Encoding"}
    if not _accepts(accepted):
        return body, vary
    packed = gzip.compress(body, compresslevel=_LEVEL, mtime=0)
    return packed, {**vary, "Content-Encoding": _GZIP}


def unpack(chunks: Iterable[bytes], *, encoding: str, limit: int) -> bytes:
    """Return the body itself, reading no more than is allowed.

    Raises
    ------
    TooLongError
        If it is longer than `limit`, packed or not.
    ValueError
        If it is packed in another way, or damaged.

    Discloses
    ---------
    Nothing.
    """
    if encoding.lower() not in {"", "identity", _GZIP}:
        raise ValueError("packed in another way")
    machine = zlib.decompressobj(wbits=31) if encoding.lower() == _GZIP else None
    found = bytearray()
    for chunk in chunks:
        room = limit + 1 - len(found)
        found += chunk if machine is None else _inflate(machine, chunk, room)
        if len(found) > limit:
            raise TooLongError
    if machine is not None and not machine.eof:
        raise ValueError("cut off")
    return bytes(found)


def _inflate(machine: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    try:
        return machine.decompress(chunk, room)
    except zlib.error as error:
        raise ValueError("damaged") from error


def _accepts(header: str) -> bool:
    for part in header.lower().split(","):
        name, _, rest = part.partition(";")
        if name.strip() in {_GZIP, "*"}:
            return rest.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False

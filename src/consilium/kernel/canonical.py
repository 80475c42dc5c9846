"""Canonical JSON bytes and the digests taken over them.

A signature covers bytes, not meaning. Everything that is signed, compared or
logged is therefore written in the one form of RFC 8785 first.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import NewType

import rfc8785

from consilium.kernel.errors import InputError

Digest = NewType("Digest", str)
"""`sha256:` and 64 hexadecimal digits."""

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What canonical JSON can hold."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def canonical_bytes(value: Json) -> bytes:
    """Write a value as canonical JSON (RFC 8785), UTF-8.

    Raises
    ------
    InputError
        `kernel.not_canonical` for NaN, infinity, integers beyond 2^53 and
        objects that JSON does not know.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError) as error:
        raise InputError("kernel.not_canonical", reason=type(error).__name__) from error


def read_json(data: bytes | str) -> Json:
    """Read JSON, refusing doubled keys and non-finite numbers.

    Raises
    ------
    InputError
        `kernel.not_canonical`.
    """
    try:
        value: Json = json.loads(
            data,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_number,
        )
    except (ValueError, RecursionError) as error:
        raise InputError("kernel.not_canonical", reason="not JSON") from error
    return value


def digest_of(data: bytes) -> Digest:
    """Fingerprint bytes as `sha256:<hex>`."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def is_digest(text: str) -> bool:
    """Tell whether `text` has the form of a fingerprint."""
    return _DIGEST.fullmatch(text) is not None


def digest_json(value: Json) -> Digest:
    """Fingerprint a value by its canonical bytes."""
    return digest_of(canonical_bytes(value))


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _number(digits: str) -> int | float:
    # JSON numbers are IEEE doubles (RFC 8785 §3.2.2.3): beyond 2^53 only the double is meant.
    number = _finite(digits)
    return int(digits) if abs(number) < 2**53 else number


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is beyond what a double holds")
    return number


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is not a number")

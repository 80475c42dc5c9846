"""Records as plain JSON and back, strictly.

What a hospital is asked to admit is written by others. A reader that forgives
an unknown or missing field lets two parties understand one signed text in two
ways; so here every field must be there once, of its kind, and nothing else.
The answers name fields of our own records only, never what was sent.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from consilium.kernel.canonical import Digest, Json, is_digest
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

Record = TypeVar("Record")

DEEPEST = 8
LONGEST = 1024 * 1024

_PARTICIPANT = re.compile(r"did:web:[a-z0-9][a-z0-9.-]{1,60}:[a-z][a-z0-9-]{1,39}")
_IDENTIFIER = re.compile(r"[!-~]{1,200}")
# Control characters, lone surrogates and marks that turn the reading direction.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def to_plain(value: Any) -> Json:
    """Turn a record, or what it holds, into JSON's own kinds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return cast("Json", value)


def from_plain(kind: type[Record], value: Json, *, at: str = "") -> Record:
    """Build a record from JSON's own kinds.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are text, identifiers, whole numbers, numbers,
        tuples of those, records, free settings (`dict[str, Any]`), or one of
        these or `None`.
    value : Json
        What was read.
    at : str, optional
        Where we are, for the error.

    Raises
    ------
    InputError
        `gate.bad_order` naming the field: missing, unknown, or of another kind.
    """
    if not isinstance(value, Mapping):
        raise bad(at or kind.__name__.lower(), "is not a table")
    hints = get_type_hints(kind)
    for name in hints:
        if name not in value:
            raise bad(_join(at, name), "is missing")
    if len(value) != len(hints):
        raise bad(at or kind.__name__.lower(), "has fields that nobody knows")
    return kind(**{name: _read(hint, value[name], _join(at, name)) for name, hint in hints.items()})


def bad(field: str, reason: str) -> InputError:
    """Make the one error of this page: the field and what is wrong with it."""
    return InputError("gate.bad_order", field=field, reason=reason)


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _read(hint: Any, value: Json, at: str) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise bad(at, "is not a list")
        inner = get_args(hint)[0]
        return tuple(_read(inner, item, at) for item in value)
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise bad(at, "is not a table")
        return _free(value, at, 0)
    if dataclasses.is_dataclass(hint):
        return from_plain(cast("type[Any]", hint), value, at=at)
    if isinstance(hint, UnionType):  # something, or nothing
        inner = next(one for one in get_args(hint) if one is not NoneType)
        return None if value is None else _read(inner, value, at)
    return _LEAVES[_ground(hint)](value, at)


def _ground(hint: Any) -> Any:
    if hint in (Digest, ParticipantId):
        return hint
    return "identifier" if hasattr(hint, "__supertype__") else hint


def _text(value: Json, at: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or _UNSEEN.search(value):
        raise bad(at, "is not plain text")
    return value


def _matching(fits: Callable[[str], object], name: str) -> Callable[[Json, str], str]:
    def read(value: Json, at: str) -> str:
        if not isinstance(value, str) or not fits(value):
            raise bad(at, f"is not {name}")
        return value

    return read


def _whole(value: Json, at: str) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**53:
        raise bad(at, "is not a whole number")
    return value


def _number(value: Json, at: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise bad(at, "is not a number")
    if abs(value) >= 2**53 or not math.isfinite(value):
        raise bad(at, "is too large a number")
    return float(value)


def _flag(value: Json, at: str) -> bool:
    if not isinstance(value, bool):
        raise bad(at, "is neither true nor false")
    return value


def _free(value: Json, at: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise bad(at, "is nested too deep")
    if isinstance(value, Mapping):
        return {_text(key, at): _free(item, at, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_free(item, at, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(value, at)
    return _number(value, at) if isinstance(value, float) else _text(value, at)


_LEAVES: dict[Any, Callable[[Json, str], Any]] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _flag,
    "identifier": _matching(_IDENTIFIER.fullmatch, "an identifier"),
    Digest: _matching(is_digest, "a fingerprint"),
    ParticipantId: _matching(_PARTICIPANT.fullmatch, "a participant's identifier"),
}

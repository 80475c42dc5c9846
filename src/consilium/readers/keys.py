"""A schema's tables, read strictly: what each key may hold, and what is said when it does not.

The reading itself is `kernel.tables`; here stand the schema's own kinds of
values and its three sentences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from consilium.kernel.errors import ConsiliumError, InputError
from consilium.kernel.tables import Fault, Section, Slip, is_number

LONGEST_PATTERN = 200
_BEYOND_RE2 = re.compile(r"\(\?[=!<P(]|\\[1-9]")
_BAD = "readers.schema_bad_value"
_ALLOWED = {
    Fault.TEXT: '"..."',
    Fault.TEXTS: '["...", "..."]',
    Fault.FLAG: "true | false",
    Fault.WHOLE: "{low} ... {high}",
    Fault.TABLE: "[{key}]",
    Fault.TABLES: "[[{key}]]",
}


def open_schema(record: Mapping[str, Any], *, file: str) -> Section:
    """Open a schema's record; errors call it `file`."""
    return Section(record, refuse=partial(_refuse, file))


def bad(keys: Section, key: str, allowed: str) -> ConsiliumError:
    """Make the error of an impossible value; `allowed` says what may stand there."""
    return keys.refuse(_BAD, key, allowed=allowed)


def read_word(keys: Section, key: str) -> str:
    """Read a required text that is not blank; blanks around it belong to it."""
    value = keys.text(key)
    if not value.strip():
        raise bad(keys, key, "text")
    return value


def read_distinct(keys: Section, key: str) -> tuple[str, ...]:
    """Read a list of texts that differ; empty when the key is absent."""
    value = keys.texts(key, default=())
    if len(set(value)) != len(value):
        raise bad(keys, key, '["...", "..."] (x != y)')
    return value


def read_share(keys: Section, key: str) -> float | None:
    """Read a number between 0 and 1, both excluded, or nothing."""
    if not keys.has(key):
        return None
    value = keys.take(key)
    if not is_number(value) or not 0 < value < 1:
        raise bad(keys, key, "0 < x < 1")
    return float(value)


def read_span(keys: Section, key: str) -> tuple[float, float] | None:
    """Read `[low, high]`, low below high, or nothing."""
    if not keys.has(key):
        return None
    value = keys.take(key)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise bad(keys, key, "[low, high]")
    low, high = value
    if not is_number(low) or not is_number(high) or not low < high:
        raise bad(keys, key, "[low, high], low < high")
    return float(low), float(high)


def read_pattern(keys: Section, key: str) -> str:
    """Read a regular expression with at most one group, or nothing.

    It is run by an engine without looking around and back-references, whose
    time grows with the text's length only.
    """
    value = keys.text(key, default="")
    try:
        groups = re.compile(value).groups
    except (re.error, RecursionError, OverflowError):
        groups = 2
    if groups > 1 or _BEYOND_RE2.search(value) or len(value) > LONGEST_PATTERN:
        raise bad(keys, key, "'^(P\\d+)_'")
    return value


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """Turn tuples into lists and leave out what is not there."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in record.items()
        if value is not None
    }


def _refuse(file: str, slip: Slip) -> InputError:
    if slip.fault == Fault.MISSING:
        return InputError("readers.schema_missing_key", file=file, key=slip.path)
    if slip.fault == Fault.UNKNOWN:
        known = ", ".join(slip.facts["known"])
        return InputError("readers.schema_unknown_key", file=file, key=slip.path, known=known)
    return InputError(_BAD, file=file, key=slip.path, allowed=_allowed(slip))


def _allowed(slip: Slip) -> str:
    if slip.fault == _BAD:
        return str(slip.facts["allowed"])
    if slip.fault == Fault.CHOICE:
        return " | ".join(f'"{word}"' for word in slip.facts["allowed"])
    return _ALLOWED[Fault(slip.fault)].format(key=slip.key, **slip.facts)

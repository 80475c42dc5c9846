"""The closed vocabulary of our ODRL profile, as a table.

A row of `OPERANDS` says what a term is called, how its value is written under
each operator, and how a fact is compared with it. A further term is a further
row; what the table does not know is refused everywhere.

Operands are prefixed names: `odrl:` is defined by the protocol's context, and
`consilium:` is an absolute IRI of its own. (A bare `purpose` would expand to an
IRI relative to the document.) Numbers and moments are typed objects, because
the protocol's schema refuses JSON numbers.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consilium.kernel.clock import read_time, write_time

PROFILE = "consilium:profile/1"
USE = "use"

PURPOSE = "odrl:purpose"
TIME = "odrl:dateTime"
COUNT = "odrl:count"
RECIPIENT = "odrl:recipient"
MAX_ROUNDS = "consilium:maxRounds"
MIN_COHORT = "consilium:minCohortSize"
ALGORITHM = "consilium:algorithm"

_FIRST_YEAR = 1000
"""Earlier years are not written with four digits everywhere."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")

Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Operand:
    """One row of the vocabulary.

    `operators` maps each operator to the reader of its right operand; `fact`
    reads what is compared with it. Both raise `ValueError` for another kind of
    value. `code` is the error of a use that this term refuses.
    """

    name: str
    operators: Mapping[str, Reader]
    fact: Reader
    code: str


def number(value: int) -> dict[str, str]:
    """Write a whole number as the protocol's schema wants it."""
    return {"@value": str(value), "@type": "xsd:integer"}


def moment(text: str) -> dict[str, str]:
    """Write a moment (ISO 8601 with offset) in UTC as a typed value."""
    return {"@value": write_time(read_moment(text)), "@type": "xsd:dateTime"}


def read_word(value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("not a word")
    return value


def read_moment(value: Any) -> datetime:
    """Read an aware datetime, or ISO 8601 text; of this millennium or the last."""
    try:
        is_aware = isinstance(value, datetime) and value.tzinfo is not None
        moment: datetime = value if is_aware else read_time(read_word(value))
    except OverflowError as error:
        raise ValueError("beyond the calendar") from error
    if moment.year < _FIRST_YEAR:
        raise ValueError("beyond the calendar")
    return moment


def read_whole(value: Any) -> int:
    """Read a whole number; `True` is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a whole number")
    return value


def _one_word(value: Any) -> frozenset[str]:
    return frozenset({read_word(value)})


def _words(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        return _one_word(value)
    if not isinstance(value, list) or not value:
        raise ValueError("not a list of words")
    return frozenset(read_word(item) for item in value)


def _number(value: Any) -> int:
    text = _typed(value, "xsd:integer")
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


def _moment(value: Any) -> datetime:
    return read_moment(_typed(value, "xsd:dateTime"))


def _typed(value: Any, kind: str) -> str:
    if not isinstance(value, dict) or value.keys() != {"@value", "@type"}:
        raise ValueError("not a typed value")
    if value["@type"] != kind or not isinstance(value["@value"], str):
        raise ValueError("of another type")
    return str(value["@value"])


def _is_any_of(fact: str, right: frozenset[str]) -> bool:
    return fact in right


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _is_any_of,  # the right side is read as a set of one
    "isAnyOf": _is_any_of,
    "lteq": operator.le,
    "gteq": operator.ge,
}

_NAMED: Mapping[str, Reader] = {"eq": _one_word, "isAnyOf": _words}
_AT_MOST: Mapping[str, Reader] = {"lteq": _number}
_AT_LEAST: Mapping[str, Reader] = {"gteq": _number}
_TIMES: Mapping[str, Reader] = {"lteq": _moment, "gteq": _moment}

OPERANDS: Mapping[str, Operand] = {
    row.name: row
    for row in (
        Operand(PURPOSE, _NAMED, read_word, "dataspace.wrong_purpose"),
        Operand(TIME, _TIMES, read_moment, "dataspace.outside_time"),
        Operand(COUNT, _AT_MOST, read_whole, "dataspace.count_used_up"),
        Operand(MAX_ROUNDS, _AT_MOST, read_whole, "dataspace.too_many_rounds"),
        Operand(MIN_COHORT, _AT_LEAST, read_whole, "dataspace.cohort_too_small"),
        Operand(RECIPIENT, _NAMED, read_word, "dataspace.wrong_recipient"),
        Operand(ALGORITHM, _NAMED, read_word, "dataspace.wrong_algorithm"),
    )
}

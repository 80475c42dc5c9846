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
from decimal import Decimal
from typing import Any

from consilium.kernel.clock import read_time, write_time
from consilium.kernel.identifiers import is_location

PROFILE = "consilium:profile/1"
USE = "use"

PURPOSE = "odrl:purpose"
TIME = "odrl:dateTime"
COUNT = "odrl:count"
RECIPIENT = "odrl:recipient"
MAX_ROUNDS = "consilium:maxRounds"
MIN_COHORT = "consilium:minCohortSize"
ALGORITHM = "consilium:algorithm"
MIN_PARTICIPANTS = "consilium:minParticipants"
EPSILON = "consilium:epsilonBudget"
DELTA = "consilium:delta"
"""Travels with `EPSILON`: the two are one term, written as two constraints."""
OUTPUT = "consilium:outputType"
SECURE = "consilium:secureAggregation"
SPATIAL = "odrl:spatial"

MODEL, METRICS, AGGREGATE = "model", "metrics", "aggregate"
OUTPUTS = (MODEL, METRICS, AGGREGATE)
"""Kinds of result: a model's arrays, the figures about a model, a table over patients."""

UNBOUNDED = Decimal("Infinity")
"""The privacy loss of a result without noise."""

_FIRST_YEAR = 1000
"""Earlier years are not written with four digits everywhere."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,18})?")

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


def decimal(value: float) -> dict[str, str]:
    """Write a number that is not whole, without an exponent."""
    return {"@value": format(Decimal(repr(value)), "f"), "@type": "xsd:decimal"}


def truth(value: bool) -> dict[str, str]:
    """Write true or false as a typed value."""
    return {"@value": "true" if value else "false", "@type": "xsd:boolean"}


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


def read_amount(value: Any) -> Decimal:
    """Read a number of at least 0; infinity is one, and below no bound."""
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise ValueError("not an amount")
    amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if amount.is_nan() or amount < 0:
        raise ValueError("not an amount")
    return amount


def read_truth(value: Any) -> bool:
    """Read true or false, and no number."""
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def read_place(value: Any) -> str:
    """Read a country or a region of one, as ISO 3166 writes it: `CN`, `CN-BJ`."""
    if not isinstance(value, str) or not is_location(value):
        raise ValueError("not a place")
    return value


def read_output(value: Any) -> str:
    """Read one of the three kinds of result."""
    if value not in OUTPUTS:
        raise ValueError("not a kind of result")
    return str(value)


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


def _decimal(value: Any) -> Decimal:
    text = _typed(value, "xsd:decimal")
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number")
    return Decimal(text)


def _truth(value: Any) -> frozenset[bool]:
    text = _typed(value, "xsd:boolean")
    if text not in ("true", "false"):
        raise ValueError("neither true nor false")
    return frozenset({text == "true"})


def _outputs(value: Any) -> frozenset[str]:
    return frozenset(read_output(item) for item in _words(value))


def _one_place(value: Any) -> frozenset[str]:
    return frozenset({read_place(value)})


def _places(value: Any) -> frozenset[str]:
    return frozenset(read_place(item) for item in _words(value))


def _moment(value: Any) -> datetime:
    return read_moment(_typed(value, "xsd:dateTime"))


def _typed(value: Any, kind: str) -> str:
    if not isinstance(value, dict) or value.keys() != {"@value", "@type"}:
        raise ValueError("not a typed value")
    if value["@type"] != kind or not isinstance(value["@value"], str):
        raise ValueError("of another type")
    return str(value["@value"])


def _is_any_of(fact: object, right: frozenset[object]) -> bool:
    return fact in right


def _is_part_of(fact: str, right: frozenset[str]) -> bool:
    return any(fact == place or fact.startswith(f"{place}-") for place in right)


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _is_any_of,  # the right side is read as a set of one
    "isAnyOf": _is_any_of,
    "isPartOf": _is_part_of,
    "lteq": operator.le,
    "gteq": operator.ge,
}

_NAMED: Mapping[str, Reader] = {"eq": _one_word, "isAnyOf": _words}
_AT_MOST: Mapping[str, Reader] = {"lteq": _number}
_AT_LEAST: Mapping[str, Reader] = {"gteq": _number}
_LOSS: Mapping[str, Reader] = {"lteq": _decimal}
_KINDS: Mapping[str, Reader] = {"isAnyOf": _outputs}
_YES_OR_NO: Mapping[str, Reader] = {"eq": _truth}
_IN_PLACE: Mapping[str, Reader] = {"eq": _one_place, "isPartOf": _places}
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
        Operand(MIN_PARTICIPANTS, _AT_LEAST, read_whole, "dataspace.too_few_participants"),
        Operand(EPSILON, _LOSS, read_amount, "dataspace.epsilon_exceeded"),
        Operand(DELTA, _LOSS, read_amount, "dataspace.epsilon_exceeded"),
        Operand(OUTPUT, _KINDS, read_output, "dataspace.wrong_output"),
        Operand(SECURE, _YES_OR_NO, read_truth, "dataspace.not_aggregated_securely"),
        Operand(SPATIAL, _IN_PLACE, read_place, "dataspace.outside_place"),
    )
}

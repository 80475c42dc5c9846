"""Strict reading of tables: every key asked for by name and kind, nothing left over.

A misspelt key that became a quiet default would change what leaves a hospital.
So whoever reads a table asks for each key, and `end` refuses what nobody asked
for. What a refusal says belongs to the room that reads: it hands in a callable
that makes its own error, with file, key and remedy, of a `Slip`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeGuard

from consilium.kernel.errors import ConsiliumError


class Fault(StrEnum):
    """What can be wrong with a key: its presence, or the kind of its value."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    TEXT = "text"
    TEXTS = "texts"
    WHOLE = "whole"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    TABLE = "table"
    TABLES = "tables"


class Step(NamedTuple):
    """One step on the way to a key; in a list of tables also which one, by number and name."""

    key: str
    number: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """A key that cannot be taken.

    Attributes
    ----------
    fault : str
        One of `Fault`, or a code of the room's own.
    way : tuple of Step
        From the top of the file to the key itself.
    facts : mapping
        `known` (keys asked for) of an unknown key, `low` and `high` of a
        number, `allowed` of a choice, or the room's own.
    """

    fault: str
    way: tuple[Step, ...]
    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The key as it stands in its own table."""
        return self.way[-1].key

    @property
    def path(self) -> str:
        """The key with all tables around it, such as `fields[2].name`."""
        return ".".join(f"{one.key}[{one.number}]" if one.number else one.key for one in self.way)


Refuse = Callable[[Slip], ConsiliumError]
"""Makes a room's error of a slip."""


class Section:
    """One table, read key by key.

    Each reading method takes the value under a key, or `default` where the
    key is absent; without a default the key is required.

    Parameters
    ----------
    values : mapping
        As TOML or JSON gave it.
    refuse : callable
        Makes the error that is raised; what is below this table uses it too.
    way : tuple of Step, optional
        Where this table stands in its file.
    """

    def __init__(
        self, values: Mapping[str, Any], *, refuse: Refuse, way: tuple[Step, ...] = ()
    ) -> None:
        self._values = values
        self._refuse = refuse
        self._way = way
        self._asked: dict[str, None] = {}

    def refuse(self, fault: str, key: str, **facts: object) -> ConsiliumError:
        """Make the room's error about a key of this table; `fault` as in `Slip`."""
        return self._refuse(Slip(fault=fault, way=(*self._way, Step(key)), facts=facts))

    def has(self, key: str) -> bool:
        """Say whether a key is there; it counts as asked for."""
        self._asked[key] = None
        return key in self._values

    def names(self) -> list[str]:
        """List the keys not yet asked for, for a table whose keys are names."""
        return [key for key in self._values if key not in self._asked]

    def take(self, key: str, default: object = None) -> Any:
        """Take a value of any kind; whoever uses it checks it."""
        if self.has(key):
            return self._values[key]
        if default is None:
            raise self.refuse(Fault.MISSING, key)
        return default

    def text(self, key: str, *, default: str | None = None) -> str:
        """Take a text exactly as it is written, blank or not."""
        value = self.take(key, default)
        if not isinstance(value, str):
            raise self.refuse(Fault.TEXT, key)
        return value

    def line(self, key: str, *, default: str | None = None) -> str:
        """Take a text without the blanks around it; only the default may be blank."""
        value = self.text(key, default=default)
        if value != default and not value.strip():
            raise self.refuse(Fault.TEXT, key)
        return value.strip()

    def texts(self, key: str, *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Take a list of texts exactly as they are written."""
        value = self.take(key, default)
        if not _is_list_of(value, str):
            raise self.refuse(Fault.TEXTS, key)
        return tuple(value)

    def lines(self, key: str) -> tuple[str, ...]:
        """Take a list of at least one text, none blank, without the blanks around them."""
        value = tuple(text.strip() for text in self.texts(key))
        if not value or not all(value):
            raise self.refuse(Fault.TEXTS, key)
        return value

    def choice(self, key: str, allowed: tuple[str, ...], *, default: str | None = None) -> str:
        """Take one of the allowed words."""
        value = self.take(key, default)
        if value not in allowed:
            raise self.refuse(Fault.CHOICE, key, allowed=allowed)
        return str(value)

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Take `true` or `false`."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.refuse(Fault.FLAG, key)
        return value

    def whole(
        self,
        key: str,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        default: int | None = None,
        digits: bool = False,
    ) -> int:
        """Take a whole number from `low` to `high`; with `digits` also a text of digits."""
        value = self.take(key, default)
        if digits and isinstance(value, str) and value.isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refuse(Fault.WHOLE, key, low=low, high=high)
        return value

    def number(
        self,
        key: str,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        default: float | None = None,
    ) -> float:
        """Take a finite number from `low` to `high`."""
        value = self.take(key, default)
        if not is_number(value) or not low <= value <= high:
            raise self.refuse(Fault.NUMBER, key, low=low, high=high)
        return float(value)

    def facts(self, key: str) -> dict[str, Any]:
        """Take a table as it stands; whoever uses it checks it. Absent means empty."""
        value = self.take(key, {})
        if not isinstance(value, Mapping):
            raise self.refuse(Fault.TABLE, key)
        return dict(value)

    def section(self, key: str, *, optional: bool = False) -> Section:
        """Open a table below this one; an optional one that is absent reads as empty."""
        value = self.take(key, {} if optional else None)
        if not isinstance(value, Mapping):
            raise self.refuse(Fault.TABLE, key)
        return self._below(value, Step(key))

    def sections(self, key: str, *, optional: bool = False) -> list[Section]:
        """Open a list of tables, at least one unless it is optional."""
        value = self.take(key, () if optional else None)
        if not _is_list_of(value, Mapping) or not (value or optional):
            raise self.refuse(Fault.TABLES, key)
        return [
            self._below(one, Step(key, number, str(one.get("name", number))))
            for number, one in enumerate(value, start=1)
        ]

    def end(self) -> None:
        """Refuse the keys that nobody asked for."""
        left = self.names()
        if left:
            raise self.refuse(Fault.UNKNOWN, left[0], known=tuple(self._asked))

    def _below(self, values: Mapping[str, Any], step: Step) -> Section:
        return Section(values, refuse=self._refuse, way=(*self._way, step))


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether this is a finite number that a double can hold, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def _is_list_of(value: object, kind: type[object]) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, kind) for one in value)

"""Strict reading of one JSON object; whatever is wrong is named by its key."""

from __future__ import annotations

import math
from collections.abc import Mapping

from consilium.kernel.errors import IntegrityError


class ObjectReader:
    """Reads one object of a record and names the key of whatever is wrong."""

    def __init__(self, source: object, place: str) -> None:
        self._place = place
        if not isinstance(source, Mapping):
            raise self._refuse("")
        self._source = source

    def has(self, key: str) -> bool:
        """Say whether a key is there."""
        return key in self._source

    def text(self, key: str) -> str:
        """Take a text."""
        value = self._source.get(key)
        if not isinstance(value, str):
            raise self._refuse(key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts; absent means none."""
        value = self._source.get(key, ())
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise self._refuse(key)
        return tuple(value)

    def words(self) -> dict[str, str]:
        """Take an object whose values are all texts."""
        return {key: self.text(key) for key in self._source}

    def whole(self, key: str) -> int:
        """Take a whole number that is not negative."""
        value = self._source.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._refuse(key)
        return value

    def flag(self, key: str) -> bool:
        """Take true or false."""
        value = self._source.get(key)
        if not isinstance(value, bool):
            raise self._refuse(key)
        return value

    def number(self, key: str) -> float:
        """Take a finite number."""
        value = self.maybe(key)
        if value is None:
            raise self._refuse(key)
        return value

    def maybe(self, key: str) -> float | None:
        """Take a finite number or null; absent means null."""
        return self._number(self._source.get(key), key)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Take a list of finite numbers."""
        values = self._source.get(key)
        if not isinstance(values, list | tuple):
            raise self._refuse(key)
        found = [self._number(value, key) for value in values]
        return tuple(value for value in found if value is not None)

    def pair(self, key: str) -> tuple[float, float] | None:
        """Take two numbers, the lower first, or null."""
        if self._source.get(key) is None:
            return None
        pair = self.numbers(key)
        if len(pair) != 2 or pair[0] > pair[1]:
            raise self._refuse(key)
        return (pair[0], pair[1])

    def within(self, key: str) -> ObjectReader:
        """Take an object; absent means empty."""
        return ObjectReader(self._source.get(key, {}), self._name(key))

    def many(self, key: str) -> list[ObjectReader]:
        """Take a list of objects; absent means none."""
        values = self._source.get(key, ())
        if not isinstance(values, list | tuple):
            raise self._refuse(key)
        return [ObjectReader(value, self._name(key)) for value in values]

    def _number(self, value: object, key: str) -> float | None:
        if value is None:
            return None
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not math.isfinite(float(str(value))):
            raise self._refuse(key)
        return float(str(value))

    def _name(self, key: str) -> str:
        return ".".join(part for part in (self._place, key) if part)

    def _refuse(self, key: str) -> IntegrityError:
        return IntegrityError("space.bad_record", key=self._name(key) or "the record")

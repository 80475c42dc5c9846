"""Strict reading of settings tables: every key known, every value possible.

A misspelt key that is silently ignored would change what leaves a hospital, so
each table is read key by key, and what nobody asked for is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consilium.kernel.errors import InputError


class Keys:
    """One table of a schema, read key by key.

    Parameters
    ----------
    table : mapping
        As TOML or JSON gave it.
    file, path : str
        What errors call the file and the way to this table, such as `fields[2].`.
    """

    def __init__(self, table: Mapping[str, Any], *, file: str, path: str = "") -> None:
        self._table = table
        self._file = file
        self._path = path
        self._asked: list[str] = []

    def text(self, key: str, default: str | None = None) -> str:
        """Read text; without a default the key is required."""
        value = self._take(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.bad(key, "text" if isinstance(value, str) else '"..."')
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """Read one of the allowed words."""
        value = self._take(key, default)
        if value not in allowed:
            raise self.bad(key, " | ".join(f'"{word}"' for word in allowed))
        return str(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Read `true` or `false`."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.bad(key, "true | false")
        return value

    def whole(self, key: str, default: int) -> int:
        """Read a whole number from 0 to 2^32 - 1."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
            raise self.bad(key, "0 ... 4294967295")
        return value

    def share(self, key: str) -> float | None:
        """Read a number between 0 and 1, both excluded, or nothing."""
        value = self._take(key, ...)
        if value is ...:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise self.bad(key, "0 < x < 1")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of distinct texts; empty when the key is absent."""
        value = self._take(key, ())
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self.bad(key, '["...", "..."]')
        if len(set(value)) != len(value):
            raise self.bad(key, '["...", "..."] (x != y)')
        return tuple(value)

    def span(self, key: str) -> tuple[float, float] | None:
        """Read `[low, high]`, low below high, or nothing."""
        value = self._take(key, ...)
        if value is ...:
            return None
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise self.bad(key, "[low, high]")
        if not all(is_finite(end) for end in value) or not value[0] < value[1]:
            raise self.bad(key, "[low, high], low < high")
        return float(value[0]), float(value[1])

    def table(self, key: str, *, required: bool = False) -> Keys:
        """Open a table below this one; an absent one reads as empty."""
        value = self._take(key, None if required else {})
        if not isinstance(value, Mapping):
            raise self.bad(key, f"[{key}]")
        return Keys(value, file=self._file, path=f"{self._path}{key}.")

    def tables(self, key: str) -> list[Keys]:
        """Open a list of tables, at least one."""
        value = self._take(key, None)
        if not isinstance(value, list | tuple) or not value:
            raise self.bad(key, f"[[{key}]]")
        if not all(isinstance(one, Mapping) for one in value):
            raise self.bad(key, f"[[{key}]]")
        return [
            Keys(one, file=self._file, path=f"{self._path}{key}[{place}].")
            for place, one in enumerate(value, start=1)
        ]

    def close(self) -> None:
        """Refuse what nobody asked for.

        Raises
        ------
        InputError
            `readers.schema_unknown_key`.
        """
        for key in self._table:
            if key not in self._asked:
                raise InputError(
                    "readers.schema_unknown_key",
                    file=self._file,
                    key=f"{self._path}{key}",
                    known=", ".join(self._asked),
                )

    def bad(self, key: str, allowed: str) -> InputError:
        """Make the error of an impossible value; `allowed` says what may stand there."""
        return InputError(
            "readers.schema_bad_value", file=self._file, key=f"{self._path}{key}", allowed=allowed
        )

    def _take(self, key: str, default: Any) -> Any:
        self._asked.append(key)
        if key in self._table:
            return self._table[key]
        if default is None:
            raise InputError(
                "readers.schema_missing_key", file=self._file, key=f"{self._path}{key}"
            )
        return default


def is_finite(value: object) -> bool:
    """Say whether this is a number that a double can hold, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 1e300

"""Strict reading of a hand-written TOML file.

A person writes the space file, and a slip in it (a misspelt key, a number out
of range) must not become a quiet default. So every key is asked for by name
and kind, each refusal names the file, the key and the remedy, and what nobody
asked for is refused as well.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from consilium.kernel.errors import InputError

_MISSING = object()


def open_tables(path: Path) -> Section:
    """Open a TOML file as the section that holds all others.

    Raises
    ------
    InputError
        `space.no_file`, `space.not_text_file` or `space.not_toml`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("space.no_file", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("space.not_text_file", file=path.name) from error
    try:
        return Section(tomllib.loads(text), file=path.name)
    except tomllib.TOMLDecodeError as error:
        raise InputError("space.not_toml", file=path.name, reason=str(error)) from error


class Section:
    """One table of a settings file; each key is taken once, and `end` refuses the rest.

    Parameters
    ----------
    values : mapping
        What the file holds here.
    file, place : str
        Where this is, in words a person finds again.
    """

    def __init__(self, values: Mapping[str, Any], *, file: str, place: str = "") -> None:
        self._left = dict(values)
        self._known: list[str] = []
        self.file = file
        self.place = place

    def where(self, key: str) -> str:
        """Name a key with the tables it stands in."""
        return f"{self.place} › {key}" if self.place else key

    def refuse(self, code: str, key: str, **facts: object) -> InputError:
        """Make the error that names this file and key."""
        return InputError(code, detail="", file=self.file, key=self.where(key), **facts)

    def text(self, key: str, *, default: str | None = None) -> str:
        """Take one line of text that is not empty (unless `default` is)."""
        value = self._take(key, default)
        if value == default and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.refuse("space.not_text", key)
        return value.strip()

    def whole(self, key: str, *, low: int, high: int, default: int | None = None) -> int:
        """Take a whole number from `low` to `high`."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refuse("space.not_whole", key, low=low, high=high)
        return value

    def number(self, key: str, *, low: float, high: float, default: float | None = None) -> float:
        """Take a finite number from `low` to `high`."""
        value = self._take(key, default)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not math.isfinite(value) or not low <= value <= high:
            raise self.refuse("space.not_number", key, low=low, high=high)
        return float(value)

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Take `true` or `false`."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.refuse("space.not_flag", key)
        return value

    def texts(self, key: str, *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Take a list of at least one text."""
        value = self._take(key, default)
        if not isinstance(value, list | tuple) or (not value and default is None):
            raise self.refuse("space.not_texts", key)
        if not all(isinstance(item, str) and item.strip() for item in value):
            raise self.refuse("space.not_texts", key)
        return tuple(item.strip() for item in value)

    def facts(self, key: str) -> dict[str, Any]:
        """Take a table as it stands; whoever uses it checks it. Absent means empty."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self.refuse("space.not_table", key)
        return dict(value)

    def section(self, key: str, *, optional: bool = False) -> Section:
        """Take a table that is read key by key."""
        value = self._take(key, {} if optional else None)
        if not isinstance(value, dict):
            raise self.refuse("space.not_table", key)
        return Section(value, file=self.file, place=self.where(key))

    def sections(self, key: str) -> list[Section]:
        """Take a list of tables (`[[key]]`); each is named by its own `name`. May be empty."""
        values = self._take(key, [])
        if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
            raise self.refuse("space.not_tables", key)
        return [
            Section(item, file=self.file, place=self.where(f"{key} {item.get('name', number)}"))
            for number, item in enumerate(values, start=1)
        ]

    def names(self) -> list[str]:
        """List the keys not yet taken, for a table whose keys are names."""
        return list(self._left)

    def end(self) -> None:
        """Refuse the keys that nobody asked for.

        Raises
        ------
        InputError
            `space.unknown_key`, with the nearest known key if there is one.
        """
        for key in self._left:
            near = get_close_matches(key, self._known, n=1)
            known = near[0] if near else ", ".join(sorted(self._known))
            raise self.refuse("space.unknown_key", key, known=known)

    def _take(self, key: str, default: object) -> Any:
        self._known.append(key)
        value = self._left.pop(key, _MISSING)
        if value is not _MISSING:
            return value
        if default is None:
            raise self.refuse("space.missing_key", key)
        return default

"""Settings schemas: which settings a recipe or rule has, and what they may be.

A recipe states its settings in `recipe.toml`, so a hospital can read and check
a study's settings without importing the recipe. Unknown names and impossible
values are refused before anything runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError

KINDS = ("number", "whole", "choice", "text", "digest")
LONGEST_TEXT = 400
_DIGEST = re.compile(r"([0-9a-f]{64})?")
_TEXTS = {
    "text": f"text of at most {LONGEST_TEXT} letters",
    "digest": "64 hexadecimal digits, or nothing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its kind, its default and its range.

    `least` and `most` are allowed themselves, `above` is not. `choices` belongs
    to the kind `choice`. A `digest` is 64 hexadecimal digits or nothing.
    """

    name: str
    kind: str
    default: float | int | str
    least: float | None = None
    above: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    meaning: str = ""

    def check(self, value: object, *, owner: str) -> float | int | str:
        """Return the value in the setting's own type.

        Raises
        ------
        InputError
            `federation.bad_setting`.
        """
        if isinstance(value, str):
            if self._allows_text(value):
                return value
        elif self._allows(value):
            number = cast("float", value)
            return int(number) if self.kind == "whole" else float(number)
        raise InputError(
            "federation.bad_setting", owner=owner, setting=self.name, allowed=self.range
        )

    def _allows_text(self, value: str) -> bool:
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "digest":
            return _DIGEST.fullmatch(value) is not None
        return self.kind == "text" and len(value) <= LONGEST_TEXT

    def _allows(self, value: object) -> bool:
        if self.kind not in ("number", "whole"):
            return False
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (
            math.isfinite(value)
            and (self.kind != "whole" or value == int(value))
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
        )

    @property
    def range(self) -> str:
        """Say what is allowed, for people."""
        if self.kind == "choice":
            return " | ".join(self.choices)
        if self.kind in _TEXTS:
            return _TEXTS[self.kind]
        bounds = ((">=", self.least), (">", self.above), ("<=", self.most))
        limits = [f"{sign} {limit:g}" for sign, limit in bounds if limit is not None]
        return " ".join([self.kind, *limits])


def read_schema(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Setting, ...]:
    """Read the `settings` table of a `recipe.toml`; every default must be allowed.

    Raises
    ------
    InputError
        `federation.bad_recipe_file` or `federation.bad_setting`.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    try:
        found = tuple(
            Setting(name=name, **dict(table) | {"choices": tuple(table.get("choices", ()))})
            for name, table in sorted(tables.items())
        )
    except TypeError as error:
        raise InputError("federation.bad_recipe_file", reason="unknown key in settings") from error
    for setting in found:
        if setting.kind not in KINDS:
            raise InputError("federation.bad_recipe_file", reason=f"kind of {setting.name}")
        setting.check(setting.default, owner="recipe.toml")
    return found


def fill_settings(
    schema: Sequence[Setting], given: Mapping[str, Any], *, owner: str
) -> dict[str, Any]:
    """Check what was given against a schema and add the defaults.

    Returns
    -------
    dict
        One value for each setting of the schema, in the schema's types.

    Raises
    ------
    InputError
        `federation.unknown_setting`, `federation.bad_setting`.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    names = [setting.name for setting in schema]
    for name in sorted(set(given) - set(names)):
        raise InputError(
            "federation.unknown_setting", owner=owner, setting=name, known=", ".join(names)
        )
    return {
        setting.name: setting.check(given.get(setting.name, setting.default), owner=owner)
        for setting in schema
    }


def describe_schema(schema: Sequence[Setting]) -> dict[str, Json]:
    """Write a schema as JSON: for digests, for pages that show the settings.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    return {
        setting.name: {
            "kind": setting.kind,
            "default": setting.default,
            "range": setting.range,
            "meaning": setting.meaning,
        }
        for setting in schema
    }

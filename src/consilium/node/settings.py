"""The node's own settings: the section `[node]` of `node.toml`, then the environment.

Each key may be overridden by `CONSILIUM__NODE__<KEY>`. Unknown keys and
impossible values stop the start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from consilium.kernel.errors import InputError
from consilium.node.membership import FILE

SECTION = "node"
_PREFIX = "CONSILIUM__NODE__"
_LEAST_CASES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a hospital can set at its node.

    `database` is an SQLAlchemy URL; empty means the file `node.db` in the
    node's folder. `min_cases` is the smallest count that may leave, at least 5.
    """

    database: str = ""
    min_cases: int = 10

    def url(self, home: Path) -> str:
        """Return the database's URL for a node in `home`."""
        return self.database or f"sqlite:///{home / 'node.db'}"


def load_node_settings(home: Path, *, environment: Mapping[str, str]) -> NodeSettings:
    """Read the settings.

    Raises
    ------
    InputError
        `node.unknown_setting`, `node.bad_setting`; both name source and key.
    """
    table = tomllib.loads((home / FILE).read_text(encoding="utf-8")).get(SECTION, {})
    kinds = {item.name: item.type for item in fields(NodeSettings)}
    values: dict[str, Any] = {}
    if not isinstance(table, dict):
        raise InputError("node.bad_setting", key=SECTION, source=str(home / FILE))
    for key, value in table.items():
        values[key] = _read(key, value, kinds=kinds, source=str(home / FILE))
    for name, value in environment.items():
        if name.startswith(_PREFIX):
            key = name.removeprefix(_PREFIX).lower()
            values[key] = _read(key, value, kinds=kinds, source=name)
    return NodeSettings(**values)


def _read(key: str, value: object, *, kinds: Mapping[str, Any], source: str) -> object:
    if key not in kinds:
        raise InputError("node.unknown_setting", key=f"{SECTION}.{key}", source=source)
    if kinds[key] == "str" and isinstance(value, str):
        return value
    whole = isinstance(value, int | str) and not isinstance(value, bool)
    if kinds[key] == "int" and whole and str(value).isdecimal() and int(str(value)) >= _LEAST_CASES:
        return int(str(value))
    raise InputError("node.bad_setting", key=f"{SECTION}.{key}", source=source)

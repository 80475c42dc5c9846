"""The node's own settings: the section `[node]` of `node.toml`, then the environment.

Each key may be overridden by `CONSILIUM__NODE__<KEY>`. Unknown keys and
impossible values stop the start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consilium.dataspace.records import PrivacyBudget
from consilium.kernel.errors import InputError
from consilium.kernel.tables import Fault, Section, Slip, is_number
from consilium.node.membership import FILE

SECTION = "node"
_PREFIX = "CONSILIUM__NODE__"
_LEAST_CASES = 5
_USUAL = PrivacyBudget()
_FINEST, _GREATEST_EPSILON, _GREATEST_DELTA = 1e-12, 1e6, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a hospital can set at its node.

    `database` is an SQLAlchemy URL; empty means the file `node.db` in the
    node's folder. `min_cases` is the smallest count that may leave, at least 5.
    `questions` is how many questions of statistics one agreement may ask.
    `epsilon` and `delta` are the privacy budget of a dataset whose steward names
    no other.
    """

    database: str = ""
    min_cases: int = 10
    questions: int = 200
    epsilon: float = _USUAL.epsilon
    delta: float = _USUAL.delta

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
    path = home / FILE
    layers = {str(path): tomllib.loads(path.read_text(encoding="utf-8"))}
    for name, value in environment.items():
        if name.startswith(_PREFIX):
            layers[name] = {SECTION: {name.removeprefix(_PREFIX).lower(): value}}
    settings = NodeSettings()
    # What a layer leaves out stays as the layers before it have set it.
    for source, values in layers.items():
        table = Section(values, refuse=partial(_refuse, source)).section(SECTION, optional=True)
        settings = NodeSettings(
            database=table.text("database", default=settings.database),
            min_cases=table.whole(
                "min_cases", low=_LEAST_CASES, default=settings.min_cases, digits=True
            ),
            questions=table.whole("questions", low=0, default=settings.questions, digits=True),
            epsilon=_amount(table, "epsilon", settings.epsilon, high=_GREATEST_EPSILON),
            delta=_amount(table, "delta", settings.delta, high=_GREATEST_DELTA),
        )
        table.end()
    return settings


def _amount(table: Section, key: str, usual: float, *, high: float) -> float:
    """Take an amount, also as the text that an environment gives."""
    value = table.take(key, usual)
    try:
        amount = float(value) if isinstance(value, str) else value
    except ValueError as error:
        raise table.refuse(Fault.NUMBER, key, low=_FINEST, high=high) from error
    if not is_number(amount) or not _FINEST <= amount <= high:
        raise table.refuse(Fault.NUMBER, key, low=_FINEST, high=high)
    return float(amount)


def _refuse(source: str, slip: Slip) -> InputError:
    code = "node.unknown_setting" if slip.fault == Fault.UNKNOWN else "node.bad_setting"
    return InputError(code, key=slip.path, source=source)

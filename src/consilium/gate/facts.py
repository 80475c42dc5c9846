"""The output gate for facts: a closed vocabulary of figures, and nothing besides.

Facts are what a recipe says about its work: a loss, an evaluation, a few
counts. They are the place where a row, a name or a prediction could slip out,
so the gate knows every key, lets text pass only if it is one of our own words
or codes, lets lists pass only if each item is a group of enough cases, and
rounds every fraction. It refuses rather than repairs: a recipe that says too
much is wrong, and its hospital should hear of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consilium.kernel.canonical import Json
from consilium.kernel.errors import DeniedError, texts
from consilium.measures.targets import OF_TARGET

COUNTS = frozenset({"n", "n_train", "n_test", "positives", "negatives", "patients"})
"""Keys whose values count patients or rows."""

CANDIDATES = frozenset(
    {"federated", "recalibrated", "fine_tuned", "personalised", "local", "majority"}
)
"""What a site judges on its held-out patients."""

_FIGURES = frozenset(name for names in OF_TARGET.values() for name in names) | {
    "log_loss",
    "calibration_intercept",
    "specificity",
}

KEYS = (
    COUNTS
    | CANDIDATES
    | _FIGURES
    | {
        # training
        "loss_before",
        "loss_after",
        "work_s",
        # evaluation: what, of which candidate, as which figure
        "rows",
        "bins",
        "choice",
        "chosen",
        "scores",
        "by",
        "folds",
        "local_start",
        # a figure and a calibration bin
        "value",
        "low",
        "high",
        "reason",
        "skipped",
        "predicted",
        "observed",
        # a point of a decision curve
        "decision",
        "threshold",
        "treat_all",
        # a class, or a group of patients, by its place in the plan
        "classes",
        "subgroups",
        "field",
        "index",
    }
)
"""Every key that may leave."""

WORDS = CANDIDATES | {"same", "fresh", "validation", "folds", "nothing"}
"""Text that may leave, besides the house's own error codes."""

HIDDEN = frozenset({"field", "index", "reason"})
"""All that may be said of a group that is hidden: which one, and why."""
PLACES = frozenset({"field", "index"})
"""Keys whose values are places in lists of the plan: whole numbers, never a value of the data."""

MOST_FIGURES = 2_000
MOST_ITEMS = 40
MOST_PLACES = 10_000
DEEPEST = 6
DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRule:
    """How small a count may be, and how large it can be.

    `smallest` is 10 unless the steward chose otherwise, and 0 for data that
    are declared public. `largest` is the number of rows there are.
    """

    smallest: int
    largest: int


def check_facts(facts: Mapping[str, Json], *, rule: CountRule) -> dict[str, Json]:
    """Return facts that may leave, with fractions rounded to six significant digits.

    Raises
    ------
    DeniedError
        `gate.fact_unknown`, `gate.fact_is_text`, `gate.fact_is_list`,
        `gate.fact_not_a_figure`, `gate.too_many_facts`, `gate.count_impossible`,
        `gate.small_count`; the place is named by keys of our own.

    Discloses
    ---------
    What it returns. Its refusals name keys of the vocabulary, never a value.
    """
    checked = _Facts(rule).table(facts, at="", depth=0)
    if sum(1 for _ in _leaves(checked)) > MOST_FIGURES:
        raise DeniedError("gate.too_many_facts", most=MOST_FIGURES)
    return checked


def round_figure(value: float) -> float:
    """Round to six significant digits."""
    return float(f"{value:.{DIGITS - 1}e}")


@dataclass(frozen=True, slots=True)
class _Facts:
    rule: CountRule

    def table(self, facts: Mapping[str, Json], *, at: str, depth: int) -> dict[str, Json]:
        if depth > DEEPEST:
            raise DeniedError("gate.too_many_facts", most=DEEPEST)
        known = [key for key in facts if key in KEYS]
        if len(known) != len(facts):
            raise DeniedError("gate.fact_unknown", place=at or "facts")
        return {
            key: self.entry(key, facts[key], at=_join(at, key), depth=depth + 1)
            for key in sorted(known)
        }

    def entry(self, key: str, value: Json, *, at: str, depth: int) -> Json:
        if key in COUNTS:
            return self.count(value, at=at)
        if key in PLACES:
            return self.place(value, at=at)
        return self.value(value, at=at, depth=depth)

    def value(self, value: Json, *, at: str, depth: int) -> Json:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            if value in WORDS or value in texts():
                return value
            raise DeniedError("gate.fact_is_text", place=at)
        if isinstance(value, int | float):
            return self.figure(value, at=at)
        if isinstance(value, Mapping):
            return self.table(value, at=at, depth=depth)
        if isinstance(value, list | tuple):
            return self.groups(value, at=at, depth=depth)
        raise DeniedError("gate.fact_not_a_figure", place=at)

    def figure(self, value: float, *, at: str) -> int | float:
        if not math.isfinite(value) or abs(value) >= 2**53:
            raise DeniedError("gate.fact_not_a_figure", place=at)
        return value if isinstance(value, int) else round_figure(value)

    def count(self, value: Json, *, at: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise DeniedError("gate.fact_not_a_figure", place=at)
        if not 0 <= value <= self.rule.largest:
            raise DeniedError("gate.count_impossible", place=at)
        if value < self.rule.smallest:
            raise DeniedError("gate.small_count", place=at, smallest=self.rule.smallest)
        return value

    def place(self, value: Json, *, at: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST_PLACES:
            raise DeniedError("gate.fact_not_a_figure", place=at)
        return value

    def groups(self, items: Sequence[Json], *, at: str, depth: int) -> list[Json]:
        """Let items of a list pass only as groups of cases, each with its own count.

        A group that is hidden has no count; then nothing is said of it but
        which one it is, and why.
        """
        if len(items) > MOST_ITEMS:
            raise DeniedError("gate.too_many_facts", most=MOST_ITEMS)
        tables = [item for item in items if isinstance(item, Mapping) and _is_group(item)]
        if len(tables) != len(items):
            raise DeniedError("gate.fact_is_list", place=at)
        return [self.table(item, at=at, depth=depth + 1) for item in tables]


def _is_group(item: Mapping[str, Json]) -> bool:
    return "n" in item or (isinstance(item.get("reason"), str) and item.keys() <= HIDDEN)


def _leaves(value: Json) -> list[Json]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key

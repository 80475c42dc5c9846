"""Groups of patients that a plan wants judged apart: by a category, or by a number cut in parts.

A plan writes `sex`, or `age:40,60`. What a hospital tells of them names field
and group by their place here, so no word of its data leaves with a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from consilium.gate.orders import FieldNeed
from consilium.gate.plain import bad

MOST_GROUPS = 20
"""Groups of all fields together."""

Places = npt.NDArray[np.intp]
"""For each case, the place of its group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """One field that tells groups apart.

    `cuts` rise: a number below the first is in group 0, one at or above the
    last in the last group. Whoever has no value is in a group after these.
    """

    need: FieldNeed
    cuts: tuple[float, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the groups in the order of their place, as the plan gives them."""
        if not self.cuts:
            return self.need.categories
        ends = [f"{cut:g}" for cut in self.cuts]
        between = [f"{low} – < {high}" for low, high in pairwise(ends)]
        return (f"< {ends[0]}", *between, f"≥ {ends[-1]}")

    def place(self, column: npt.NDArray[np.float64]) -> Places:
        """Find each case's group from its value, shape (n,): a category's index, or a number."""
        missing = np.isnan(column)
        known = np.where(missing, 0.0, column)
        found = np.searchsorted(self.cuts, known, side="right") if self.cuts else known
        places: Places = np.where(missing, len(self.labels), found).astype(np.intp)
        return places


def read_groupings(wanted: Sequence[str], features: Sequence[FieldNeed]) -> tuple[Grouping, ...]:
    """Read what a plan wants of its own fields.

    Raises
    ------
    InputError
        `gate.bad_order` when a field is unknown, has no cuts or no categories,
        stands twice, or there are too many groups.
    """
    found = tuple(_read(text, features) for text in wanted)
    names = [one.need.name for one in found]
    if len(set(names)) != len(names):
        raise bad("subgroups", "names a field twice")
    if sum(len(one.labels) for one in found) > MOST_GROUPS:
        raise bad("subgroups", f"makes more than {MOST_GROUPS} groups")
    return found


def _read(text: str, features: Sequence[FieldNeed]) -> Grouping:
    name, _, cuts = text.partition(":")
    need = next((one for one in features if one.name == name and one.is_column), None)
    if need is None:
        raise bad("subgroups", "names a column that the plan does not ask for")
    if need.kind == "category":
        if cuts:
            raise bad("subgroups", "cuts a category")
        return Grouping(need=need)
    return Grouping(need=need, cuts=_cuts(cuts))


def _cuts(text: str) -> tuple[float, ...]:
    try:
        cuts = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise bad("subgroups", "gives a number no cuts, such as age:40,60") from error
    if not np.isfinite(cuts).all() or list(cuts) != sorted(set(cuts)):
        raise bad("subgroups", "gives cuts that do not rise")
    return cuts

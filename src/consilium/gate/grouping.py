"""Groups: bins and categories, merged until each holds enough patients.

Small groups are not blanked out but joined to their neighbours: a blank can be
worked out from the margins, a joined group cannot. What is joined is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from consilium.gate.columns import Labels, Numbers, Rows, Table
from consilium.kernel.canonical import Json

Fits = Callable[["tuple[Groups, ...]"], bool]
"""Tells whether groups of one or two columns may be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of one column: each a run of bins, or a set of categories.

    `edges` are those of a number's finest bins and empty for a category;
    `members` holds the finest bins or categories of each group, in order.
    """

    column: str
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def is_number(self) -> bool:
        """Whether the groups are bins of a number."""
        return bool(self.edges)

    def label(self, values: Numbers) -> Labels:
        """Number the group of each value from 0; a missing one is in group 0."""
        finest = self._finest(values)
        lookup = np.zeros(self._size, dtype=np.int64)
        for group, members in enumerate(self.members):
            lookup[list(members)] = group
        return lookup[finest]

    def join(self, one: int, other: int) -> Groups:
        """Return the groups with two of them joined."""
        low, high = sorted((one, other))
        joined = tuple(sorted(self.members[low] + self.members[high]))
        rest = [group for place, group in enumerate(self.members) if place not in (low, high)]
        rest.insert(low, joined)
        return replace(self, members=tuple(rest))

    def describe(self) -> dict[str, Json]:
        """Say what the groups are: the edges between bins, or each group's categories."""
        if self.is_number:
            return {"edges": [self.edges[group[0] - 1] for group in self.members[1:]]}
        names = [[self.categories[one] for one in group] for group in self.members]
        return {"categories": names}

    @property
    def _size(self) -> int:
        return len(self.edges) + 1 if self.is_number else len(self.categories)

    def _finest(self, values: Numbers) -> Labels:
        known = np.nan_to_num(values)
        if self.is_number:
            return np.searchsorted(np.array(self.edges), known, side="right").astype(np.int64)
        return known.astype(np.int64)


def finest_groups(column: str, *, edges: Sequence[float], categories: Sequence[str]) -> Groups:
    """Return one group for each bin or category."""
    size = len(edges) + 1 if edges else len(categories)
    return Groups(
        column=column,
        edges=tuple(edges),
        categories=tuple(categories),
        members=tuple((place,) for place in range(size)),
    )


def merge_groups(
    table: Table, rows: Rows, groups: tuple[Groups, ...], *, fits: Fits, k: int, fixed: int = 0
) -> tuple[Groups, ...] | None:
    """Join groups of one or two columns until they may be answered.

    The last `fixed` columns stay as they are.

    Plan: (1) each column's own groups reach `k` patients among the rows, empty
    bins joined to neighbours; (2) while an answer would still tell too much,
    the smallest group of the column with the most groups is joined to the
    smaller of its neighbours, or for categories to the next smallest.

    Returns
    -------
    tuple of Groups or None
        None if even one group each may not be answered.
    """
    # 1.
    free = len(groups) - fixed
    found = (*(_fill(table, rows, one, k=k) for one in groups[:free]), *groups[free:])
    # 2.
    while not fits(found):
        place = max(range(free), key=lambda one: len(found[one].members))
        if len(found[place].members) == 1:
            return None
        counts = _counts(table, rows, found[place])
        joined = _join_smallest(found[place], counts)
        found = (*found[:place], joined, *found[place + 1 :])
    return found


def _fill(table: Table, rows: Rows, groups: Groups, *, k: int) -> Groups:
    """Join the smallest group of a column until none holds 1 to k - 1 patients.

    An empty category may stand; an empty bin says too well where nobody is.
    """
    while len(groups.members) > 1:
        counts = _counts(table, rows, groups)
        small = counts < k if groups.is_number else (counts < k) & (counts > 0)
        if not small.any():
            break
        groups = _join_smallest(groups, np.where(small, counts, np.iinfo(np.int64).max), counts)
    return groups


def _join_smallest(groups: Groups, ranks: Labels, counts: Labels | None = None) -> Groups:
    sizes = ranks if counts is None else counts
    smallest = int(np.argmin(ranks))
    others = [place for place in range(sizes.size) if place != smallest]
    if groups.is_number:
        others = [place for place in others if abs(place - smallest) == 1]
    elif any(sizes[place] for place in others):
        others = [place for place in others if sizes[place]]
    return groups.join(smallest, min(others, key=lambda place: int(sizes[place])))


def _counts(table: Table, rows: Rows, groups: Groups) -> Labels:
    values = table.values[groups.column][rows]
    labels = groups.label(values)
    if not table.one_row_each:
        most = int(table.patients.max(initial=0)) + 1
        labels = np.unique(labels * most + table.patients[rows]) // most
    return np.bincount(labels, minlength=len(groups.members)).astype(np.int64)

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

    def join_all(self) -> Groups:
        """Return one group of everything."""
        return replace(self, members=(tuple(range(self._size)),))

    def split(self, edge: int) -> Groups:
        """Return the groups with one told apart at an edge, by the edge's place."""
        members: list[tuple[int, ...]] = []
        for group in self.members:
            parts = ([one for one in group if one <= edge], [one for one in group if one > edge])
            members += [tuple(part) for part in parts if part]
        return replace(self, members=tuple(members))

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

    Plan: (1) a number begins with one group, and each category with at least
    `k` patients or none, small ones joined to the next smallest; (2) while this
    would tell too much, categories are joined further; (3) a number's edges are
    put in again where both sides hold enough, in one order that is the same at
    every hospital, coarse ones first, so that hospitals keep the same edges.

    The last `fixed` columns stay as they are.

    Returns
    -------
    tuple of Groups or None
        None if even one group each may not be answered.
    """
    free = len(groups) - fixed
    # 1.
    begun = (
        one.join_all() if one.is_number else _fill(table, rows, one, k=k) for one in groups[:free]
    )
    found = (*begun, *groups[free:])
    # 2.
    while not fits(found):
        place = max(range(free), key=lambda one: len(found[one].members))
        if len(found[place].members) == 1:
            return None
        joined = _join_smallest(found[place], _counts(table, rows, found[place]))
        found = (*found[:place], joined, *found[place + 1 :])
    # 3.
    for place in range(free):
        for edge in coarse_first(len(groups[place].edges)):
            split = found[place].split(edge)
            if _counts(table, rows, split).min() < k:
                continue
            tried = (*found[:place], split, *found[place + 1 :])
            found = tried if fits(tried) else found
    return found


def coarse_first(size: int) -> list[int]:
    """Order the places 0 to `size` - 1: the middle, the quarters, the eighths, and so on.

    Examples
    --------
    >>> coarse_first(7)
    [3, 1, 5, 0, 2, 4, 6]
    """
    found, level = [], [(0, size)]
    while level:
        level = [(low, high) for low, high in level if low < high]
        found += [(low + high) // 2 for low, high in level]
        halves = [((low, (low + high) // 2), ((low + high) // 2 + 1, high)) for low, high in level]
        level = [one for pair in halves for one in pair]
    return found


def _fill(table: Table, rows: Rows, groups: Groups, *, k: int) -> Groups:
    """Join the smallest category to the next smallest until none holds 1 to k - 1 patients."""
    while len(groups.members) > 1:
        counts = _counts(table, rows, groups)
        small = (counts < k) & (counts > 0)
        if not small.any():
            break
        groups = _join_smallest(groups, counts)
    return groups


def _join_smallest(groups: Groups, counts: Labels) -> Groups:
    """Join the two smallest categories; empty ones stand while there are others."""
    order = [int(place) for place in np.argsort(counts, kind="stable")]
    filled = [place for place in order if counts[place]]
    pair = filled if len(filled) > 1 else order[-2:]
    return groups.join(pair[0], pair[1])


def _counts(table: Table, rows: Rows, groups: Groups) -> Labels:
    values = table.values[groups.column][rows]
    labels = groups.label(values)
    if not table.one_row_each:
        most = int(table.patients.max(initial=0)) + 1
        labels = np.unique(labels * most + table.patients[rows]) // most
    return np.bincount(labels, minlength=len(groups.members)).astype(np.int64)

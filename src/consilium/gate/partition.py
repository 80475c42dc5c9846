"""The partition: what all answers together can tell apart.

Comparing a new cohort with earlier ones pair by pair does not stop three
questions from isolating a patient. So for each function that is added up over
cohorts (one axis for each) the gate keeps the partition of all rows that the
answered cohorts make together. Every answer is a sum over cells of it, and so
is everything that can be worked out from answers by adding and subtracting. A
question is answered only if the finer partition that it would make has no cell
of 1 to k - 1 patients.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from consilium.gate.columns import Labels, Rows, Table
from consilium.kernel.canonical import canonical_bytes, read_json

ALL = "all"
"""How many there are: refined by every cohort."""
BIN = "bin"
"""How many have which value of one column, or of two."""
SUM = "sum"
"""The total of a number, and of its products with other columns."""
GAP = "gap"
"""How many have no value."""
AT = "at"
"""What conditions on a column have told apart; not judged, but where new axes begin."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One function of patients that is added up: its kind and the columns it is of."""

    kind: str
    columns: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name the axis in the database."""
        return canonical_bytes([self.kind, *self.columns]).decode()

    @classmethod
    def from_key(cls, key: str) -> Axis:
        """Read what `key` wrote."""
        kind, *columns = read_json(key)  # type: ignore[misc]
        return cls(str(kind), tuple(str(one) for one in columns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What answers have told of one axis.

    `cells` numbers each row's cell; `covered` marks the rows whose cells are in
    some answer. What lies outside every answer can be worked out from none.
    """

    cells: Labels
    covered: Rows


Memory = Mapping[Axis, Told]
"""All that a dataset's answers have told, by axis."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """One axis told apart further: 0 for rows outside, else the group that a row is in.

    `answered` says that the groups' totals are answered now; else the cohort
    only touches the axis.
    """

    axis: Axis
    labels: Labels
    answered: bool = True


def cut_at(axis: Axis, rows: Rows, labels: Labels | None = None, *, answered: bool = True) -> Cut:
    """Cut an axis at a set of rows, within it by labels from 0 if there are any."""
    groups = np.zeros(rows.size, dtype=np.int64) if labels is None else labels
    return Cut(axis=axis, labels=np.where(rows, groups + 1, 0), answered=answered)


def begin(memory: Memory, axis: Axis, *, rows: int) -> Told:
    """Return what is told of an axis as of now.

    Counts by value that were never asked for begin where conditions on their
    columns have cut: only those cohorts can be compared with them. How many
    patients there are in all stands in the catalogue.
    """
    found = memory.get(axis)
    if found is not None:
        return found
    start = np.zeros(rows, dtype=np.int64)
    for column in axis.columns if axis.kind in (BIN, GAP) else ():
        known = memory.get(Axis(AT, (column,)))
        if known is not None:
            start = refine(start, known.cells)
    return Told(cells=start, covered=np.full(rows, axis.kind == ALL))


def refine(cells: Labels, labels: Labels) -> Labels:
    """Tell cells apart by labels; both are whole numbers of at least 0."""
    both = cells * (int(labels.max(initial=0)) + 1) + labels
    _, fresh = np.unique(both, return_inverse=True)
    numbers: Labels = fresh.astype(np.int64)
    return numbers


def is_safe(table: Table, cells: Labels, rows: Rows, *, k: int) -> bool:
    """Tell whether each cell holds, of these rows, no patient or at least `k`."""
    counts = count_patients(table, cells, rows)
    return bool(np.all((counts == 0) | (counts >= k)))


def count_patients(table: Table, cells: Labels, rows: Rows) -> Labels:
    """Count the different patients of each cell among some rows."""
    kept, size = cells[rows], int(cells.max(initial=0)) + 1
    if not table.one_row_each:
        most = int(table.patients.max(initial=0)) + 1
        kept = np.unique(kept * most + table.patients[rows]) // most
    return np.bincount(kept, minlength=size).astype(np.int64)


def judged(table: Table, axis: Axis) -> tuple[Rows, ...]:
    """Return the sets of rows of which no cell may hold 1 to k - 1 patients.

    A total covers the patients who have a value, and is of few patients, too,
    where all others have the one most frequent value.
    """
    if axis.kind == AT:
        return ()
    if axis.kind in (ALL, GAP):
        return (np.ones(table.rows, dtype=np.bool_),)
    observed = table.observed(*axis.columns)
    if axis.kind == BIN:
        return (observed,)
    return (observed, observed & table.unusual(axis.columns[0]))


def try_cuts(
    table: Table, memory: Memory, cuts: Iterable[Cut], *, k: int
) -> dict[Axis, Told] | None:
    """Return what would be told after these cuts, or None if a cell would be too small."""
    fresh: dict[Axis, Told] = {}
    for cut in cuts:
        before = fresh.get(cut.axis) or begin(memory, cut.axis, rows=table.rows)
        fresh[cut.axis] = Told(
            cells=refine(before.cells, cut.labels),
            covered=before.covered | ((cut.labels > 0) & cut.answered),
        )
    for axis, told in fresh.items():
        for rows in judged(table, axis):
            if not is_safe(table, told.cells, rows & told.covered, k=k):
                return None
    return fresh


def related_cuts(
    memory: Memory, asked: set[Axis], parts: Mapping[str, Rows], released: Rows
) -> list[Cut]:
    """Cut what a cohort's own conditions touch, beside what is asked for.

    A cohort of those below 44 says something of the histogram of ages. So each
    axis of a column that has a condition is cut at the cohort; and at its
    conditions on other columns, because with the column's own counts those let
    the patients outside the cohort be told apart, too. A total of the column
    says nothing of how many are below 44, so totals are not touched.

    Parameters
    ----------
    parts : mapping of str to array of bool
        The rows that meet the conditions on each column.
    released : array of bool
        The rows that meet all of them.
    """
    cuts: list[Cut] = []
    touched = [one for one in memory if one.kind in (BIN, GAP) and parts.keys() & one.columns]
    places = [Axis(AT, (column,)) for column in parts]
    for axis in sorted([*touched, *places], key=lambda one: one.key):
        if axis not in asked:
            cuts.append(cut_at(axis, released, answered=False))
        others = [rows for column, rows in parts.items() if column not in axis.columns]
        if others:
            cuts.append(cut_at(axis, np.logical_and.reduce(others), answered=False))
    return cuts


def columns_of(axes: Iterable[Axis]) -> set[str]:
    """Name every column that some axis is of."""
    return {column for axis in axes for column in axis.columns}


def pack_told(told: Told) -> bytes:
    """Write what is told of an axis compactly: a whole number for each row."""
    return zlib.compress((told.cells * 2 + told.covered).astype("<i4").tobytes(), 6)


def unpack_told(data: bytes) -> Told:
    """Read what `pack_told` wrote."""
    numbers = np.frombuffer(zlib.decompress(data), dtype="<i4").astype(np.int64)
    return Told(cells=numbers // 2, covered=numbers % 2 == 1)

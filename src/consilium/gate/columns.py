"""A dataset's array file as named columns, for the gate's own use.

It never leaves this room: what statistics compute on is cut out of it, and
what they reveal is judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from consilium.gate.orders import FieldNeed
from consilium.gate.questions import AT_LEAST, LABEL_CATEGORIES, Condition
from consilium.kernel.errors import DeniedError
from consilium.readers.labels import RULED
from consilium.readers.records import TENSORS
from consilium.readers.schema import Schema

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]

FEWEST_STEPS = 20
"""A condition's bound lies on a grid of at least so many steps over the column's range."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows of one dataset, training and held-out part alike.

    `values` has one column of shape (rows,) for each name, float64: a number, a
    category's place in the question's list, NaN where it is missing. `patients`
    numbers the patients from 0; rows of one patient share the number.
    """

    values: Mapping[str, Numbers]
    kinds: Mapping[str, str]
    patients: Labels

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.patients.size)

    @cached_property
    def one_row_each(self) -> bool:
        """Whether no patient has two rows."""
        return self.rows == 0 or int(self.patients.max()) + 1 == self.rows

    def observed(self, *names: str) -> Rows:
        """Mark the rows that have a value of every one of these columns."""
        found = np.ones(self.rows, dtype=np.bool_)
        for name in names:
            found &= ~np.isnan(self.values[name])
        return found

    def levels(self, name: str) -> Labels | None:
        """Number the values of a column that has few: a category, or two different numbers.

        Missing is -1. None for any other number.
        """
        column = self.values[name]
        if self.kinds[name] == "category":
            return np.where(np.isnan(column), -1, column).astype(np.int64)
        seen = np.unique(column[~np.isnan(column)])
        if seen.size > 2:
            return None
        return np.where(np.isnan(column), -1, np.searchsorted(seen, column)).astype(np.int64)

    def unusual(self, name: str) -> Rows:
        """Mark the rows whose value is there and is not the column's most frequent one."""
        column = self.values[name]
        seen, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        if not seen.size:
            return np.zeros(self.rows, dtype=np.bool_)
        others: Rows = column != seen[int(np.argmax(counts))]
        return self.observed(name) & others


def read_table(file: BinaryIO, columns: tuple[FieldNeed, ...], *, schema: Schema) -> Table:
    """Read the named columns of an array file.

    Parameters
    ----------
    file : binary file
        As the readers wrote it, verified by its digest.
    columns : tuple of FieldNeed
        What the question calls them; `check_columns` has found them alike.
    schema : Schema
        The dataset's.
    """
    with np.load(file, allow_pickle=False) as arrays:
        x, y, group = arrays["x"], arrays["y"], arrays["group"]
    places = {feature.name: place for place, feature in enumerate(schema.columns)}
    values: dict[str, Numbers] = {}
    for column in columns:
        if column.name == schema.label.field:
            values[column.name] = np.asarray(y, dtype=np.float64)
            continue
        found = np.asarray(x[:, places[column.name]], dtype=np.float64)
        if column.kind == "category":
            known = schema.get_field(column.name).categories
            order = np.array([column.categories.index(one) for one in known], dtype=np.float64)
            found = np.where(np.isnan(found), np.nan, order[np.nan_to_num(found).astype(int)])
        values[column.name] = found
    _, patients = np.unique(group, return_inverse=True)
    kinds = {column.name: column.kind for column in columns}
    return Table(values=values, kinds=kinds, patients=patients.astype(np.int64))


def check_columns(columns: tuple[FieldNeed, ...], schema: Mapping[str, Any]) -> Schema:
    """Return the dataset's schema if it has these columns, meaning the same.

    A label that is decided by a rule may be asked for as a category with two
    values. Images and signals are no columns.

    Raises
    ------
    DeniedError
        `gate.no_such_column`, `gate.column_differs`, `gate.not_for_statistics`.
    """
    here = Schema.from_record(schema)
    known = {feature.name: feature for feature in here.features}
    for need in columns:
        if need.name == here.label.field:
            if here.label.kind not in RULED:
                raise DeniedError("gate.not_for_statistics", column=need.name)
            if need.categories != LABEL_CATEGORIES:
                raise DeniedError("gate.column_differs", column=need.name, part="categories")
            continue
        found = known.get(need.name)
        if found is None:
            raise DeniedError("gate.no_such_column", column=need.name)
        if found.kind in TENSORS:
            raise DeniedError("gate.not_for_statistics", column=need.name)
        for part in ("kind", "unit"):
            if getattr(found, part) != getattr(need, part):
                raise DeniedError("gate.column_differs", column=need.name, part=part)
        if not set(found.categories) <= set(need.categories):
            raise DeniedError("gate.column_differs", column=need.name, part="categories")
    return here


def check_bounds(cohort: tuple[Condition, ...], *, schema: Schema) -> None:
    """Refuse conditions that single out values more finely than the schema's ranges suggest.

    Raises
    ------
    DeniedError
        `gate.bound_too_fine`, naming the column and the step that its bounds may have.
    """
    for condition in cohort:
        if condition.values:
            continue
        span = schema.get_field(condition.column).range
        step = grid_step(condition.number, span)
        if abs(condition.number / step - round(condition.number / step)) > 1e-6:
            raise DeniedError("gate.bound_too_fine", column=condition.column, step=step)


def grid_step(bound: float, span: tuple[float, float] | None) -> float:
    """Return the step of a column's bounds: 1 or 5 times a power of ten.

    It is the coarsest that divides the schema's range into at least
    `FEWEST_STEPS`; without a range, a bound may have two digits.

    Examples
    --------
    >>> grid_step(65, (18, 110)), grid_step(140, (60, 260)), grid_step(0.25, None)
    (1.0, 10.0, 0.01)
    """
    if span is None:
        size = float(np.floor(np.log10(abs(bound)))) if bound else 0.0
        return float(10 ** (size - 1))
    width = span[1] - span[0]
    size = float(np.floor(np.log10(width / FEWEST_STEPS)))
    return float(max(step for step in (10**size, 5 * 10**size) if width / step >= FEWEST_STEPS))


def cohort_rows(table: Table, cohort: tuple[Condition, ...], columns: Mapping[str, Any]) -> Rows:
    """Mark the rows of a cohort; a row whose value is missing meets no condition.

    `columns` holds the question's description of each column by name.
    """
    found = np.ones(table.rows, dtype=np.bool_)
    for condition in cohort:
        values = table.values[condition.column]
        if condition.values:
            categories = columns[condition.column].categories
            wanted = [float(categories.index(one)) for one in condition.values]
            found &= np.isin(values, wanted)
        elif condition.test == AT_LEAST:
            found &= values >= condition.number
        else:
            found &= values < condition.number
    return found

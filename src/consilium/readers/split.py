"""Who is held out: decided once, by patient, and the same on every machine.

The draw is scikit-learn's, written on numpy's frozen legacy generator: a
library's next release must not move a patient from one side to the other.
Without patient ids and with the default split it is FLamby's protocol. A split
that the data bring along, or the last visits of each patient, need no draw.

Sources
-------
scikit-learn 1.9, `model_selection._split` (`ShuffleSplit`,
`StratifiedShuffleSplit`, `_approximate_mode`); FLamby, arXiv:2210.04620,
`fed_heart_disease/dataset.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.readers.records import Split
from consilium.readers.schema import Schema

TRAIN, HELD_OUT = 0, 1
FEWEST_OF_A_CLASS = 2
"""So few patients of a class cannot be drawn by themselves."""

Labels = npt.NDArray[Any]
"""int8 or int16 for classes, float64 for numbers."""
Numbers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

DRAWN_BY_CLASS = ("binary", "classes", "survival")
"""Kinds of label whose classes (or event) both sides should have alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a split may look at, each of shape (n,).

    `y` labels; `group` dense patient numbers in order of first appearance, or
    None when each row is a patient; `time` of a survival label; `given` the
    index of the split's category; `order` within a patient.
    """

    y: Labels
    group: Numbers | None
    time: Reals | None = None
    given: Reals | None = None
    order: Reals | None = None


def divide_rows(rows: Rows, schema: Schema) -> tuple[npt.NDArray[np.int8], bool]:
    """Choose the held-out part as the schema says: given, by order, or drawn.

    Returns
    -------
    part : array of shape (n,), int8
        0 for training, 1 for held out.
    stratified : bool
        Whether both sides were drawn class by class.

    Raises
    ------
    InputError
        `readers.too_few_rows` when a drawn side would be empty,
        `readers.empty_side` when a given one is.
    """
    split = schema.split
    if rows.given is not None:
        known = schema.get_field(split.column).categories
        part = np.isin(rows.given, [known.index(one) for one in split.held_out_in])
        return _both(part.astype(np.int8), split.column), False
    if rows.order is not None:
        return _both(hold_out_last(rows.order, rows.group, split), split.order), False
    by_class = schema.label.kind in DRAWN_BY_CLASS
    y = rows.y if by_class else np.zeros(rows.y.size, dtype=np.int8)
    return hold_out(y, rows.group, split)


def hold_out_last(order: Reals, group: Numbers | None, split: Split) -> npt.NDArray[np.int8]:
    """Hold out the last share of each patient's rows, at least one staying on the training side.

    Parameters
    ----------
    order : array of shape (n,), float64
        When each row was taken; rows alike in it keep the source's order.
    group : array of shape (n,), int64, or None
        Dense patient numbers; None: all rows are one series.
    split : Split
        Share and its rounding.
    """
    series = np.zeros(order.size, dtype=np.int64) if group is None else group
    sizes = np.bincount(series)
    sorted_rows = np.lexsort((order, series))
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.arange(order.size) - first[series[sorted_rows]]
    n_train = np.array([max(count_sides(int(size), split)[0], 1) for size in sizes])
    part = np.zeros(order.size, dtype=np.int8)
    part[sorted_rows[rank >= n_train[series[sorted_rows]]]] = HELD_OUT
    return part


def hold_out(y: Labels, group: Numbers | None, split: Split) -> tuple[npt.NDArray[np.int8], bool]:
    """Choose the held-out part.

    Parameters
    ----------
    y : array of shape (n,), int8 or int16
        Classes, from 0.
    group : array of shape (n,), int64, or None
        Dense patient numbers in order of first appearance. All rows of a
        patient go to one side. None: each row is a patient.
    split : Split
        Share, seed, stratification.

    Returns
    -------
    part : array of shape (n,), int8
        0 for training, 1 for held out.
    stratified : bool
        Whether both sides were drawn class by class. A patient counts for the
        highest class of any row. Classes of at most two patients are drawn
        together with the largest.

    Raises
    ------
    InputError
        `readers.too_few_rows` when a side would be empty.
    """
    classes = y if group is None else _classes_of_patients(y, group)
    n_train, n_test = count_sides(classes.size, split)
    if not (n_train and n_test):
        raise InputError("readers.too_few_rows", rows=int(y.size), least=2)
    generator = np.random.RandomState(split.seed)
    members = _strata(classes)
    stratified = split.stratify and 1 < len(members) <= min(n_train, n_test)
    if stratified:
        chosen = _draw_by_class(members, n_train, n_test, generator)
    else:
        chosen = generator.permutation(classes.size)[:n_test]
    part = np.zeros(classes.size, dtype=np.int8)
    part[chosen] = HELD_OUT
    return (part if group is None else part[group]), stratified


def count_sides(n: int, split: Split) -> tuple[int, int]:
    """Return how many of `n` patients train and how many are held out."""
    if split.held_out is not None:
        n_test = math.ceil(split.held_out * n)
        return n - n_test, n_test
    n_train = math.floor((split.train_size or 0.0) * n)
    return n_train, n - n_train


def _both(part: npt.NDArray[np.int8], field: str) -> npt.NDArray[np.int8]:
    """Refuse a given split that leaves a side empty."""
    if not 0 < np.count_nonzero(part) < part.size:
        raise InputError("readers.empty_side", field=field)
    return part


def _classes_of_patients(y: Labels, group: Numbers) -> Labels:
    classes = np.zeros(int(group.max(initial=-1)) + 1, dtype=y.dtype)
    np.maximum.at(classes, group, y)
    return classes


def _strata(classes: Labels) -> list[npt.NDArray[np.intp]]:
    """Return each class's members in the order of classes, the smallest put to the largest."""
    members = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    large = [one for one in members if len(one) > FEWEST_OF_A_CLASS]
    small = [one for one in members if len(one) <= FEWEST_OF_A_CLASS]
    if not small or not large:
        return members if not small else [np.arange(classes.size)]
    most = max(range(len(large)), key=lambda place: len(large[place]))
    large[most] = np.sort(np.concatenate([large[most], *small]))
    return large


def _draw_by_class(
    members: list[npt.NDArray[np.intp]], n_train: int, n_test: int, generator: np.random.RandomState
) -> npt.NDArray[np.intp]:
    counts = np.array([len(one) for one in members])
    train = _share_out(counts, n_train, generator)
    test = _share_out(counts - train, n_test, generator)
    drawn = []
    for one, skip, take in zip(members, train, test, strict=True):
        drawn.append(one[generator.permutation(len(one))[skip : skip + take]])
    return np.concatenate(drawn)


def _share_out(
    counts: npt.NDArray[np.intp], n: int, generator: np.random.RandomState
) -> npt.NDArray[np.intp]:
    """Share `n` draws over the classes by size; the largest remainders round up."""
    exact = counts / counts.sum() * n
    whole: npt.NDArray[np.float64] = np.floor(exact)
    remainder = exact - whole
    left = int(n - whole.sum())
    for value in np.sort(np.unique(remainder))[::-1]:
        if left <= 0:
            break
        (tied,) = np.where(remainder == value)
        add = min(len(tied), left)
        whole[generator.choice(tied, size=add, replace=False)] += 1
        left -= add
    return whole.astype(np.intp)

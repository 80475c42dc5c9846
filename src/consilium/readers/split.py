"""Who is held out: decided once, by patient, and the same on every machine.

The draw is scikit-learn's, written on numpy's frozen legacy generator: a
library's next release must not move a patient from one side to the other.
Without patient ids and with the default split it is FLamby's protocol.

Sources
-------
scikit-learn 1.9, `model_selection._split` (`ShuffleSplit`,
`StratifiedShuffleSplit`, `_approximate_mode`); FLamby, arXiv:2210.04620,
`fed_heart_disease/dataset.py`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.readers.records import Split

TRAIN, HELD_OUT = 0, 1

Labels = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.int64]


def hold_out(y: Labels, group: Numbers | None, split: Split) -> tuple[npt.NDArray[np.int8], bool]:
    """Choose the held-out part.

    Parameters
    ----------
    y : array of shape (n,), int8
        Labels, 0 or 1.
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
        Whether both sides were drawn class by class. A patient with any
        positive row counts as positive.

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
    members = [np.flatnonzero(classes == label) for label in (0, 1)]
    stratified = split.stratify and min(len(one) for one in members) > 2
    stratified = stratified and min(n_train, n_test) >= len(members)
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


def _classes_of_patients(y: Labels, group: Numbers) -> Labels:
    classes = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int8)
    classes[group[y > 0]] = 1
    return classes


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

"""Design: how variables become columns of numbers, alike at every hospital.

A number is one column. A category is one column of 0 and 1 for each of its
categories but the first, which the others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from consilium.gate.questions import Question

Numbers = npt.NDArray[np.float64]


def terms(question: Question, variables: Sequence[str]) -> tuple[str, ...]:
    """Name the columns that variables become: `age`, `sex=1`.

    Discloses
    ---------
    Nothing.
    """
    found: list[str] = []
    for name in variables:
        categories = question.get_column(name).categories
        found += [f"{name}={one}" for one in categories[1:]] if categories else [name]
    return tuple(found)


def expand(question: Question, variables: Sequence[str], values: Mapping[str, Numbers]) -> Numbers:
    """Return the columns of variables, in the order of `terms`.

    Parameters
    ----------
    values : mapping of str to array of shape (rows,), float64
        A category is its place in the question's list.

    Returns
    -------
    array of shape (rows, terms), float64

    Discloses
    ---------
    Nothing: it stays in the hospital.
    """
    columns: list[Numbers] = []
    for name in variables:
        categories = question.get_column(name).categories
        if categories:
            places = range(1, len(categories))
            columns += [(values[name] == place).astype(np.float64) for place in places]
        else:
            columns.append(values[name])
    return np.column_stack(columns)

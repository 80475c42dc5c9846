"""Scaling by what is usual, not by who is there.

Mean and spread of a hospital's patients are themselves figures about them: a
model trained on inputs that were scaled by them tells of them without noise. So
a plan with noise declares the usual range of each number, from knowledge of the
field, and every hospital scales by that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from consilium.gate.orders import FieldNeed
from consilium.kernel.errors import InputError

Matrix = npt.NDArray[np.float64]

SPREADS = 4.0
"""A usual range is taken to span so many standard deviations."""


def scale_by_range(x: Matrix, columns: Sequence[FieldNeed]) -> Matrix:
    """Scale numbers by their declared range; leave categories alone.

    The middle of the range becomes 0 and its ends -2 and 2; what lies beyond is
    kept at the ends, and what is missing becomes 0.

    Parameters
    ----------
    x : array of shape (n, len(columns)), float64
        Missing numbers are NaN.

    Raises
    ------
    InputError
        `federation.no_range` naming the column.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    scaled = np.array(x, dtype=np.float64)
    for place, need in enumerate(columns):
        if need.kind != "number":
            continue
        if not need.range:
            raise InputError("federation.no_range", column=need.name)
        low, high = need.range
        units = (x[:, place] - (low + high) / 2) / ((high - low) / SPREADS)
        scaled[:, place] = np.nan_to_num(np.clip(units, -SPREADS / 2, SPREADS / 2))
    return scaled

"""Logistic recalibration of many resamples at once, by Newton's method.

Two numbers are fitted to each row of weights: `sigma(a + b z)`. A weak
quadratic pull towards `a = 0, b = 1` (that is, towards "already calibrated")
keeps both finite when the classes are separated; on ordinary data it moves
the fourth digit at most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.measures.weighted import Matrix, Vector

RIDGE = 1e-3
"""Strength of the pull: that of a thousandth of a case of weight one."""

FLOOR = 1e-9
"""Chances are kept this far from 0 and 1 before log odds are taken."""

STEPS = 60
LONGEST_STEP = 2.0
SETTLED = 1e-8


def log_odds(p: Vector) -> Vector:
    """Return the log odds of chances kept within [1e-9, 1 - 1e-9]."""
    kept = np.clip(p, FLOOR, 1 - FLOOR)
    found: Vector = np.log(kept) - np.log1p(-kept)
    return found


def fit_recalibration(y: Vector, z: Vector, weights: Matrix, *, slope: bool) -> Matrix:
    """Fit intercept and slope of outcomes on log odds, one fit per row of weights.

    Parameters
    ----------
    y : array of shape (n,)
        Labels, 0 or 1.
    z : array of shape (n,)
        Log odds of the predictions, finite.
    weights : array of shape (resamples, n)
        Not negative.
    slope : bool
        Fit the slope too; otherwise it is held at 1.

    Returns
    -------
    array of shape (resamples, 2)
        Intercept and slope; NaN where a resample has one class, no spread of
        `z` while the slope is asked, or a fit that did not settle.
    """
    possible = _is_possible(y, z, weights, slope=slope)
    design = np.stack([np.ones_like(z), z, z * z], axis=1)
    found = np.full((len(weights), 2), np.nan)
    # From no effect at all Newton's steps shrink steadily; from slope 1 they can cycle.
    found[possible] = (0.0, 0.0 if slope else 1.0)
    # Rows leave as they settle, so the loop does not redo what is done.
    open_rows = np.flatnonzero(possible)
    for _ in range(STEPS):
        if not open_rows.size:
            return found
        step = _newton_step(found[open_rows], weights[open_rows], y, design, slope=slope)
        length = np.abs(step).max(axis=1, keepdims=True)
        found[open_rows] += step * np.minimum(1.0, LONGEST_STEP / np.maximum(length, 1e-300))
        open_rows = open_rows[length[:, 0] > SETTLED]
    found[open_rows] = np.nan
    return found


def _newton_step(at: Matrix, weights: Matrix, y: Vector, design: Matrix, *, slope: bool) -> Matrix:
    eta = at[:, :1] + at[:, 1:] * design[:, 1]
    chance = 0.5 * (1.0 + np.tanh(0.5 * eta))
    gradient = (weights * (y - chance)) @ design[:, :2] - RIDGE * (at - (0.0, 1.0))
    curvature = (weights * chance * (1.0 - chance)) @ design
    h00, h01, h11 = curvature[:, 0] + RIDGE, curvature[:, 1], curvature[:, 2] + RIDGE
    step: Matrix = np.zeros_like(at)
    if slope:
        determinant = h00 * h11 - h01 * h01
        step[:, 0] = (h11 * gradient[:, 0] - h01 * gradient[:, 1]) / determinant
        step[:, 1] = (h00 * gradient[:, 1] - h01 * gradient[:, 0]) / determinant
    else:
        step[:, 0] = gradient[:, 0] / h00
    return step


def _is_possible(y: Vector, z: Vector, weights: Matrix, *, slope: bool) -> npt.NDArray[np.bool_]:
    drawn = weights > 0
    possible: npt.NDArray[np.bool_] = (drawn & (y > 0)).any(axis=1) & (drawn & (y == 0)).any(axis=1)
    if slope:
        least = np.where(drawn, z, np.inf).min(axis=1)
        most = np.where(drawn, z, -np.inf).max(axis=1)
        possible &= most > least
    return possible

"""One step of training with noise: who is in it, how much each may say, what is added.

The unit is the patient. A patient with several rows is drawn with one of them,
so one patient more or less changes one clipped row at most, and the accountant
of `gate.accounting` holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.federation.noise.source import NoiseSource, Vector

Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class Patients:
    """Who can be drawn: patients, each with its rows.

    Parameters
    ----------
    group : array of shape (n,), int64
        Patient number by row.
    """

    def __init__(self, group: npt.NDArray[np.int64]) -> None:
        self._rows: Rows = np.argsort(group, kind="stable")
        _, self._first, self._count = np.unique(
            group[self._rows], return_index=True, return_counts=True
        )

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self._first)

    def draw(self, rate: float, source: NoiseSource) -> Rows:
        """Draw each patient with the chance `rate`; return one row of each, perhaps none.

        Discloses
        ---------
        Nothing: who was drawn stays in the job process.
        """
        drawn = np.flatnonzero(source.uniform(self.n) < rate)
        which = np.floor(source.uniform(len(drawn)) * self._count[drawn]).astype(np.intp)
        rows: Rows = self._rows[self._first[drawn] + which]
        return rows


def clip_rows(gradients: Matrix, *, clip: float) -> Matrix:
    """Shorten each row to a length of at most `clip`; a row that is not finite becomes 0.

    Parameters
    ----------
    gradients : array of shape (n, parameters)
        One patient's gradient in each row.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    is_finite = np.isfinite(gradients).all(axis=1, keepdims=True)
    known = np.where(is_finite, gradients, 0.0)
    lengths = np.linalg.norm(known, axis=1, keepdims=True)
    cut: Matrix = known * (clip / np.maximum(lengths, clip))
    return cut


def noisy_mean(
    gradients: Matrix, *, clip: float, noise: float, expected: float, source: NoiseSource
) -> Vector:
    """Return the noisy mean gradient of those who were drawn.

    Parameters
    ----------
    gradients : array of shape (n, parameters)
        Of the drawn patients, before clipping; n may be 0.
    clip : float
        Greatest length of one patient's gradient, above 0.
    noise : float
        Standard deviation of the noise in clips; 0 adds none.
    expected : float
        Patients that are drawn on average. Dividing by the number that really
        were would tell it.

    Returns
    -------
    array of shape (parameters,)

    Discloses
    ---------
    What its noise lets through, once it has left; `gate.accounting` says how
    much that is.

    Sources
    -------
    Abadi et al., CCS 2016, arXiv:1607.00133, algorithm 1.
    """
    total = clip_rows(gradients, clip=clip).sum(axis=0)
    if noise:
        total = total + noise * clip * source.normal(gradients.shape[1])
    mean: Vector = total / expected
    return mean


def logistic_gradients(inputs: Matrix, y: Vector, weights: Vector) -> Matrix:
    """Return each row's gradient of the log loss.

    Parameters
    ----------
    inputs : array of shape (n, d)
        With a column for the intercept.
    y : array of shape (n,)
        0 or 1.
    weights : array of shape (d,)

    Returns
    -------
    array of shape (n, d)

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    error = 0.5 * (1.0 + np.tanh(0.5 * (inputs @ weights))) - y
    return np.asarray(error[:, None] * inputs, dtype=np.float64)

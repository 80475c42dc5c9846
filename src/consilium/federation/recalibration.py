"""Local recalibration: one number per hospital (and class), fitted there, kept there.

Hospitals differ in how common the disease is among those who come. A shared
model with an intercept of the hospital's own keeps its ranking and gains its
calibration; on real multi-hospital data this beats heavier personalisation.
"""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Matrix, Vector

PRIOR_SD = 2.5
"""Standard deviation of the weak normal prior on the shift, in log-odds.

Twice this (odds times or divided by 150) covers any two hospitals' prevalences
that one model could sensibly serve. Chosen before any result was seen.
"""

_STEPS = 100
_SETTLED = 1e-10
_LONGEST_STEP = 2.0


def fit_intercept(z: Vector, y: Vector, *, prior_sd: float = PRIOR_SD) -> float:
    """Fit b in σ(z + b) to a site's own training cases, by Newton's method.

    The prior b ~ N(0, prior_sd²) keeps b finite where all cases are of one
    class; with a hundred cases of both it moves b in the second digit at most.

    Parameters
    ----------
    z : array of shape (n,), float64
        The model's log-odds. n may be 0; then b is 0.
    y : array of shape (n,), float64
        Labels, 0 or 1.
    prior_sd : float
        Above 0, in log-odds.

    Returns
    -------
    float
        The shift of the log-odds.

    Discloses
    ---------
    Nothing: the number stays at the site.

    Sources
    -------
    Janssen et al., J Clin Epidemiol 61, 2008 (recalibration in the large);
    Gelman et al., Ann Appl Stat 2, 2008 (weak priors against separation).
    """
    shift, precision = 0.0, 1.0 / prior_sd**2
    for _ in range(_STEPS):
        p = sigmoid(z + shift)
        slope = float(np.sum(y - p)) - precision * shift
        bend = float(np.sum(p * (1 - p))) + precision
        step = max(-_LONGEST_STEP, min(_LONGEST_STEP, slope / bend))
        shift += step
        if abs(step) < _SETTLED:
            break
    return shift


def sigmoid(z: Vector) -> Vector:
    """Turn log-odds into chances; never overflows.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    chances: Vector = 0.5 * (1.0 + np.tanh(0.5 * np.asarray(z)))
    return chances


def fit_class_biases(z: Matrix, y: Vector, *, prior_sd: float = PRIOR_SD) -> Vector:
    """Fit one bias for each class in softmax(z + b) to a site's own cases, by Newton's method.

    Each bias has the prior N(0, prior_sd²), so that a class without cases gets
    a finite one.

    Parameters
    ----------
    z : array of shape (n, classes), float64
        The model's logits. n may be 0; then all biases are 0.
    y : array of shape (n,), float64
        Index of each case's class.
    prior_sd : float
        Above 0, in log-odds.

    Returns
    -------
    array of shape (classes,), float64
        What to add to the logits; its sum is 0.

    Discloses
    ---------
    Nothing: the numbers stay at the site.

    Sources
    -------
    As `fit_intercept`; several classes: Alexandari et al., ICML 2020 (bias-only
    vector scaling).
    """
    classes = z.shape[1]
    biases, precision = np.zeros(classes), 1.0 / prior_sd**2
    seen = np.bincount(y.astype(np.intp), minlength=classes)
    for _ in range(_STEPS):
        p = softmax(z + biases)
        slope = seen - p.sum(axis=0) - precision * biases
        bend = np.diag(p.sum(axis=0) + precision) - p.T @ p
        step = np.clip(np.linalg.solve(bend, slope), -_LONGEST_STEP, _LONGEST_STEP)
        biases += step
        if np.abs(step).max() < _SETTLED:
            break
    return biases


def fit_shift(said: Vector, y: Vector, *, prior_sd: float = PRIOR_SD) -> float:
    """Fit b in prediction + b to a site's own numbers.

    The mean of the errors, drawn to 0 by a normal prior of `prior_sd` times
    their size: as much as a sixth of one case would.

    Parameters
    ----------
    said, y : array of shape (n,), float64
        Predicted and true numbers. n may be 0; then b is 0.
    prior_sd : float
        Above 0, in units of the errors' root mean square.

    Returns
    -------
    float
        In the unit of the numbers.

    Discloses
    ---------
    Nothing: the number stays at the site.
    """
    return float(np.sum(y - said)) / (len(y) + 1.0 / prior_sd**2)


def softmax(z: Matrix) -> Matrix:
    """Turn logits of shape (n, classes) into chances that sum to 1; never overflows.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    raised = np.exp(np.asarray(z, dtype=np.float64) - np.max(z, axis=1, keepdims=True))
    chances: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return chances

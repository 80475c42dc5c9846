"""Least squares for one site: descent for the shared model, the exact minimum for its own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from consilium.federation.contract import Matrix, Vector
from consilium.federation.recipes.tabular_logistic.descent import deal_batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of `recipe.toml`, typed."""

    learning_rate: float = 0.01
    batch_size: int = 16
    local_steps: int = 100
    proximal_mu: float = 0.0
    l2: float = 0.0
    scaling: str = "site"
    intercept: str = "shared"
    personal: str = "none"
    personal_lambda: float = 0.1


def descend(
    x: Matrix, y: Vector, start: Vector, *, settings: Settings, generator: np.random.Generator
) -> Vector:
    """Take `settings.local_steps` steps from `start`.

    Each step lowers half the mean squared error of one batch, plus
    μ/2 ‖w - start‖² (FedProx) and l2/2 ‖w‖² without the intercept.

    Parameters
    ----------
    x : array of shape (n, d), float64
        Inputs, without a column for the intercept. n is at least 1.
    y : array of shape (n,), float64
        The target, in its own unit: least squares need no scaling of it.
    start : array of shape (d + 1,), float64
        Weights, the intercept last.

    Returns
    -------
    array of shape (d + 1,), float64

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.

    Sources
    -------
    Li et al., MLSys 2020, arXiv:1812.06127 (proximal term, squared norm).
    """
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    shrink = np.full(len(start), settings.l2)
    shrink[-1] = 0.0
    weights = start.copy()
    batches = deal_batches(len(y), settings.batch_size, generator)
    # A learning rate may diverge; the output gate refuses what is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        for batch in islice(batches, settings.local_steps):
            rows = inputs[batch]
            slope = rows.T @ (rows @ weights - y[batch]) / len(batch)
            slope += settings.proximal_mu * (weights - start) + shrink * weights
            weights -= settings.learning_rate * slope
    return weights


def fit_near(x: Matrix, y: Vector, home: Vector, *, pull: float) -> Vector:
    """Find the least squares nearest to a model: Ditto's personal model, exactly.

    Minimises 1/2 of the mean squared error plus pull/2 ‖v - home‖² over the
    slopes, with a free intercept. So the pull leads from least squares of the
    site alone (0) to the global slopes with an intercept of the site's own.

    Parameters
    ----------
    x : array of shape (n, d), float64
    y : array of shape (n,), float64
    home : array of shape (d + 1,), float64
        The global weights, the intercept last; that one is not looked at.
    pull : float
        0 or more. At 0 the shortest of all solutions.

    Returns
    -------
    array of shape (d + 1,), float64

    Discloses
    ---------
    Nothing: the personal model stays at the site.

    Sources
    -------
    Li, Hu, Beirami, Smith, ICML 2021, arXiv:2012.04221, objective 2; for least
    squares its minimum has a closed form.
    """
    centre, level = x.mean(axis=0), float(y.mean())
    inside = x - centre
    bend = inside.T @ inside / len(y) + pull * np.eye(x.shape[1])
    lean = inside.T @ (y - level) / len(y) + pull * home[:-1]
    slopes = np.linalg.lstsq(bend, lean, rcond=None)[0]
    return np.append(slopes, level - centre @ slopes)


def mean_squared_error(x: Matrix, y: Vector, weights: Vector) -> float:
    """Return the mean squared error, in the target's unit squared.

    Discloses
    ---------
    Nothing by itself: one mean over all cases given.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean((x @ weights[:-1] + weights[-1] - y) ** 2))

"""Minibatch stochastic gradient descent for logistic regression, in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Matrix, Vector
from consilium.federation.noise.source import NoiseSource
from consilium.federation.noise.steps import Patients, logistic_gradients, noisy_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of `recipe.toml`, typed."""

    learning_rate: float = 0.01
    batch_size: int = 4
    local_steps: int = 100
    proximal_mu: float = 0.0
    l2: float = 0.0
    init: str = "uniform"
    scaling: str = "site"
    personal: str = "none"
    personal_lambda: float = 0.1
    clip: float = 0.0
    noise: float = 0.0
    rate: float = 0.2


def descend(
    x: Matrix,
    y: Vector,
    start: Vector,
    *,
    settings: Settings,
    generator: np.random.Generator,
    home: Vector | None = None,
) -> Vector:
    """Take `settings.local_steps` steps from `start`.

    Each step lowers the mean log loss of one batch, plus
    μ/2 ‖w - home‖² (FedProx) and l2/2 ‖w‖² without the intercept.

    Parameters
    ----------
    x : array of shape (n, d), float64
        Inputs, without a column for the intercept. n is at least 1.
    y : array of shape (n,), float64
        Labels, 0 or 1.
    start : array of shape (d + 1,), float64
        Weights, the intercept last.
    home : array of shape (d + 1,), float64, optional
        The weights that the proximal term pulls to; `start` if not given.

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
    goal = start if home is None else home
    batches = deal_batches(len(y), settings.batch_size, generator)
    # A learning rate may diverge; the output gate refuses what is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        for batch in islice(batches, settings.local_steps):
            rows = inputs[batch]
            error = 0.5 * (1.0 + np.tanh(0.5 * (rows @ weights))) - y[batch]
            slope = rows.T @ error / len(batch)
            if settings.proximal_mu:
                slope += settings.proximal_mu * (weights - goal)
            if settings.l2:
                slope += shrink * weights
            weights -= settings.learning_rate * slope
    return weights


def descend_with_noise(
    x: Matrix,
    y: Vector,
    start: Vector,
    *,
    patients: Patients,
    settings: Settings,
    source: NoiseSource,
) -> Vector:
    """Take `settings.local_steps` steps of which each hides every single patient.

    As `descend`, but who is in a step is drawn in secret, each patient's
    gradient is cut to `settings.clip`, and noise is added.

    Discloses
    ---------
    Nothing by itself. What the weights tell of a patient is bounded by the
    accountant of `gate.accounting`, pulls to `start` and to 0 included: they do
    not depend on patients.
    """
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    shrink = np.full(len(start), settings.l2)
    shrink[-1] = 0.0
    weights = start.copy()
    for _ in range(settings.local_steps):
        rows = patients.draw(settings.rate, source)
        slope = noisy_mean(
            logistic_gradients(inputs[rows], y[rows], weights),
            clip=settings.clip,
            noise=settings.noise,
            expected=settings.rate * patients.n,
            source=source,
        )
        slope = slope + settings.proximal_mu * (weights - start) + shrink * weights
        weights = weights - settings.learning_rate * slope
    return weights


def mean_log_loss(x: Matrix, y: Vector, weights: Vector) -> float:
    """Return the mean negative log likelihood, in nats.

    Discloses
    ---------
    Nothing by itself: one mean over all cases given.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        z = x @ weights[:-1] + weights[-1]
        return float(np.mean(np.logaddexp(0.0, z) - y * z))


def deal_batches(
    n: int, size: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Deal shuffled batches without end; each pass takes every case once.

    Discloses
    ---------
    Nothing: it sees numbers of rows.
    """
    while True:
        order = generator.permutation(n)
        for begin in range(0, n, size):
            yield order[begin : begin + size]

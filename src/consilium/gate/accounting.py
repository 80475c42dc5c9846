"""The accountant of noisy training: what all steps of a study cost together.

A step draws each patient with a chance `rate`, clips what each one contributes
and adds Gaussian noise of `noise` times the clip. The loss of all steps is the
Rényi divergence of the subsampled Gaussian mechanism, added over the steps and
turned into (epsilon, delta) at its best order. Every figure here is an upper
bound; neighbouring data sets differ by one patient.

Sources
-------
Mironov, "Rényi differential privacy", CSF 2017, arXiv:1702.07476. Mironov,
Talwar and Zhang, "Rényi differential privacy of the sampled Gaussian
mechanism", 2019, arXiv:1908.10530, theorems 4 and 5 and section 3.3. Balle et
al., "Hypothesis testing interpretations and Rényi differential privacy",
AISTATS 2020, arXiv:1905.09982, theorem 21 (from Rényi to epsilon and delta).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from consilium.kernel.errors import InputError

ORDERS = (
    *(1 + step / 10 for step in range(1, 100)),
    *(float(order) for order in range(11, 64)),
    *(64.0, 72.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 256.0, 384.0, 512.0),
)
"""Rényi orders that are tried; the best one counts."""

NOISES = (0.2, 1e4)
"""Least and greatest noise multiplier that is accounted for."""
MOST_STEPS = 10**9
MOST_DELTA = 0.1
"""Delta times the training cases of a hospital is at most this."""
_TAIL = 14.0
"""Standard deviations beyond which the integrand is below 1e-40 of its peak."""
_FINE = 8
"""Points of the grid in each standard deviation, or in each width of the mixture's bend."""
_EXACT = 1e-4
"""Relative width at which the search for a noise multiplier ends."""


def epsilon_of(*, rate: float, noise: float, steps: int, delta: float) -> float:
    """Return the privacy loss of so many steps together.

    Parameters
    ----------
    rate : float
        Chance of each patient to be in a step, above 0 and at most 1.
    noise : float
        Standard deviation of the noise in clips, within `NOISES`.
    steps : int
        All steps of all rounds; 0 costs nothing.
    delta : float
        Above 0 and below 1.

    Raises
    ------
    InputError
        `gate.bad_noise` for a value out of range.

    Examples
    --------
    >>> round(epsilon_of(rate=1 / 8, noise=1.0, steps=8, delta=1e-5), 2)
    3.79
    """
    _check(rate, noise, steps, delta)
    if steps == 0:
        return 0.0
    losses = [steps * loss for loss in _losses(rate, noise)]
    found = (_to_epsilon(order, loss, delta) for order, loss in zip(ORDERS, losses, strict=True))
    return max(0.0, min(found))


def noise_for(*, epsilon: float, rate: float, steps: int, delta: float) -> float:
    """Return the least noise multiplier, to four digits, with which the steps cost no more.

    Raises
    ------
    InputError
        `gate.bad_noise` for a value out of range, or when no noise of `NOISES`
        is enough.
    """
    low, high = NOISES[0], 1.0
    is_possible = math.isfinite(epsilon) and epsilon > 0

    def costs(noise: float) -> float:
        return epsilon_of(rate=rate, noise=noise, steps=steps, delta=delta)

    if not is_possible:
        raise InputError("gate.bad_noise", field="epsilon")
    # Little noise is slow to account for, so the search comes from above where it can.
    while costs(high) > epsilon:
        if high == NOISES[1]:
            raise InputError("gate.bad_noise", field="epsilon")
        low, high = high, min(2 * high, NOISES[1])
    if low == NOISES[0] and costs(low) <= epsilon:
        return low
    while high / low > 1 + _EXACT:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if costs(middle) <= epsilon else (middle, high)
    digits = 3 - math.floor(math.log10(high))
    return float(math.ceil(high * 10**digits) / 10**digits)


def renyi_loss(order: float, *, rate: float, noise: float) -> float:
    """Return the Rényi divergence of one step at an order above 1.

    The expectation of theorem 4, E[((1 - q) + q exp((2z - 1) / 2s²))^order] over
    z ~ N(0, s²), by the trapezoid rule in logarithms: the integrand is analytic
    and vanishes at both ends, so the rule's error vanishes exponentially.
    """
    if rate == 1.0:
        return order / (2 * noise**2)
    width = min(noise, noise**2)
    points = math.ceil((order + 2 * _TAIL * noise) / width * _FINE)
    z, step = np.linspace(-_TAIL * noise, order + _TAIL * noise, points, retstep=True)
    bend = math.log(rate) + (2 * z - 1) / (2 * noise**2)
    logs = order * np.logaddexp(math.log1p(-rate), bend) - z**2 / (2 * noise**2)
    peak = logs.max()
    total = peak + math.log(float(np.exp(logs - peak).sum()) * float(step))
    return max(0.0, float(total - math.log(noise * math.sqrt(2 * math.pi))) / (order - 1))


@lru_cache(maxsize=256)
def _losses(rate: float, noise: float) -> tuple[float, ...]:
    return tuple(renyi_loss(order, rate=rate, noise=noise) for order in ORDERS)


def _to_epsilon(order: float, loss: float, delta: float) -> float:
    rest = math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
    return loss + rest


def _check(rate: float, noise: float, steps: int, delta: float) -> None:
    ranges = {
        "rate": 0 < rate <= 1,
        "noise": NOISES[0] <= noise <= NOISES[1],
        "steps": 0 <= steps <= MOST_STEPS,
        "delta": 0 < delta < 1,
    }
    for field, is_within in ranges.items():
        if not is_within:
            raise InputError("gate.bad_noise", field=field)

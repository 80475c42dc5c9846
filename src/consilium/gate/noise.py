"""Discrete Laplace noise, drawn exactly.

Noise that is computed with floating-point numbers tells the value under it
through its last digits (Mironov, CCS 2012). Here everything is whole numbers
and fractions: figures are counted in whole units first, and the noise is a
whole number drawn by comparing whole random numbers.

Sources
-------
Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy",
NeurIPS 2020, arXiv:2004.00010, algorithms 1 and 2.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from fractions import Fraction

Draw = Callable[[int], int]
"""Draws a whole number from 0 to below the one given, each alike."""


def add_noise(
    value: int, *, sensitivity: int, epsilon: Fraction, draw: Draw = secrets.randbelow
) -> int:
    """Add discrete Laplace noise to a whole number.

    Parameters
    ----------
    value : int
        A count, or a total in whole units.
    sensitivity : int
        By how much one patient can change it, at least 1.
    epsilon : Fraction
        Privacy loss of this number, above 0.
    draw : callable, optional
        The system's secret generator; another one only in tests.

    Returns
    -------
    int
        `value` plus x, drawn with probability proportional to
        exp(-epsilon |x| / sensitivity).
    """
    return value + _discrete_laplace(Fraction(sensitivity) / epsilon, draw)


def _discrete_laplace(scale: Fraction, draw: Draw) -> int:
    """Draw x with probability proportional to exp(-|x| / scale)."""
    top, bottom = scale.numerator, scale.denominator
    while True:
        # A geometric number of whole `top`s and a rest within one, then their quotient.
        rest = draw(top)
        if not _bernoulli_exp(Fraction(rest, top), draw):
            continue
        wholes = 0
        while _bernoulli_exp(Fraction(1), draw):
            wholes += 1
        size = (rest + top * wholes) // bottom
        negative = draw(2) == 1
        if not (negative and size == 0):
            return -size if negative else size


def _bernoulli_exp(gamma: Fraction, draw: Draw) -> bool:
    """Say yes with probability exp(-gamma), for gamma within [0, 1]."""
    step = 1
    while _bernoulli(gamma / step, draw):
        step += 1
    return step % 2 == 1


def _bernoulli(chance: Fraction, draw: Draw) -> bool:
    return draw(chance.denominator) < chance.numerator

"""Noise: whole numbers, drawn exactly, with the spread that epsilon asks for."""

import math
import random
from fractions import Fraction

import pytest

from consilium.gate.noise import add_noise


def draws(epsilon: Fraction, *, number: int, sensitivity: int = 1) -> list[int]:
    draw = random.Random(5).randrange
    return [
        add_noise(100, sensitivity=sensitivity, epsilon=epsilon, draw=draw) - 100
        for _ in range(number)
    ]


def test_noise_has_the_discrete_laplace_distribution() -> None:
    found = draws(Fraction(1), number=8_000)
    ratio = math.exp(-1)
    for value in range(-3, 4):
        wanted = (1 - ratio) / (1 + ratio) * ratio ** abs(value)
        assert found.count(value) / len(found) == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize(("epsilon", "sensitivity"), [("0.5", 1), ("1", 3), ("2.25", 7)])
def test_a_smaller_epsilon_or_a_greater_sensitivity_spreads_it(
    epsilon: str, sensitivity: int
) -> None:
    found = draws(Fraction(epsilon), number=3_000, sensitivity=sensitivity)
    ratio = math.exp(-float(epsilon) / sensitivity)
    wanted = 2 * ratio / (1 - ratio) ** 2
    assert sum(one * one for one in found) / len(found) == pytest.approx(wanted, rel=0.2)
    assert sum(found) / len(found) == pytest.approx(0, abs=4 * math.sqrt(wanted / len(found)))

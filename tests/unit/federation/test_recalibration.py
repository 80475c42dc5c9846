"""The site's own intercept."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from consilium.federation.recalibration import (
    fit_class_biases,
    fit_intercept,
    fit_shift,
    sigmoid,
    softmax,
)


def test_the_fit_is_where_the_penalised_likelihood_is_flat() -> None:
    generator = np.random.default_rng(0)
    z = generator.normal(size=80)
    y = (generator.random(80) < sigmoid(z + 1.2)).astype(float)
    b = fit_intercept(z, y, prior_sd=2.5)
    assert np.sum(y - sigmoid(z + b)) - b / 2.5**2 == pytest.approx(0.0, abs=1e-8)


def test_with_many_cases_the_prior_does_not_matter() -> None:
    generator = np.random.default_rng(1)
    z = generator.normal(size=20_000)
    y = (generator.random(20_000) < sigmoid(z - 0.7)).astype(float)
    assert fit_intercept(z, y) == pytest.approx(-0.7, abs=0.05)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_site_of_one_class_gets_a_finite_shift_towards_it(label: float) -> None:
    b = fit_intercept(np.zeros(30), np.full(30, label))
    assert np.isfinite(b)
    assert np.sign(b) == (1 if label else -1)
    assert 1 < abs(b) < 10


def test_predictions_far_from_the_truth_do_not_break_the_fit() -> None:
    b = fit_intercept(np.full(50, 400.0), np.zeros(50))
    assert np.isfinite(b)
    assert b < -50


def test_without_cases_nothing_is_shifted() -> None:
    assert fit_intercept(np.empty(0), np.empty(0)) == 0.0


def test_a_model_that_is_right_already_is_left_alone() -> None:
    y = np.array([0.0, 1.0] * 50)
    assert fit_intercept(np.zeros(100), y) == pytest.approx(0.0, abs=1e-9)


def test_chances_never_overflow() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e6, 0.0, 1e6])), [0.0, 0.5, 1.0])


def test_class_biases_are_where_the_penalised_likelihood_is_greatest() -> None:
    generator = np.random.default_rng(0)
    z = generator.normal(size=(150, 4))
    y = generator.choice(4, size=150, p=[0.1, 0.2, 0.3, 0.4]).astype(float)

    def loss(b: np.ndarray) -> float:
        return float(
            -log_softmax(z + b, axis=1)[np.arange(150), y.astype(int)].sum()
            + (b**2).sum() / (2 * 2.5**2)
        )

    found = fit_class_biases(z, y)
    assert found == pytest.approx(minimize(loss, np.zeros(4), tol=1e-10).x, abs=1e-4)
    assert found.sum() == pytest.approx(0.0, abs=1e-8)


def test_a_class_that_a_site_never_saw_gets_a_finite_bias_against_it() -> None:
    biases = fit_class_biases(np.zeros((40, 3)), np.array([0.0, 1.0] * 20))
    assert np.isfinite(biases).all()
    assert biases[2] < -1
    assert fit_class_biases(np.empty((0, 3)), np.empty(0)) == pytest.approx(np.zeros(3))


def test_a_shift_is_the_mean_error_drawn_a_little_to_zero() -> None:
    y = np.array([1.0, 2.0, 6.0])
    assert fit_shift(np.zeros(3), y) == pytest.approx(9 / (3 + 0.16))
    assert fit_shift(np.empty(0), np.empty(0)) == 0.0
    assert fit_shift(y, y) == 0.0


def test_softmax_never_overflows() -> None:
    assert softmax(np.array([[1e4, 0.0, -1e4]])) == pytest.approx(np.array([[1.0, 0.0, 0.0]]))
    assert softmax(np.empty((0, 3))).shape == (0, 3)

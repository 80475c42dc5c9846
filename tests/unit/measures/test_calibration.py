"""Calibration against scikit-learn and scipy, by hand, and where it has no answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.special import expit, logit  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from consilium.kernel.errors import InputError
from consilium.measures import (
    brier,
    calibration_bins,
    calibration_error,
    calibration_intercept,
    calibration_slope,
    log_loss,
)
from consilium.measures.logistic import fit_recalibration, log_odds


def cases(
    seed: int, n: int = 300, *, shift: float = 0.4, slope: float = 0.7
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    z = generator.normal(size=n) * 1.5
    return (generator.random(n) < expit(shift + slope * z)).astype(float), expit(z)


@pytest.mark.parametrize("seed", range(4))
def test_brier_and_log_loss_are_those_of_scikit_learn(seed: int) -> None:
    y, p = cases(seed)
    assert brier(y, p).value == pytest.approx(brier_score_loss(y, p), abs=1e-14)
    assert log_loss(y, p).value == pytest.approx(sklearn_log_loss(y, p), abs=1e-12)


def test_a_sure_and_wrong_prediction_has_a_finite_log_loss() -> None:
    assert log_loss([0, 1], [1.0, 0.0]).value == pytest.approx(34.54, abs=0.01)
    assert brier([0, 1], [1.0, 0.0]).value == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_slope_is_that_of_an_unpenalised_regression(seed: int) -> None:
    y, p = cases(seed)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], y)
    assert calibration_slope(y, p).value == pytest.approx(float(oracle.coef_[0, 0]), abs=2e-4)


@pytest.mark.parametrize("seed", range(4))
def test_intercept_is_the_best_shift_of_the_log_odds(seed: int) -> None:
    y, p = cases(seed)

    def loss(a: np.ndarray) -> float:
        eta = logit(p) + a[0]
        return float(np.sum(np.logaddexp(0, eta) - y * eta))

    best = minimize(loss, np.zeros(1), tol=1e-12).x[0]
    assert calibration_intercept(y, p).value == pytest.approx(float(best), abs=2e-4)


def test_right_predictions_have_slope_one_and_intercept_zero() -> None:
    y, p = cases(3, 200_000, shift=0, slope=1)
    assert calibration_slope(y, p).value == pytest.approx(1, abs=0.02)
    assert calibration_intercept(y, p).value == pytest.approx(0, abs=0.02)


def test_separated_classes_keep_a_finite_slope() -> None:
    y = np.array([0] * 20 + [1] * 20)
    p = np.where(y > 0, 0.7, 0.3)
    value = calibration_slope(y, p).value
    assert value is not None
    assert 3 < value < 30


def test_extreme_predictions_settle() -> None:
    y = np.array([0, 1, 0, 1, 1, 0])
    p = np.array([0, 1, 1, 0, 1, 0.0])
    assert calibration_slope(y, p).value == pytest.approx(np.log(2) / logit(1 - 1e-9), rel=0.02)
    reversed_sure = calibration_slope([0, 1] * 50, [1.0, 0.0] * 50)
    assert reversed_sure.value is not None
    assert reversed_sure.value < 0


@pytest.mark.parametrize("measure", [calibration_slope, calibration_intercept])
def test_one_class_has_no_calibration_line(measure: object) -> None:
    assert measure([1, 1, 1], [0.2, 0.4, 0.6]).reason == "measures.one_class"  # type: ignore[operator]


def test_equal_predictions_have_no_slope_but_an_intercept() -> None:
    y = [0, 1, 1, 1]
    assert calibration_slope(y, [0.5] * 4).reason == "measures.no_spread"
    assert calibration_intercept(y, [0.5] * 4).value == pytest.approx(np.log(3), abs=2e-3)


def test_a_fit_of_many_rows_is_the_fit_of_each() -> None:
    y, p = cases(1, 60)
    weights = np.random.default_rng(2).integers(0, 4, size=(25, 60)).astype(float)
    weights[3] = 0
    weights[4] = y  # one class only
    together = fit_recalibration(y, log_odds(p), weights, slope=True)
    alone = [fit_recalibration(y, log_odds(p), row[None], slope=True)[0] for row in weights]
    assert np.allclose(together, alone, equal_nan=True, atol=1e-9)
    assert np.isnan(together[3:5]).all()
    assert np.isfinite(np.delete(together, [3, 4], axis=0)).all()


def test_bins_hold_all_cases_and_at_least_the_minimum() -> None:
    y, p = cases(5, 137)
    bins = calibration_bins(y, p, bins=10, minimum=10)
    assert sum(one.n for one in bins) == 137
    assert min(one.n for one in bins) >= 10
    assert len(bins) == 10
    assert [one.predicted for one in bins] == sorted(one.predicted for one in bins)
    assert sum(one.n * one.predicted for one in bins) == pytest.approx(p.sum())
    assert sum(one.n * one.observed for one in bins) == pytest.approx(y.sum())


def test_equal_predictions_stay_in_one_bin() -> None:
    y = np.array([0, 1] * 20)
    p = np.repeat([0.2, 0.6], 20)
    bins = calibration_bins(y, p, bins=7, minimum=5)
    assert [(round(one.predicted, 6), one.n) for one in bins] == [(0.2, 20), (0.6, 20)]
    assert [one.n for one in calibration_bins(y, np.full(40, 0.3), bins=7, minimum=5)] == [40]


def test_too_few_cases_have_no_bin() -> None:
    assert calibration_bins([0, 1], [0.5, 0.5], minimum=3) == ()
    assert calibration_bins([], []) == ()


def test_the_calibration_error_is_that_of_a_sum_by_hand() -> None:
    # Bins [0, .5) and [.5, 1]: means .2 against 1/3, and .8 against 1/2.
    y, p = [0, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.6, 1.0]
    expected = 3 / 5 * abs(0.2 - 1 / 3) + 2 / 5 * abs(0.8 - 0.5)
    assert calibration_error(y, p, bins=2).value == pytest.approx(expected)
    assert calibration_error(y, p, bins=1).value == pytest.approx(abs(0.44 - 0.4))


@pytest.mark.parametrize("bins", [1, 3, 10, 15])
def test_the_calibration_error_is_its_definition_bin_by_bin(bins: int) -> None:
    generator = np.random.default_rng(bins)
    y, p = generator.integers(0, 2, 200), generator.random(200)
    total = 0.0
    for one in range(bins):
        inside = (p >= one / bins) & (p < (one + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert calibration_error(y, p, bins=bins).value == pytest.approx(total)


def test_a_calibration_error_needs_a_bin() -> None:
    with pytest.raises(InputError, match="at least one bin"):
        calibration_error([0, 1], [0.1, 0.9], bins=0)
    assert calibration_error([], []).reason == "measures.too_few_cases"

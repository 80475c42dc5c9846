"""How often intervals hold the truth, in small simulations of known truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit  # type: ignore[import-untyped]
from scipy.stats import norm  # type: ignore[import-untyped]

from consilium.measures import (
    compare,
    concordance_index,
    delong,
    kaplan_meier,
    measure,
    measure_errors,
)

pytestmark = pytest.mark.slow

REPEATS = 300
Ends = tuple[float | None, float | None]


def coverage(truth: float, interval: Callable[[np.random.Generator], Ends]) -> float:
    held = 0
    for seed in range(REPEATS):
        low, high = interval(np.random.default_rng(seed))
        held += low is not None and high is not None and low <= truth <= high
    return held / REPEATS


def binormal(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw two correlated scores of AUROC norm.cdf(1 / sqrt 2) and norm.cdf(.6 / sqrt 2)."""
    y = np.arange(160) % 2
    noise = generator.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 160)
    return y.astype(float), expit(noise[:, 0] + y), expit(noise[:, 1] + 0.6 * y)


GAIN = float(norm.cdf(1 / math.sqrt(2)) - norm.cdf(0.6 / math.sqrt(2)))


def test_delongs_interval_holds_the_true_difference() -> None:
    def interval(generator: np.random.Generator) -> Ends:
        found = delong(*binormal(generator), group=np.arange(160)).difference
        return found.low, found.high

    assert 0.92 <= coverage(GAIN, interval) <= 0.98


def test_the_paired_bootstrap_holds_the_true_difference() -> None:
    def interval(generator: np.random.Generator) -> Ends:
        y, first, second = binormal(generator)
        found = compare(
            y, first, second, group=np.arange(160), seed=1, metrics=["auroc"], resamples=300
        )["auroc"].difference
        return found.low, found.high

    assert 0.91 <= coverage(GAIN, interval) <= 0.98


def test_delong_and_the_paired_bootstrap_give_like_intervals() -> None:
    y, first, second = binormal(np.random.default_rng(3))
    one = delong(y, first, second, group=np.arange(160)).difference
    other = compare(
        y, first, second, group=np.arange(160), seed=1, metrics=["auroc"], resamples=4000
    )["auroc"].difference
    assert [other.low, other.high] == pytest.approx([one.low, one.high], abs=0.012)


def test_under_no_difference_one_comparison_in_twenty_is_called_one() -> None:
    called = 0
    for seed in range(REPEATS):
        generator = np.random.default_rng(seed)
        y = np.arange(160) % 2
        noise = generator.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 160)
        first, second = expit(noise[:, 0] + y), expit(noise[:, 1] + y)
        found = delong(y, first, second, group=np.arange(160))
        called += found.p_value is not None and found.p_value < 0.05
    assert 0.02 <= called / REPEATS <= 0.085


def test_intervals_over_patients_hold_where_those_over_cases_do_not() -> None:
    def interval(generator: np.random.Generator, *, whole: bool) -> Ends:
        patients = np.repeat(np.arange(40), 5)
        error = generator.normal(size=40)[patients] + 0.3 * generator.normal(size=200)
        group = patients if whole else np.arange(200)
        found = measure_errors(np.zeros(200), error, group=group, seed=1, resamples=300)
        return found["mean_error"].low, found["mean_error"].high

    assert coverage(0.0, lambda generator: interval(generator, whole=True)) >= 0.9
    assert coverage(0.0, lambda generator: interval(generator, whole=False)) <= 0.75


def test_kaplan_meiers_interval_holds_the_true_share() -> None:
    def interval(generator: np.random.Generator) -> Ends:
        life, follow = generator.exponential(1, 80), generator.exponential(2, 80)
        points = kaplan_meier(np.minimum(life, follow), life <= follow)
        last = [one for one in points if one.time <= 0.7][-1]
        return last.low, last.high

    assert 0.92 <= coverage(math.exp(-0.7), interval) <= 0.98


def test_the_interval_of_the_concordance_index_holds_its_true_value() -> None:
    # Exponential times of rate exp(x), x = +-1/2, no censoring: pairs of like x tie.
    earlier = math.e / (1 + math.e)

    def interval(generator: np.random.Generator) -> Ends:
        x = np.where(np.arange(80) % 2, 0.5, -0.5)
        time = generator.exponential(np.exp(-x))
        found = concordance_index(time, np.ones(80), x, group=np.arange(80), seed=1, resamples=200)
        return found.low, found.high

    # Of 80 * 79 / 2 pairs 40 * 40 differ in x; the others count half.
    truth = (1600 * earlier + (3160 - 1600) / 2) / 3160
    # Measured over 1500 repeats: .929 at 80 cases, .936 at 200; here the chance error is .015.
    assert 0.885 <= coverage(truth, interval) <= 0.98


def test_slope_and_intercept_of_a_calibrated_model_hold_one_and_nought() -> None:
    def interval(name: str, generator: np.random.Generator) -> Ends:
        z = 1.5 * generator.normal(size=250)
        y = (generator.random(250) < expit(z)).astype(float)
        found = measure(y, expit(z), group=np.arange(250), seed=1, metrics=[name], resamples=200)[
            name
        ]
        return found.low, found.high

    for name, truth in (("calibration_slope", 1.0), ("calibration_intercept", 0.0)):
        held = coverage(truth, lambda generator, name=name: interval(name, generator))
        assert 0.9 <= held <= 0.985

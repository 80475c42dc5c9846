"""What holds for any labels and predictions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_auc_score

from consilium.measures import (
    accuracy,
    auroc,
    brier,
    calibration_bins,
    calibration_intercept,
    calibration_slope,
    log_loss,
    measure,
)

Cases = tuple[np.ndarray, np.ndarray]


@st.composite
def cases(draw: st.DrawFn, least: int = 1) -> Cases:
    n = draw(st.integers(least, 40))
    y = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])))
    # Steps of 1/64 make ties likely and keep monotone maps monotone in floating point.
    p = draw(arrays.arrays(np.int64, n, elements=st.integers(0, 64))) / 64
    return y, p


@given(cases())
def test_auroc_sees_only_the_order(drawn: Cases) -> None:
    y, p = drawn
    assert auroc(y, p**3).value == auroc(y, p).value
    assert auroc(y, 0.25 + p / 2) == auroc(y, p)


@given(cases())
def test_turning_the_classes_round_turns_auroc_round(drawn: Cases) -> None:
    y, p = drawn
    there, back = auroc(y, p).value, auroc(1 - y, p).value
    if there is None:
        assert back is None
        assert y.sum() in (0, y.size)
    else:
        assert back is not None
        assert abs(there + back - 1) < 1e-12
        assert abs(there - roc_auc_score(y, p)) < 1e-12


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_cases_does_not_matter(drawn: Cases, random: object) -> None:
    y, p = drawn
    place = np.random.default_rng(1).permutation(y.size)
    for figure in (auroc, accuracy, brier, log_loss, calibration_slope, calibration_intercept):
        first, second = figure(y, p).value, figure(y[place], p[place]).value
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            assert abs(first - second) <= 1e-6 * max(1, abs(first))


@given(cases())
def test_every_figure_is_finite_and_in_its_bounds_or_says_why_not(drawn: Cases) -> None:
    y, p = drawn
    for figure in (auroc, accuracy, brier, log_loss, calibration_slope, calibration_intercept):
        one = figure(y, p)
        assert (one.value is None) != (one.reason is None)
        if one.value is not None:
            assert np.isfinite(one.value)
            if figure in (auroc, accuracy, brier):
                assert 0 <= one.value <= 1


@given(cases(), st.integers(1, 12), st.integers(1, 20))
def test_bins_lose_no_case_and_respect_the_minimum(drawn: Cases, bins: int, least: int) -> None:
    y, p = drawn
    found = calibration_bins(y, p, bins=bins, minimum=least)
    if y.size < least:
        assert found == ()
    else:
        assert sum(one.n for one in found) == y.size
        assert all(one.n >= least for one in found)
        assert len(found) <= bins
        assert abs(sum(one.n * one.observed for one in found) - y.sum()) < 1e-9


@settings(deadline=None, max_examples=60)
@given(cases(), st.integers(0, 2**32 - 1), st.data())
def test_intervals_are_ordered_and_repeatable(drawn: Cases, seed: int, data: st.DataObject) -> None:
    y, p = drawn
    group = data.draw(arrays.arrays(np.int64, y.size, elements=st.integers(0, 9)))
    found = measure(y, p, group=group, seed=seed, resamples=50)
    assert found == measure(y, p, group=group, seed=seed, resamples=50)
    for one in found.values():
        assert (one.low is None) == (one.high is None)
        assert (one.low is None) == (one.reason is not None)
        if one.low is not None and one.high is not None:
            assert one.low <= one.high
        assert 0 <= one.skipped <= 50

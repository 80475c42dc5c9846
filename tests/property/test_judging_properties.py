"""What holds for any comparison, curve, concordance, survival or overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from consilium.measures import (
    Measurement,
    ModelComparison,
    brier_at,
    calibration_error,
    compare,
    concordance_index,
    decision_curve,
    delong,
    dice,
    holm,
    kaplan_meier,
    log_rank,
    mcnemar,
    measure_classes,
    measure_errors,
    wilcoxon,
)

Column = np.ndarray
FEW = settings(deadline=None, max_examples=40)
QUICK = settings(deadline=None, max_examples=20)


def chances(n: int) -> st.SearchStrategy[Column]:
    # Steps of 1/64 make ties likely and keep monotone maps monotone in floating point.
    whole = arrays.arrays(np.int64, n, elements=st.integers(0, 64))
    return whole.map(lambda drawn: drawn / 64)


def choices(n: int, *values: int) -> st.SearchStrategy[Column]:
    return arrays.arrays(np.float64, n, elements=st.sampled_from([float(one) for one in values]))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Column, Column, Column]:
    n = draw(st.integers(1, 25))
    return draw(choices(n, 0, 1)), draw(chances(n)), draw(chances(n))


@st.composite
def lives(draw: st.DrawFn) -> tuple[Column, Column, Column]:
    n = draw(st.integers(1, 25))
    times = draw(arrays.arrays(np.int64, n, elements=st.integers(0, 12)))
    return times.astype(float), draw(choices(n, 0, 1)), draw(chances(n))


def is_whole(one: Measurement) -> bool:
    """Say whether a figure is finite, or has a reason."""
    numbers = [number for number in (one.value, one.low, one.high) if number is not None]
    return bool(np.isfinite(numbers).all()) and (one.value is not None or one.reason is not None)


def is_swapped(there: ModelComparison, back: ModelComparison) -> None:
    assert is_whole(there.difference)
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.first, there.second) == (back.second, back.first)
    if there.difference.value is not None and back.difference.value is not None:
        assert there.difference.value == pytest.approx(-back.difference.value)
    if there.difference.low is not None and back.difference.high is not None:
        assert there.difference.low == pytest.approx(-back.difference.high)
    if there.p_value is not None:
        assert 0 <= there.p_value <= 1


@QUICK
@given(pairs())
def test_models_that_change_places_change_the_sign(drawn: tuple[Column, Column, Column]) -> None:
    y, first, second = drawn
    group = np.arange(y.size)
    for test in (delong, mcnemar):
        is_swapped(test(y, first, second, group=group), test(y, second, first, group=group))
    is_swapped(wilcoxon(first, second, group=group), wilcoxon(second, first, group=group))
    there = compare(y, first, second, group=group, seed=3, metrics=["auroc", "brier"], resamples=40)
    back = compare(y, second, first, group=group, seed=3, metrics=["auroc", "brier"], resamples=40)
    for name in there:
        is_swapped(there[name], back[name])


@QUICK
@given(pairs())
def test_delong_sees_only_the_order(drawn: tuple[Column, Column, Column]) -> None:
    y, first, second = drawn
    group = np.arange(y.size)
    assert delong(y, first**3, 0.25 + second / 2, group=group) == delong(
        y, first, second, group=group
    )


@FEW
@given(pairs(), st.integers(1, 12))
def test_a_net_benefit_lies_between_its_bounds(
    drawn: tuple[Column, Column, Column], step: int
) -> None:
    y, p, _ = drawn
    threshold = step / 13
    (point,) = decision_curve(
        y, p, group=np.arange(y.size), seed=0, thresholds=[threshold], resamples=5
    )
    worst = -(1 - y.mean()) * threshold / (1 - threshold)
    assert point.model.value is not None
    assert worst - 1e-12 <= point.model.value <= y.mean() + 1e-12
    assert is_whole(point.treat_all)


@FEW
@given(pairs(), st.integers(1, 15))
def test_the_calibration_error_is_at_least_the_distance_of_the_means(
    drawn: tuple[Column, Column, Column], bins: int
) -> None:
    y, p, _ = drawn
    found = calibration_error(y, p, bins=bins).value
    assert found is not None
    assert abs(p.mean() - y.mean()) - 1e-12 <= found <= 1


@QUICK
@given(lives())
def test_concordance_sees_only_the_order_and_turns_with_it(
    drawn: tuple[Column, Column, Column],
) -> None:
    time, event, risk = drawn
    group = np.arange(time.size)

    def index(times: Column, risks: Column) -> Measurement:
        return concordance_index(times, event, risks, group=group, seed=0, resamples=10)

    there = index(time, risk)
    assert is_whole(there)
    assert index(time**2, risk**3) == there
    back = index(time, -risk)
    if there.value is not None and back.value is not None:
        assert 0 <= there.value <= 1
        assert there.value + back.value == pytest.approx(1)


@FEW
@given(lives())
def test_survival_falls_from_one_and_its_interval_holds_it(
    drawn: tuple[Column, Column, Column],
) -> None:
    time, event, survival = drawn
    last = 1.0
    for one in kaplan_meier(time, event):
        assert 0 <= one.survival < last
        last = one.survival
        if one.low is not None and one.high is not None:
            assert 0 <= one.low <= one.survival <= one.high <= 1
    assert sum(one.events for one in kaplan_meier(time, event)) == event.sum()
    assert is_whole(brier_at(time, event, survival, at=4))


@QUICK
@given(lives(), st.data())
def test_the_log_rank_test_sees_neither_names_nor_the_scale_of_time(
    drawn: tuple[Column, Column, Column], data: st.DataObject
) -> None:
    time, event, _ = drawn
    group = data.draw(choices(time.size, 0, 1, 2))
    found = log_rank(time, event, group=group)
    other = log_rank(7 * time, event, group=2 - group)
    assert found.reason == other.reason
    assert sum(found.observed.values()) == event.sum()
    assert sum(found.expected.values()) == pytest.approx(event.sum())
    if found.statistic is not None and found.p_value is not None:
        assert found.statistic >= 0
        assert 0 <= found.p_value <= 1
        assert other.statistic == pytest.approx(found.statistic, rel=1e-6, abs=1e-9)


@FEW
@given(st.integers(1, 30), st.data())
def test_dice_does_not_ask_which_mask_is_the_true_one(n: int, data: st.DataObject) -> None:
    truth, drawn = data.draw(choices(n, 0, 1)), data.draw(choices(n, 0, 1))
    found = dice(truth, drawn)
    assert found == dice(drawn, truth)
    assert (found.value is None) == (not truth.any() and not drawn.any())
    assert found.value is None or 0 <= found.value <= 1


@QUICK
@given(st.integers(1, 20), st.data())
def test_the_names_of_classes_do_not_matter(n: int, data: st.DataObject) -> None:
    y = data.draw(choices(n, 0, 1, 2))
    raw = data.draw(arrays.arrays(np.float64, (n, 3), elements=st.integers(1, 50)))
    p = raw / raw.sum(axis=1, keepdims=True)
    found = measure_classes(y, p, group=np.arange(n), seed=0, resamples=10)
    other = measure_classes(2 - y, p[:, ::-1], group=np.arange(n), seed=0, resamples=10)
    for name, one in found.items():
        assert is_whole(one)
        assert one.value is None or 0 <= one.value <= 1
        if name == "auroc_macro":  # with tied chances the first class is called
            assert other[name].value == pytest.approx(one.value)


@FEW
@given(st.integers(1, 20), st.data())
def test_the_mean_absolute_error_is_at_most_the_root_mean_square(
    n: int, data: st.DataObject
) -> None:
    y, said = data.draw(chances(n)), data.draw(chances(n))
    found = measure_errors(y, said, group=np.arange(n), seed=0, resamples=10)
    mae, rmse, lean = (found[name].value for name in ("mae", "rmse", "mean_error"))
    assert mae is not None
    assert rmse is not None
    assert lean is not None
    assert abs(lean) - 1e-12 <= mae <= rmse + 1e-12


@FEW
@given(st.lists(st.integers(0, 100).map(lambda one: one / 100), max_size=8))
def test_holm_rejects_what_the_stepwise_procedure_rejects(p_values: list[float]) -> None:
    named = {str(place): p for place, p in enumerate(p_values)}
    adjusted = holm({**named})
    for level in (0.015, 0.055, 0.205):
        rejected = set()
        for place, (p, name) in enumerate(sorted((p, name) for name, p in named.items())):
            if p * (len(named) - place) > level:
                break
            rejected.add(name)
        assert {name for name, p in adjusted.items() if p is not None and p <= level} == rejected

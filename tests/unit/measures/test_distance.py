"""Errors of predicted numbers against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from consilium.kernel.errors import InputError
from consilium.measures import measure_errors, measure_mean


def test_figures_and_intervals_are_those_of_the_slow_way() -> None:
    generator = np.random.default_rng(0)
    y, said = generator.normal(size=(2, 80))
    found = measure_errors(y, said, group=np.arange(80), seed=4, resamples=200)
    draws = np.random.default_rng(4).integers(0, 80, size=(200, 80))
    for name, slow in (("mae", mean_absolute_error), ("rmse", root_mean_squared_error)):
        assert found[name].value == pytest.approx(slow(y, said))
        ends = np.quantile([slow(y[row], said[row]) for row in draws], [0.025, 0.975])
        assert [found[name].low, found[name].high] == pytest.approx(ends)
    assert found["mean_error"].value == pytest.approx(np.mean(said - y))


def test_patients_are_drawn_whole() -> None:
    generator = np.random.default_rng(1)
    y, said = generator.normal(size=(2, 30))
    alone = measure_errors(y, said, group=np.arange(30), seed=4)
    copied = measure_errors(
        np.repeat(y, 5), np.repeat(said, 5), group=np.repeat(np.arange(30), 5), seed=4
    )
    assert copied["mae"].low == pytest.approx(alone["mae"].low)
    assert copied["rmse"].high == pytest.approx(alone["rmse"].high)


def test_no_case_has_no_error_and_one_patient_no_interval() -> None:
    empty = measure_errors([], [], group=[], seed=0)
    assert {one.reason for one in empty.values()} == {"measures.too_few_cases"}
    lone = measure_errors([1.0], [3.0], group=[0], seed=0)
    assert lone["mae"].value == 2
    assert lone["mae"].reason == "measures.too_few_patients"


@pytest.mark.parametrize("said", [[1.0], [1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]]])
def test_what_is_no_pair_of_finite_columns_is_refused(said: object) -> None:
    with pytest.raises(InputError, match="finite numbers"):
        measure_errors([1.0, 2.0], said, group=[0, 1], seed=0)  # type: ignore[arg-type]


def test_a_mean_leaves_undefined_cases_out() -> None:
    found = measure_mean([0.5, np.nan, 0.7, 0.9], group=[0, 1, 2, 3], seed=0)
    assert found.value == pytest.approx(0.7)
    assert found.n == 3
    assert found == measure_mean([0.5, 0.7, 0.9], group=[0, 2, 3], seed=0)
    assert measure_mean([np.nan], group=[0], seed=0).reason == "measures.too_few_cases"

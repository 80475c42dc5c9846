"""Differences between models: the same draws for both, and several comparisons at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score

from consilium.kernel.errors import InputError
from consilium.measures import METRICS, ON_REQUEST, compare, compare_figures, holm, prepare_errors

Three = tuple[np.ndarray, np.ndarray, np.ndarray]


def cases(seed: int, n: int = 120, apart: float = 1.0) -> Three:
    generator = np.random.default_rng(seed)
    z = generator.normal(size=n)
    y = (generator.random(n) < expit(2 * z)).astype(float)
    return y, expit(z + 0.3 * generator.normal(size=n)), expit(z + apart * generator.normal(size=n))


def test_the_interval_is_the_percentiles_of_differences_done_the_slow_way() -> None:
    y, first, second = cases(0)
    group = np.arange(120)
    found = compare(y, first, second, group=group, seed=5, metrics=["auroc"], resamples=200)
    one = found["auroc"]
    draws = np.random.default_rng(5).integers(0, 120, size=(200, 120))
    slow = np.array(
        [roc_auc_score(y[row], first[row]) - roc_auc_score(y[row], second[row]) for row in draws]
    )
    assert one.difference.value == pytest.approx(roc_auc_score(y, first) - roc_auc_score(y, second))
    assert [one.difference.low, one.difference.high] == pytest.approx(
        np.quantile(slow, [0.025, 0.975])
    )
    assert one.p_value == pytest.approx(2 * (min(np.sum(slow <= 0), np.sum(slow >= 0)) + 1) / 201)
    assert one.method == "bootstrap"


def test_every_figure_can_be_compared() -> None:
    y, first, second = cases(1)
    names = [*METRICS, *ON_REQUEST]
    found = compare(y, first, second, group=np.arange(120), seed=0, metrics=names, resamples=50)
    assert list(found) == names
    for one in found.values():
        assert one.first is not None
        assert one.second is not None
        assert one.difference.value == pytest.approx(one.first - one.second)
        assert one.p_value is not None
        assert one.as_record()["p_value"] == one.p_value


def test_a_paired_interval_is_narrower_than_that_of_unpaired_patients() -> None:
    y, first, _ = cases(2, 300)
    second = expit(np.log(first / (1 - first)) * 0.9)
    found = compare(y, first, second, group=np.arange(300), seed=0, metrics=["brier"])["brier"]
    assert found.difference.low is not None
    assert found.difference.high is not None
    unpaired = 2 * 1.96 * np.sqrt(2 * np.var((first - y) ** 2) / 300)
    assert found.difference.high - found.difference.low < 0.3 * unpaired


def test_a_model_does_not_differ_from_itself() -> None:
    y, first, _ = cases(3)
    found = compare(y, first, first, group=np.arange(120), seed=0)
    for one in found.values():
        assert (one.difference.value, one.difference.low, one.difference.high) == (0, 0, 0)
        assert one.p_value == 1


def test_patients_are_drawn_whole() -> None:
    y, first, second = cases(4, 40)
    alone = compare(y, first, second, group=np.arange(40), seed=1, metrics=["auroc"])
    many = [np.repeat(column, 6) for column in (y, first, second)]
    copied = compare(*many, group=np.repeat(np.arange(40), 6), seed=1, metrics=["auroc"])
    assert copied["auroc"].p_value == alone["auroc"].p_value
    assert copied["auroc"].difference.low == pytest.approx(alone["auroc"].difference.low)


def test_what_is_undefined_in_one_is_not_compared() -> None:
    found = compare([1, 1], [0.1, 0.2], [0.3, 0.4], group=[0, 1], seed=0)
    assert found["auroc"].difference.reason == "measures.one_class"
    assert found["auroc"].p_value is None
    assert found["brier"].p_value is not None
    lone = compare([1, 0], [0.6, 0.2], [0.3, 0.4], group=[7, 7], seed=0)["auroc"]
    assert (lone.first, lone.second, lone.difference.value) == (1, 0, 1)
    assert (lone.difference.reason, lone.p_value) == ("measures.too_few_patients", None)
    empty = compare([], [], [], group=[], seed=0)["brier"]
    assert empty.difference.reason == "measures.too_few_cases"


def test_too_few_defined_draws_give_neither_interval_nor_test() -> None:
    y = [1.0, 0.0, 0.0, 0.0]
    found = compare(y, [0.5, 0.1, 0.2, 0.9], y, group=[0, 1, 1, 1], seed=0, resamples=2000)["auroc"]
    assert found.difference.skipped > 900
    assert (found.p_value is None) == (found.difference.skipped > 1000)


def test_figures_over_other_cases_or_of_other_names_are_refused() -> None:
    one, other = prepare_errors([1, 2], [1, 1]), prepare_errors([1, 2, 3], [1, 1, 1])
    with pytest.raises(InputError, match="same cases"):
        compare_figures(one, other, group=[0, 1], seed=0)
    with pytest.raises(InputError, match="same cases"):
        compare_figures(one, {"mae": one["mae"]}, group=[0, 1], seed=0)
    with pytest.raises(InputError):
        compare_figures(one, one, group=[0, 1, 2], seed=0)
    assert compare_figures({}, {}, group=[], seed=0) == {}


def test_errors_of_numbers_can_be_compared() -> None:
    generator = np.random.default_rng(0)
    y = generator.normal(size=80)
    near, far = (y + width * generator.normal(size=80) for width in (0.1, 1))
    found = compare_figures(
        prepare_errors(y, near), prepare_errors(y, far), group=np.arange(80), seed=0
    )
    assert found["mae"].difference.high is not None
    assert found["mae"].difference.high < 0
    assert found["mae"].p_value == pytest.approx(2 / 1001)


def test_holm_is_the_arithmetic_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1 are .02 .03 .06 .04; none may fall below one before.
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": None})
    assert list(found) == ["a", "b", "c", "d", "e"]
    assert found.pop("e") is None
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({}) == {}


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(InputError, match=r"'a' is 1\.5"):
        holm({"a": 1.5})

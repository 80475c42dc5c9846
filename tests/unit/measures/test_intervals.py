"""Intervals over patients: their coverage, their ends, their limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score

from consilium.kernel.errors import InputError
from consilium.measures import METRICS, measure
from consilium.measures.records import Measurement


def cases(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    z = generator.normal(size=n)
    return (generator.random(n) < expit(z)).astype(float), expit(z)


def test_every_figure_lies_within_its_interval() -> None:
    y, p = cases(0)
    found = measure(y, p, group=np.arange(300), seed=1)
    assert list(found) == list(METRICS)
    for one in found.values():
        assert one.reason is None
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
        assert one.n == 300


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    y, p = cases(0)
    first, again, other = (
        measure(y, p, group=np.arange(300), seed=seed, metrics=["auroc"])["auroc"]
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first.low != other.low
    assert first.value == other.value


def test_an_interval_is_the_same_alone_and_in_company() -> None:
    y, p = cases(2)
    every = measure(y, p, group=np.arange(300), seed=3)
    for name in METRICS:
        assert measure(y, p, group=np.arange(300), seed=3, metrics=[name])[name] == every[name]


def test_the_interval_is_the_percentiles_of_resamples_done_the_slow_way() -> None:
    y, p = cases(4, 80)
    fast = measure(y, p, group=np.arange(80), seed=11, metrics=["auroc"], resamples=400)["auroc"]
    draws = np.random.default_rng(11).integers(0, 80, size=(400, 80))
    slow = [roc_auc_score(y[row], p[row]) for row in draws]
    assert fast.low == pytest.approx(np.quantile(slow, 0.025), abs=1e-12)
    assert fast.high == pytest.approx(np.quantile(slow, 0.975), abs=1e-12)


def test_patients_are_drawn_whole() -> None:
    # Ten copies of each case say nothing new, so the interval must not narrow.
    y, p = cases(5, 60)
    alone = measure(y, p, group=np.arange(60), seed=2, metrics=["brier"])["brier"]
    copied = measure(
        np.repeat(y, 10),
        np.repeat(p, 10),
        group=np.repeat(np.arange(60), 10),
        seed=2,
        metrics=["brier"],
    )["brier"]
    rows = measure(
        np.repeat(y, 10), np.repeat(p, 10), group=np.arange(600), seed=2, metrics=["brier"]
    )["brier"]
    assert copied.low == pytest.approx(alone.low)
    assert copied.high == pytest.approx(alone.high)
    assert width(rows) < 0.5 * width(copied)


def test_patient_numbers_need_not_be_dense() -> None:
    y, p = cases(6, 50)
    dense = measure(y, p, group=np.arange(50), seed=2, metrics=["accuracy"])
    sparse = measure(y, p, group=np.arange(50) * 1000 - 7, seed=2, metrics=["accuracy"])
    assert dense == sparse


def test_the_interval_of_an_accuracy_has_about_the_binomial_width() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 400)
    p = np.where(generator.random(400) < 0.8, y, 1 - y).astype(float)
    one = measure(y, p, group=np.arange(400), seed=0, metrics=["accuracy"], resamples=4000)
    assert width(one["accuracy"]) == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 400), rel=0.12)


def test_draws_without_a_class_are_skipped_and_counted() -> None:
    y = np.array([1.0] * 15 + [0.0])
    p = np.linspace(0.9, 0.1, 16)
    one = measure(y, p, group=np.arange(16), seed=0, metrics=["auroc"], resamples=2000)["auroc"]
    assert one.skipped / 2000 == pytest.approx((15 / 16) ** 16, abs=0.04)
    assert one.low is not None


def test_too_few_valid_draws_give_no_interval() -> None:
    group = np.array([0] * 30 + [1])
    y = np.array([0.0, 1.0] * 15 + [1.0])
    one = measure(y, cases(1, 31)[1], group=group, seed=0, metrics=["auroc"])["auroc"]
    assert one.low is not None  # one draw in four lacks the large patient
    lone = np.array([1.0] + [0.0] * 3)
    found = measure(lone, [0.5, 0.1, 0.2, 0.9], group=[0, 1, 1, 1], seed=0, metrics=["auroc"])
    assert found["auroc"].value is not None
    assert found["auroc"].skipped > 400
    assert (found["auroc"].low is None) == (found["auroc"].skipped > 500)


def test_one_patient_has_a_figure_without_an_interval() -> None:
    one = measure([0, 1], [0.2, 0.8], group=[5, 5], seed=0, metrics=["auroc"])["auroc"]
    assert one == Measurement(value=1.0, n=2, reason="measures.too_few_patients")


def test_no_case_is_no_error() -> None:
    found = measure([], [], group=[], seed=0)
    assert all(one.reason == "measures.too_few_cases" for one in found.values())


def test_an_undefined_figure_keeps_its_reason() -> None:
    found = measure([1, 1, 1], [0.1, 0.2, 0.3], group=[0, 1, 2], seed=0)
    assert found["auroc"].reason == "measures.one_class"
    assert found["brier"].low is not None
    assert found["auroc"].as_record() == {
        "value": None,
        "low": None,
        "high": None,
        "n": 3,
        "reason": "measures.one_class",
        "skipped": 0,
    }


def test_an_unknown_metric_and_patients_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="no metric 'f1'"):
        measure([0, 1], [0.1, 0.9], group=[0, 1], seed=0, metrics=["f1"])
    with pytest.raises(InputError):
        measure([0, 1], [0.1, 0.9], group=[0], seed=0)


def test_large_sets_are_drawn_in_blocks_that_agree_with_one_block() -> None:
    y, p = cases(9, 6000)
    one = measure(y, p, group=np.arange(6000) // 2, seed=1, metrics=["brier"], resamples=1500)
    spread = np.std((p - y) ** 2) / np.sqrt(6000)
    assert width(one["brier"]) == pytest.approx(2 * 1.96 * spread, rel=0.12)


def width(one: Measurement) -> float:
    assert one.low is not None
    assert one.high is not None
    return one.high - one.low

"""Decision curves against the definition, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from consilium.kernel.errors import InputError
from consilium.measures import decision_curve

Y = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], dtype=float)
P = np.array([0.9, 0.5, 0.1, 0.6, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0])


def test_the_net_benefit_is_that_of_a_count_by_hand() -> None:
    # At 0.2 five are treated: two in need and three not, each worth a quarter.
    (point,) = decision_curve(Y, P, group=np.arange(10), seed=0, thresholds=[0.2])
    assert point.model.value == pytest.approx(2 / 10 - 3 / 10 * 0.25)
    assert point.treat_all.value == pytest.approx(3 / 10 - 7 / 10 * 0.25)
    assert point.as_record()["treat_none"] == 0.0


def test_the_curve_is_that_of_counting_true_and_false_positives() -> None:
    generator = np.random.default_rng(3)
    y = generator.integers(0, 2, 200).astype(float)
    p = generator.integers(0, 21, 200) / 20
    thresholds = [0.05, 0.1, 0.35, 0.5, 0.95]
    for point in decision_curve(y, p, group=np.arange(200), seed=1, thresholds=thresholds):
        true = sum(a == 1 and b >= point.threshold for a, b in zip(y, p, strict=True))
        false = sum(a == 0 and b >= point.threshold for a, b in zip(y, p, strict=True))
        expected = true / 200 - false / 200 * point.threshold / (1 - point.threshold)
        assert point.model.value == pytest.approx(expected, abs=1e-12)
        assert point.model.low is not None
        assert point.model.high is not None
        assert point.model.low <= expected <= point.model.high


def test_below_every_prediction_the_model_treats_all() -> None:
    (point,) = decision_curve(Y, P + 0.05, group=np.arange(10), seed=0, thresholds=[0.04])
    assert point.model == point.treat_all


def test_treating_all_is_worth_nothing_at_the_share_of_positives() -> None:
    (point,) = decision_curve(Y, P, group=np.arange(10), seed=0, thresholds=[0.3])
    assert point.treat_all.value == pytest.approx(0.0, abs=1e-15)


def test_one_class_has_a_curve_and_no_case_has_none() -> None:
    (lone,) = decision_curve([0, 0], [0.4, 0.6], group=[0, 1], seed=0, thresholds=[0.5])
    assert lone.model.value == pytest.approx(-0.5)
    (empty,) = decision_curve([], [], group=[], seed=0, thresholds=[0.5])
    assert empty.model.reason == "measures.too_few_cases"


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, float("nan")])
def test_a_threshold_that_has_no_odds_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="not a chance"):
        decision_curve(Y, P, group=np.arange(10), seed=0, thresholds=[threshold])

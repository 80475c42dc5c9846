"""Survival on the leukaemia trial of Freireich et al., Blood 21, 1963, as printed by Gehan 1965.

Weeks of remission under 6-mercaptopurine and placebo. Curve, standard errors
and log-rank statistic are printed in Kleinbaum and Klein, Survival Analysis,
chapter 2, and in many other books.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from consilium.kernel.errors import InputError
from consilium.measures import kaplan_meier, log_rank

DRUG = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
CAME = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
TIME, EVENT = DRUG + PLACEBO, CAME + [1] * 21
ARM = ["drug"] * 21 + ["placebo"] * 21


def test_the_published_curve_comes_out() -> None:
    found = kaplan_meier(DRUG, CAME)
    assert [one.time for one in found] == [6, 7, 10, 13, 16, 22, 23]
    assert [one.at_risk for one in found] == [21, 17, 15, 12, 11, 7, 6]
    assert [one.events for one in found] == [3, 1, 1, 1, 1, 1, 1]
    published = [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert [one.survival for one in found] == pytest.approx(published, abs=5e-5)


def test_the_interval_follows_from_the_published_standard_errors() -> None:
    errors = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    for one, error in zip(kaplan_meier(DRUG, CAME), errors, strict=True):
        assert one.low is not None
        assert one.high is not None
        middle = math.log(-math.log(one.survival))
        reach = 1.959964 * error / (one.survival * -math.log(one.survival))
        assert math.log(-math.log(one.low)) == pytest.approx(middle + reach, abs=5e-3)
        assert math.log(-math.log(one.high)) == pytest.approx(middle - reach, abs=5e-3)


def test_without_censoring_the_curve_is_the_share_still_without_event() -> None:
    found = kaplan_meier(PLACEBO, [1] * 21)
    for one in found:
        assert one.survival == pytest.approx(np.mean(np.array(PLACEBO) > one.time), abs=1e-12)
    assert (found[-1].survival, found[-1].low, found[-1].high) == (0.0, None, None)


def test_the_published_log_rank_statistic_comes_out() -> None:
    found = log_rank(TIME, EVENT, group=ARM)
    assert found.statistic == pytest.approx(16.793, abs=5e-4)
    assert found.p_value == pytest.approx(4.17e-5, rel=1e-3)
    assert found.freedom == 1
    assert found.observed == {"drug": 9, "placebo": 21}
    assert found.expected == pytest.approx({"drug": 19.25, "placebo": 10.75}, abs=5e-3)
    assert found.as_record()["reason"] is None


def test_three_groups_agree_with_the_sums_written_out() -> None:
    generator = np.random.default_rng(2)
    time = generator.integers(1, 15, 60).astype(float)
    event, arm = generator.integers(0, 2, 60), generator.integers(0, 3, 60)
    excess, spread = np.zeros(3), np.zeros((3, 3))
    for moment in sorted({*time[event > 0]}):
        risk = np.array([np.sum((time >= moment) & (arm == one)) for one in range(3)])
        died = np.array([np.sum((time == moment) & (arm == one) & (event > 0)) for one in range(3)])
        n, d = risk.sum(), died.sum()
        excess += died - d * risk / n
        for one in range(3):
            for two in range(3):
                if n > 1:
                    part = (one == two) - risk[two] / n
                    spread[one, two] += d * (n - d) / (n - 1) * risk[one] / n * part
    found = log_rank(time, event, group=arm)
    assert found.freedom == 2
    assert found.statistic == pytest.approx(excess @ np.linalg.pinv(spread) @ excess)
    assert found.p_value == pytest.approx(math.exp(-excess @ np.linalg.pinv(spread) @ excess / 2))


def test_a_group_that_left_before_the_first_event_does_not_count() -> None:
    early = log_rank([*TIME, 0.5, 0.5], [*EVENT, 0, 0], group=[*ARM, "early", "early"])
    plain = log_rank(TIME, EVENT, group=ARM)
    assert early.freedom == 1
    assert early.statistic == pytest.approx(plain.statistic)


@pytest.mark.parametrize(
    ("time", "event", "group", "reason"),
    [
        ([], [], [], "too_few_cases"),
        ([1, 2], [1, 1], ["a", "a"], "one_group"),
        ([1, 2], [0, 0], ["a", "b"], "no_events"),
        ([1, 2], [0, 1], ["a", "b"], "no_pairs"),
        ([2, 2], [1, 1], ["a", "b"], "no_pairs"),
    ],
)
def test_a_log_rank_test_that_is_undefined_says_why(
    time: list[float], event: list[int], group: list[str], reason: str
) -> None:
    found = log_rank(time, event, group=group)
    assert found.reason == f"measures.{reason}"
    assert (found.statistic, found.p_value) == (None, None)


def test_no_event_has_no_step() -> None:
    assert kaplan_meier([1, 2], [0, 0]) == ()
    assert kaplan_meier([], []) == ()


@pytest.mark.parametrize(("time", "event"), [([-1, 2], [1, 1]), ([1, 2], [1, 2]), ([1], [1, 1])])
def test_what_are_no_times_is_refused(time: list[float], event: list[int]) -> None:
    with pytest.raises(InputError):
        kaplan_meier(time, event)


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError):
        log_rank([1, 2], [1, 1], group=["a"])


def test_curves_never_rise() -> None:
    generator = np.random.default_rng(1)
    found = kaplan_meier(generator.integers(0, 9, 50), generator.integers(0, 2, 50))
    assert all(one.survival > two.survival for one, two in pairwise(found))

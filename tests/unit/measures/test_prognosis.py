"""Predictions of time until an event against the definitions, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from consilium.kernel.errors import InputError
from consilium.measures import (
    auroc,
    brier,
    brier_at,
    compare_figures,
    concordance_index,
    prepare_concordance,
)


def cases(seed: int, n: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    time, event = generator.integers(1, 20, n), generator.integers(0, 2, n)
    return time.astype(float), event.astype(float), generator.integers(0, 9, n) - time / 4


def by_pairs(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> float:
    won = pairs = 0.0
    for one in range(time.size):
        for two in range(time.size):
            before = time[one] < time[two] or (time[one] == time[two] and not event[two])
            if event[one] and before:
                pairs += 1
                won += 1 if risk[one] > risk[two] else 0.5 if risk[one] == risk[two] else 0
    return won / pairs


@pytest.mark.parametrize("seed", range(5))
def test_the_concordance_index_is_the_share_of_pairs(seed: int) -> None:
    time, event, risk = cases(seed)
    found = concordance_index(time, event, risk, group=np.arange(50), seed=0, resamples=40)
    assert found.value == pytest.approx(by_pairs(time, event, risk))
    draws = np.random.default_rng(0).integers(0, 50, size=(40, 50))
    slow = [by_pairs(time[row], event[row], risk[row]) for row in draws]
    assert found.low == pytest.approx(np.quantile(slow, 0.025))
    assert found.high == pytest.approx(np.quantile(slow, 0.975))


def test_with_two_times_it_is_the_auroc() -> None:
    generator = np.random.default_rng(1)
    y, risk = generator.integers(0, 2, 60), generator.integers(0, 20, 60) / 20
    found = concordance_index(2 - y, y, risk, group=np.arange(60), seed=0, resamples=1)
    assert found.value == pytest.approx(auroc(y, risk).value)


def test_two_prognoses_can_be_compared() -> None:
    time, event, risk = cases(3)
    first = {"concordance": prepare_concordance(time, event, risk)}
    second = {"concordance": prepare_concordance(time, event, -risk)}
    found = compare_figures(first, second, group=np.arange(50), seed=0)["concordance"]
    assert found.difference.value == pytest.approx(2 * by_pairs(time, event, risk) - 1)
    assert found.p_value is not None
    assert found.p_value < 0.05


@pytest.mark.parametrize(
    ("time", "event"), [([1, 2], [0, 1]), ([3, 3], [1, 1]), ([1, 2], [0, 0]), ([1], [1])]
)
def test_without_a_comparable_pair_there_is_no_index(time: list[int], event: list[int]) -> None:
    group = list(range(len(time)))
    found = concordance_index(time, event, [0.5] * len(time), group=group, seed=0)
    assert (found.value, found.reason) == (None, "measures.no_pairs")


def test_an_event_at_the_time_of_a_censoring_comes_first() -> None:
    found = concordance_index([3, 3], [1, 0], [2.0, 1.0], group=[0, 1], seed=0)
    assert found.value == 1


def test_without_censoring_the_brier_score_is_the_plain_one() -> None:
    time, _, _ = cases(2)
    survival = np.random.default_rng(2).random(50)
    found = brier_at(time, np.ones(50), survival, at=8)
    assert found.value == pytest.approx(brier((time > 8).astype(float), survival).value)


@pytest.mark.parametrize("at", [0.5, 3, 7.5, 12])
def test_the_brier_score_is_the_weighted_sum_of_its_definition(at: float) -> None:
    time, event, _ = cases(4)
    survival = np.random.default_rng(4).random(50)

    def followed(until: float, *, through: bool) -> float:
        share = 1.0
        for moment in sorted({*time[event == 0]}):
            if moment < until or (through and moment == until):
                lost = np.sum((time == moment) & (event == 0))
                # Events at this very time came before, so they are gone.
                risk = np.sum(time > moment) + lost
                share *= 1 - lost / risk
        return share

    total = 0.0
    for one in range(50):
        if time[one] <= at and event[one]:
            total += survival[one] ** 2 / followed(time[one], through=False)
        elif time[one] > at:
            total += (1 - survival[one]) ** 2 / followed(at, through=True)
    assert brier_at(time, event, survival, at=at).value == pytest.approx(total / 50)


def test_past_the_last_contact_there_is_no_brier_score() -> None:
    found = brier_at([1, 2, 3], [1, 1, 0], [0.5, 0.5, 0.5], at=4)
    assert found.reason == "measures.beyond_follow_up"
    assert brier_at([1, 2, 3], [1, 1, 0], [0.5, 0.5, 0.5], at=2.5).value is not None


def test_no_case_is_no_error() -> None:
    assert brier_at([], [], [], at=1).reason == "measures.too_few_cases"
    assert concordance_index([], [], [], group=[], seed=0).reason == "measures.too_few_cases"


def test_a_survival_outside_nought_and_one_is_refused() -> None:
    with pytest.raises(InputError):
        brier_at([1, 2], [1, 1], [0.5, 1.5], at=1)

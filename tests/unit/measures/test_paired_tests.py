"""DeLong, McNemar and Wilcoxon against definitions and printed examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score

from consilium.measures import delong, mcnemar, wilcoxon


def cases(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = np.concatenate([[0, 0, 1, 1], generator.integers(0, 2, n - 4)]).astype(float)
    first, second = generator.integers(0, 9, (2, n)) / 12 + y * [[0.2], [0.1]]
    return y, first, second


def by_pairs(y: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Give difference and standard error as DeLong et al. print them: over all pairs."""
    ones, noughts = np.flatnonzero(y > 0), np.flatnonzero(y == 0)

    def kernel(p: np.ndarray) -> np.ndarray:
        return np.array(
            [[(p[i] > p[j]) + 0.5 * (p[i] == p[j]) for j in noughts] for i in ones], dtype=float
        )

    pairs = [kernel(first), kernel(second)]
    s10 = np.cov([one.mean(axis=1) for one in pairs])
    s01 = np.cov([one.mean(axis=0) for one in pairs])
    spread = s10 / ones.size + s01 / noughts.size
    contrast = np.array([1, -1])
    difference = float(pairs[0].mean() - pairs[1].mean())
    return difference, math.sqrt(contrast @ spread @ contrast)


@pytest.mark.parametrize("seed", range(6))
def test_delong_is_its_definition_over_all_pairs(seed: int) -> None:
    y, first, second = cases(seed)
    found = delong(y, first, second, group=np.arange(40))
    difference, error = by_pairs(y, first, second)
    assert found.first == pytest.approx(roc_auc_score(y, first))
    assert found.second == pytest.approx(roc_auc_score(y, second))
    assert found.difference.value == pytest.approx(difference)
    ends = norm.interval(0.95, difference, error)
    assert [found.difference.low, found.difference.high] == pytest.approx(ends)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(difference) / error))


@pytest.mark.parametrize(
    ("y", "first", "second", "group", "reason"),
    [
        ([], [], [], [], "too_few_cases"),
        ([1, 1], [0.1, 0.2], [0.3, 0.4], [0, 1], "one_class"),
        ([1, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.4, 0.1], [0, 1, 2], "too_few_of_a_class"),
        ([1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4], [0.1, 0.4, 0.3, 0], [0, 1, 1, 2], "repeated_patients"),
        ([1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4], [0.2, 0.4, 0.6, 0.8], [0, 1, 2, 3], "no_difference"),
        ([1, 0, 1, 0], [0.9, 0.1, 0.9, 0.1], [0.1, 0.9, 0.1, 0.9], [0, 1, 2, 3], "no_variance"),
    ],
)  # fmt: skip
def test_delong_says_why_there_is_no_test(
    y: list[int], first: list[float], second: list[float], group: list[int], reason: str
) -> None:
    found = delong(y, first, second, group=group)
    assert found.difference.reason == f"measures.{reason}"
    assert (found.p_value, found.difference.low) == (None, None)
    assert (found.difference.value is None) == (reason in ("too_few_cases", "one_class"))


def table(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, ...]:
    """Give labels and chances of two models that are right so often."""
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both, only_first, only_second, neither], 0)
    return np.ones(len(right)), right[:, 0] * 0.8 + 0.1, right[:, 1] * 0.8 + 0.1


def test_mcnemar_is_the_binomial_by_hand() -> None:
    # One against nine: twice (1 + 10) of the 1024 ways.
    found = mcnemar(*table(5, 9, 1, 2), group=np.arange(17))
    assert found.p_value == pytest.approx(2 * 11 / 1024)
    assert found.difference.value == pytest.approx(8 / 17)
    assert (found.first, found.second) == (pytest.approx(14 / 17), pytest.approx(6 / 17))


def test_mcnemar_on_the_printed_approval_ratings() -> None:
    # Agresti, Categorical Data Analysis, 2nd edition, table 10.1: 794, 150, 86, 570.
    found = mcnemar(*table(794, 150, 86, 570), group=np.arange(1600))
    assert found.difference.value == pytest.approx(0.04)
    assert found.p_value == pytest.approx(binomtest(86, 236).pvalue)


def test_mcnemar_says_why_there_is_no_test() -> None:
    y = [0, 1, 1]
    same = mcnemar(y, [0.2, 0.7, 0.9], [0.1, 0.6, 0.8], group=[0, 1, 2])
    assert (same.difference.value, same.difference.reason) == (0, "measures.no_difference")
    assert same.p_value is None
    often = mcnemar(y, [0.2, 0.7, 0.9], [0.1, 0.6, 0.2], group=[0, 1, 1])
    assert often.difference.reason == "measures.repeated_patients"
    assert mcnemar([], [], [], group=[]).difference.reason == "measures.too_few_cases"


def test_wilcoxon_on_darwins_maize() -> None:
    # Heights of crossed less self-fertilised plants, Fisher, The Design of Experiments, 1935.
    # 15 differences; the sums of ranks are 96 and 24: 1352 of the 32768 signs are so far out.
    apart = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    found = wilcoxon(apart, np.zeros(15), group=np.arange(15))
    ranks = np.abs(apart).argsort().argsort() + 1
    ways = np.zeros(121)
    ways[0] = 1
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    low = int(ranks[np.array(apart) < 0].sum())
    assert low == 24
    assert found.p_value == pytest.approx(2 * ways[: low + 1].sum() / 2**15)
    assert found.difference.value == 24


def test_wilcoxon_says_why_there_is_no_test() -> None:
    assert wilcoxon([], [], group=[]).difference.reason == "measures.too_few_cases"
    same = wilcoxon([1, 2], [1, 2], group=[0, 1])
    assert same.difference.reason == "measures.no_difference"
    often = wilcoxon([1, 2], [1, 3], group=[0, 0])
    assert often.difference.reason == "measures.repeated_patients"
    assert wilcoxon([1], [3], group=[0]).p_value == 1

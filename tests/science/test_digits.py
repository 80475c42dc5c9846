"""Personal models of ten simulated hospitals: the digits table, where its signs are clear.

Sources
-------
An earlier replay of the same methods on the same digits (`benchmarks.digits.PUBLISHED`);
its partitions are not known, so signs of differences are compared, not values. Nothing was
tuned on test parts: each method takes the round that is best on validation.

The whole table with all methods is `python -m benchmarks.digits`; here stand those that
the recipe `tabular-mlp` offers.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(next(p for p in Path(__file__).parents if (p / "benchmarks").is_dir())))

from benchmarks.digits import (
    METHODS,
    PUBLISHED,
    SEEDS,
    SITES,
    best_rounds,
    clear_pairs,
    published_difference,
    verdict,
)
from benchmarks.digits_data import deal
from benchmarks.digits_intervals import Comparison, pack_hits, unpack_hits

pytestmark = [pytest.mark.science, pytest.mark.slow]

NAMES = ("Local", "FedAvg", "FedProx .1", "FedBN", "Ditto .1")
ALPHAS = sorted(PUBLISHED)


@cache
def comparison(alpha: float) -> Comparison:
    """Run the methods at one alpha once; print their means."""
    dealt = deal(alpha=alpha, seeds=SEEDS, sites=SITES)
    found = {name: best_rounds(METHODS[name](dealt), dealt)[1] for name in NAMES}
    for name, right in found.items():
        means = 100 * dealt.by_seed([one.mean() for one in right]).mean(axis=1)
        print(f"alpha {alpha:g} {name:<12} {means.mean():.1f} by partition {means.round(1)}")
    return Comparison(dealt, {name: np.concatenate(right) for name, right in found.items()})


def test_local_normalisation_gains_three_points_where_hospitals_differ_much() -> None:
    found = comparison(0.1).difference("FedBN", "FedAvg")
    assert found.points >= 3
    assert found.low > 0


def test_local_normalisation_costs_little_where_hospitals_are_alike() -> None:
    assert comparison(1.0).difference("FedBN", "FedAvg").points >= -1.5


@pytest.mark.parametrize("alpha", ALPHAS)
def test_differences_have_the_sign_that_was_found_before(alpha: float) -> None:
    pairs = [pair for pair in clear_pairs(alpha) if set(pair) <= set(NAMES)]
    kinds = {
        pair: verdict(alpha, *pair, found=comparison(alpha).difference(*pair)) for pair in pairs
    }
    assert kinds == dict.fromkeys(pairs, "same")


def test_the_pairs_that_count_are_those_whose_published_interval_leaves_out_zero() -> None:
    # By hand: 97.2 ±.6 less 89.0 ±5.0 over five partitions is 8.2 ±6.2.
    gap, half = published_difference(0.1, "FedBN", "FedAvg")
    assert (gap, half) == (pytest.approx(8.2), pytest.approx(6.2, abs=0.1))
    assert ("FedBN", "FedAvg") in clear_pairs(0.1)
    assert ("FedProx .1", "FedAvg") not in clear_pairs(0.1)


def test_hits_are_read_as_they_were_written() -> None:
    right = np.random.default_rng(0).integers(0, 2, 1003).astype(bool)
    np.testing.assert_array_equal(unpack_hits(pack_hits(right), len(right)), right)

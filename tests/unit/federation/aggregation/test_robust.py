"""Robust rules against naive loops, and one arbitrary site among five."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from consilium.federation.aggregation import Contribution, aggregate
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

Vector = npt.NDArray[np.float64]
WIDTH = 6
HONEST_RANGE: list[tuple[str, dict[str, Any]]] = [
    ("median", {}),
    ("trimmed_mean", {}),
    ("trimmed_mean", {"faulty_sites": 2}),
]
ATTACKS = (-1e12, -30.0, 1e-9, 30.0, 1e12, 1e200, -1e308)


def draw(seed: int, count: int) -> list[Vector]:
    return list(np.random.default_rng(seed).normal(size=(count, WIDTH)))


def combine(
    rule: str, updates: Sequence[Vector], cases: Sequence[int] = (), **settings: Any
) -> Any:
    """Aggregate from zero, each update split into two arrays of the model."""
    sites = {
        ParticipantId(f"did:web:x:{place:02}"): Contribution(
            update={"v": update[:2], "w": update[2:].reshape(2, 2)}, n=n
        )
        for place, (update, n) in enumerate(zip(updates, cases or [10] * len(updates), strict=True))
    }
    model = {"v": np.zeros(2), "w": np.zeros((2, 2))}
    done = aggregate(rule, model, contributions=sites, state={}, settings=settings)
    assert done.state == {}
    return np.concatenate([done.model["v"], done.model["w"].ravel()])


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_median_is_the_median_of_every_weight(count: int) -> None:
    updates = draw(count, count)
    expected = [statistics.median(u[place] for u in updates) for place in range(WIDTH)]
    np.testing.assert_allclose(combine("median", updates), expected, rtol=1e-12)


@pytest.mark.parametrize(("count", "faulty"), [(3, 1), (5, 1), (5, 2), (9, 3)])
def test_trimmed_mean_leaves_out_the_extremes_of_every_weight(count: int, faulty: int) -> None:
    updates = draw(count, count)
    expected = []
    for place in range(WIDTH):
        values = [float(update[place]) for update in updates]
        for _ in range(faulty):
            values.remove(max(values))
            values.remove(min(values))
        expected.append(statistics.fmean(values))
    np.testing.assert_allclose(combine("trimmed_mean", updates, faulty_sites=faulty), expected)


@pytest.mark.parametrize(
    ("count", "faulty", "keep"), [(5, 1, 1), (7, 2, 1), (8, 2, 3), (9, 1, 0), (9, 3, 4)]
)
def test_krum_averages_the_updates_whose_neighbours_are_nearest(
    count: int, faulty: int, keep: int
) -> None:
    updates = draw(count, count)
    scores = []
    for one in range(count):
        # The least sum over any choice of K - f - 2 others, rather than a sorted list.
        others = [math.dist(updates[one], updates[k]) ** 2 for k in range(count) if k != one]
        scores.append(min(map(sum, itertools.combinations(others, count - faulty - 2))))
    best = np.argsort(scores)[: keep or count - faulty - 2]
    expected = [statistics.fmean(updates[k][place] for k in best) for place in range(WIDTH)]
    found = combine("krum", updates, faulty_sites=faulty, keep=keep)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("weights", ["cases", "equal"])
@pytest.mark.parametrize("max_norm", [0.0, 1.5])
def test_clipped_averages_updates_of_bounded_length(max_norm: float, weights: str) -> None:
    updates, cases = draw(3, 5), [10, 20, 30, 40, 100]
    lengths = [math.hypot(*update) for update in updates]
    bound = max_norm or statistics.median_low(lengths)
    shares = cases if weights == "cases" else [1] * 5
    expected = [
        sum(n * u[place] * min(1, bound / length) for n, u, length in zip(shares, updates, lengths))  # noqa: B905
        / sum(shares)
        for place in range(WIDTH)
    ]
    found = combine("clipped", updates, cases, max_norm=max_norm, weights=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("rule", "settings"), HONEST_RANGE)
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_arbitrary_site_of_five_moves_the_model_only_within_the_honest_range(
    rule: str, settings: dict[str, Any], attack: float, place: int
) -> None:
    honest = draw(7, 4)
    updates = [*honest[:place], np.full(WIDTH, attack), *honest[place:]]
    found = combine(rule, updates, [1] * place + [10**12] + [1] * (4 - place), **settings)
    assert (found >= np.min(honest, axis=0)).all()
    assert (found <= np.max(honest, axis=0)).all()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_krum_takes_an_honest_update_or_one_as_near_to_them_as_they_are(
    attack: float, place: int
) -> None:
    honest = draw(7, 4)
    found = combine("krum", [*honest[:place], np.full(WIDTH, attack), *honest[place:]])
    widest = max(math.dist(one, other) for one in honest for other in honest)
    if abs(attack) > 1:
        assert any((found == update).all() for update in honest)
    assert min(math.dist(found, update) for update in honest) <= math.sqrt(2) * widest


@pytest.mark.parametrize("attack", ATTACKS)
def test_clipping_leaves_one_arbitrary_site_of_five_no_more_than_an_honest_length(
    attack: float,
) -> None:
    honest = draw(7, 4)
    found = combine("clipped", [np.full(WIDTH, attack), *honest], weights="equal")
    longest = max(math.hypot(*update) for update in honest)
    assert math.hypot(*found) <= longest * (1 + 1e-12)


def test_the_average_follows_one_site_anywhere() -> None:
    # The positive control of the two tests above.
    found = combine("fedavg", [np.full(WIDTH, -1e12), *draw(7, 4)])
    assert (found < -1e11).all()


def test_a_bound_in_the_middle_of_two_lengths_is_the_shorter_one() -> None:
    short, long = np.eye(WIDTH)[0], 1e6 * np.eye(WIDTH)[0]
    assert combine("clipped", [short, short, long, long])[0] == 1


def test_krum_prefers_the_first_site_of_equal_score() -> None:
    ones, twos = np.ones(WIDTH), np.full(WIDTH, 2.0)
    assert combine("krum", [ones, ones, ones, twos, twos, twos])[0] == 1
    assert combine("krum", [twos, twos, twos, ones, ones, ones])[0] == 2


def test_numbers_at_the_end_of_float64_give_a_refusal_and_no_warning() -> None:
    huge = [np.full(WIDTH, sign * 1.7e308) for sign in (1, 1, -1, -1, 1)]
    for rule in ("median", "trimmed_mean", "krum"):
        assert np.isfinite(combine(rule, huge)).all()
    assert (combine("clipped", huge, max_norm=1.0) == 0).all()
    with pytest.raises(InputError) as caught:
        combine("qfedavg", huge)
    assert caught.value.facts["reason"] == "no loss before training"

"""The ring, the split of arrays, and the pull."""

from __future__ import annotations

import numpy as np
import pytest

from consilium.federation.personal import (
    HEAD,
    NORMALISATION,
    feature_slope,
    pass_on,
    pulled_slope,
    ring_order,
    split_arrays,
    teaching_strength,
)
from consilium.kernel.identifiers import ParticipantId

MODEL = {
    "hidden1.weight": np.zeros((2, 3)),
    "hidden1.norm.mean": np.zeros(3),
    "head.binary.weight": np.zeros((3, 1)),
    "normal": np.zeros(1),
}


def test_only_whole_parts_of_a_name_decide_what_stays() -> None:
    assert set(split_arrays(MODEL, NORMALISATION).local) == {"hidden1.norm.mean"}
    assert set(split_arrays(MODEL, HEAD).local) == {"head.binary.weight"}
    assert not split_arrays(MODEL, ()).local


@pytest.mark.parametrize("local", [NORMALISATION, HEAD, frozenset[str]()])
def test_a_split_model_is_whole_again(local: frozenset[str]) -> None:
    split = split_arrays(MODEL, local)
    assert set(split.whole) == set(MODEL)
    assert not set(split.shared) & set(split.local)


def test_a_ring_has_every_hospital_once_and_one_order_for_all() -> None:
    sites = [ParticipantId(f"did:web:x:{name}") for name in "abcde"]
    order = ring_order(sites, seed=3)
    assert sorted(order) == sites
    assert ring_order(reversed(sites), seed=3) == order  # type: ignore[arg-type]
    assert len({tuple(ring_order(sites, seed=seed)) for seed in range(9)}) > 1


def test_weights_are_handed_on_and_local_arrays_stay() -> None:
    teacher = {name: array + 1 for name, array in MODEL.items()}
    begun = pass_on(teacher, MODEL, local=NORMALISATION)
    assert set(begun) == set(MODEL)
    assert begun["hidden1.weight"].all()
    assert not begun["hidden1.norm.mean"].any()
    assert pass_on(teacher, MODEL, local=())["hidden1.norm.mean"].all()


def test_distillation_slope_is_that_of_the_mean_squared_gap() -> None:
    drawn = np.random.default_rng(0)
    features, taught = drawn.normal(size=(2, 2, 4, 3))
    rows = np.array([[0.25] * 4, [0.5, 0.5, 0, 0]])
    strength = np.array([1.5, 0.3])

    def loss(given: np.ndarray) -> np.ndarray:
        gaps = ((given - taught) ** 2).mean(axis=2)
        return strength * (rows * gaps).sum(axis=1)

    found = feature_slope(features, taught, rows=rows, strength=strength)
    for place in np.ndindex(features.shape):
        up, down = features.copy(), features.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        numeric = (loss(up) - loss(down))[place[0]] / 2e-6
        assert found[place] == pytest.approx(numeric, abs=1e-8)


def test_a_teacher_teaches_the_more_the_better_it_is() -> None:
    found = teaching_strength([0.9, 0.4, 0.6, 0.4], [0.5, 0.5, 0.7, 0.3], base=1.0)
    # Much better: the bound of 10 over 10. Worse and poor: nothing. Worse but fair: less.
    assert found[0] == pytest.approx(1.0)
    assert found[1] == 0
    assert found[2] == pytest.approx(10 ** (-0.5) / 10)
    assert found[3] == pytest.approx(10 ** (0.5) / 10)


def test_the_pull_is_the_slope_of_the_squared_distance() -> None:
    own, anchor = np.array([1.0, -2.0]), np.array([0.5, 0.0])
    pulled = pulled_slope(np.array([0.1, 0.2]), own, anchor=anchor, strength=0.4)
    np.testing.assert_allclose(pulled, [0.1 + 0.4 * 0.5, 0.2 - 0.4 * 2.0])

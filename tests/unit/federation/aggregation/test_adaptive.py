"""Server optimisers against plain Python, one coordinate over several rounds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from consilium.federation.aggregation import Contribution, aggregate
from consilium.kernel.identifiers import ParticipantId

A, B = ParticipantId("did:web:x:a"), ParticipantId("did:web:x:b")
ROUNDS = ((0.1, -0.3), (0.4, 0.2), (-0.5, 0.0), (0.01, 0.02))
"""What the two sites, of 10 and 30 cases, say of one weight in each round."""
MEANS = [0.25 * a + 0.75 * b for a, b in ROUNDS]


def weights(rule: str, **settings: float) -> Iterator[tuple[float, dict[str, float]]]:
    """Run the rounds from 0.5 and give the weight and the rule's memory after each."""
    model, state = {"w": np.array([0.5])}, {}
    for a, b in ROUNDS:
        sites = {
            A: Contribution(update={"w": np.array([a])}, n=10),
            B: Contribution(update={"w": np.array([b])}, n=30),
        }
        done = aggregate(rule, model, contributions=sites, state=state, settings=settings)
        model, state = done.model, done.state
        yield float(model["w"][0]), {name: float(array[0]) for name, array in state.items()}


def test_fedavgm_follows_the_published_formula() -> None:
    # Hsu et al. 2019: v = beta v + delta, w = w + eta v.
    w, v = 0.5, 0.0
    found = list(weights("fedavgm", momentum=0.7, server_learning_rate=0.5))
    for mean, (weight, memory) in zip(MEANS, found, strict=True):
        v = 0.7 * v + mean
        w = w + 0.5 * v
        assert (weight, memory) == (pytest.approx(w), {"m.w": pytest.approx(v)})


def test_fedavgm_without_momentum_is_fedavg() -> None:
    found = [weight for weight, _ in weights("fedavgm", momentum=0)]
    assert found == [weight for weight, _ in weights("fedavg")]


@pytest.mark.parametrize("rule", ["fedadam", "fedyogi"])
def test_fedadam_and_fedyogi_follow_the_published_formula(rule: str) -> None:
    # Reddi et al. 2021, algorithm 2, with m and v from 0.
    beta_1, beta_2, rate, tau = 0.9, 0.9, 1e-2, 1e-8
    w, m, v = 0.5, 0.0, 0.0
    for mean, (weight, memory) in zip(MEANS, weights(rule, beta_2=beta_2), strict=True):
        square = mean * mean
        m = beta_1 * m + (1 - beta_1) * mean
        if rule == "fedadam":
            v = beta_2 * v + (1 - beta_2) * square
        elif v > square:
            v = v - (1 - beta_2) * square
        elif v < square:
            v = v + (1 - beta_2) * square
        w += rate * m / (math.sqrt(v) + tau)
        assert weight == pytest.approx(w, rel=1e-12)
        assert memory == {"m.w": pytest.approx(m), "v.w": pytest.approx(v)}


def test_fedyogi_forgets_a_great_update_more_slowly_than_fedadam() -> None:
    model = {"w": np.zeros(1)}
    memory = {"m.w": np.zeros(1), "v.w": np.ones(1)}
    small = {A: Contribution(update={"w": np.array([1e-3])}, n=1)}
    left = {
        rule: aggregate(
            rule, model, contributions=small, state=memory, settings={"beta_2": 0.9}
        ).state["v.w"][0]
        for rule in ("fedadam", "fedyogi")
    }
    assert left["fedadam"] == pytest.approx(0.9, abs=1e-6)
    assert left["fedyogi"] == pytest.approx(1.0, abs=1e-6)

"""FedAP's weights against plain-Python formulas, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.federation.personal import personal_models, similarity_weights, site_distance
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

A, B, C = (ParticipantId(f"did:web:x:{name}") for name in "abc")
ONE = [(np.array([0.0, 1.0]), np.array([1.0, 4.0])), (np.array([2.0]), np.array([9.0]))]
OTHER = [(np.array([3.0, 1.0]), np.array([9.0, 4.0])), (np.array([2.0]), np.array([1.0]))]


def test_distance_adds_up_layers_of_means_and_spreads() -> None:
    # Layer 1: means differ by 3, spreads 1 and 3: √(9 + 4). Layer 2: spreads 3 and 1: 2.
    assert site_distance(ONE, OTHER) == pytest.approx(math.sqrt(13) + 2)
    assert site_distance(ONE, OTHER) == site_distance(OTHER, ONE)
    assert site_distance(ONE, ONE) == 0


@given(st.integers(0, 1000), st.integers(2, 6), st.floats(0, 1))
def test_weights_are_shares_and_fall_with_distance(seed: int, count: int, own: float) -> None:
    drawn = np.random.default_rng(seed)
    sites = [ParticipantId(f"did:web:x:{place}") for place in range(count)]
    statistics = {
        site: [(drawn.normal(size=3), drawn.uniform(0, 2, size=3)) for _ in range(2)]
        for site in sites
    }
    weights = similarity_weights(statistics, own=own)
    for site in sites:
        assert math.fsum(weights[site].values()) == pytest.approx(1)
        assert weights[site][site] == own
        others = [other for other in sites if other != site]
        far = {other: site_distance(statistics[site], statistics[other]) for other in others}
        total = sum(1 / distance for distance in far.values())
        for other in others:
            assert weights[site][other] == pytest.approx((1 - own) / far[other] / total)


def test_hospitals_alike_in_everything_share_what_is_not_their_own() -> None:
    weights = similarity_weights({A: ONE, B: ONE, C: ONE}, own=0.4)
    assert weights[A] == pytest.approx({A: 0.4, B: 0.3, C: 0.3})


def test_a_hospital_alone_listens_to_itself() -> None:
    assert similarity_weights({A: ONE}, own=0.3) == {A: {A: 1.0}}


def test_a_share_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        similarity_weights({A: ONE, B: OTHER}, own=1.5)
    assert caught.value.code == "federation.bad_setting"


def test_each_model_is_the_weighted_mean_of_all() -> None:
    models = {site: {"w": np.full((2, 2), value)} for site, value in ((A, 1.0), (B, 10.0))}
    weights = {A: {A: 0.75, B: 0.25}, B: {A: 0.5, B: 0.5}}
    mixed = personal_models(models, weights)
    np.testing.assert_allclose(mixed[A]["w"], 0.75 + 2.5)
    np.testing.assert_allclose(mixed[B]["w"], 5.5)


def test_equal_weights_are_plain_averaging() -> None:
    drawn = np.random.default_rng(1)
    models = {site: {"w": drawn.normal(size=4)} for site in (A, B, C)}
    equal = dict.fromkeys((A, B, C), 1 / 3)
    mixed = personal_models(models, dict.fromkeys((A, B, C), equal))
    mean = np.mean([models[site]["w"] for site in (A, B, C)], axis=0)
    for site in (A, B, C):
        np.testing.assert_allclose(mixed[site]["w"], mean)

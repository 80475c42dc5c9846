"""The screened median: who is left out, and what the rest give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.aggregation.screening import screened_sites
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

Vector = npt.NDArray[np.float64]
WIDTH = 6


def contributions(updates: Sequence[Vector]) -> dict[ParticipantId, Contribution]:
    return {
        ParticipantId(f"did:web:x:{place:02}"): Contribution(update={"w": update}, n=1)
        for place, update in enumerate(updates)
    }


def combine(updates: Sequence[Vector], **settings: Any) -> Vector:
    return aggregate(
        "screened_median",
        {"w": np.zeros(WIDTH)},
        contributions=contributions(updates),
        state={},
        settings=settings,
    ).model["w"]


def draw(count: int, seed: int = 7) -> list[Vector]:
    return list(np.random.default_rng(seed).normal(size=(count, WIDTH)))


@pytest.mark.parametrize("attack", [-1e308, -1e12, -100.0, 100.0, 1e12, 1e200])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_who_lies_far_outside_is_left_out_and_leaves_no_trace(attack: float, place: int) -> None:
    honest = draw(4)
    updates = [*honest[:place], np.full(WIDTH, attack), *honest[place:]]
    np.testing.assert_allclose(combine(updates), np.median(honest, axis=0), rtol=1e-12)


def test_where_nobody_lies_outside_it_is_the_median() -> None:
    updates = draw(5)
    np.testing.assert_allclose(combine(updates, reach=100.0), np.median(updates, axis=0))


def test_no_more_are_left_out_than_may_be_faulty() -> None:
    updates = [*draw(5), np.full(WIDTH, 1e6), np.full(WIDTH, 1e7)]
    stay = screened_sites(contributions(updates), faulty=1, reach=3.0)
    assert [site[-1] for site in stay] == list("012345")
    stay = screened_sites(contributions(updates), faulty=2, reach=3.0)
    assert [site[-1] for site in stay] == list("01234")


@pytest.mark.parametrize("attack", [-1e12, -3.0, -1.0, 0.0, 1.0, 3.0, 1e12])
def test_one_arbitrary_site_moves_the_model_only_within_the_honest_range(attack: float) -> None:
    honest = draw(4)
    found = combine([np.full(WIDTH, attack), *honest], reach=1.0)
    assert (found >= np.min(honest, axis=0)).all()
    assert (found <= np.max(honest, axis=0)).all()


def test_sites_all_alike_stay() -> None:
    assert (combine([np.ones(WIDTH)] * 4) == 1).all()


def test_fewer_than_three_f_and_one_sites_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        combine(draw(6), faulty_sites=2)
    assert caught.value.code == "federation.too_few_sites"

"""FLTrust against its formula in plain Python, and with most sites faulty."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from consilium.federation.aggregation import Contribution, aggregate, check_named_sites
from consilium.federation.aggregation.fltrust import trusted_update
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

Vector = npt.NDArray[np.float64]
WIDTH = 6


def name(place: int) -> ParticipantId:
    return ParticipantId(f"did:web:x:{place:02}")


def contributions(updates: Sequence[Vector]) -> dict[ParticipantId, Contribution]:
    return {
        name(place): Contribution(update={"v": u[:2], "w": u[2:].reshape(2, 2)}, n=1 + place)
        for place, u in enumerate(updates)
    }


def combine(updates: Sequence[Vector], root: int = 0) -> Vector:
    model = {"v": np.zeros(2), "w": np.zeros((2, 2))}
    done = aggregate(
        "fltrust",
        model,
        contributions=contributions(updates),
        state={},
        settings={"root": name(root)},
    )
    return np.concatenate([done.model["v"], done.model["w"].ravel()])


@pytest.mark.parametrize("root", [0, 3])
def test_it_is_the_published_formula_with_the_root_among_the_sites(root: int) -> None:
    updates = list(np.random.default_rng(2).normal(size=(5, WIDTH)))
    length = math.hypot(*updates[root])
    total, weighed = 0.0, [0.0] * WIDTH
    for update in updates:
        cosine = sum(a * b for a, b in zip(update, updates[root], strict=True)) / (
            math.hypot(*update) * length
        )
        score = max(0.0, cosine)
        total += score
        weighed = [
            w + score * length / math.hypot(*update) * u
            for w, u in zip(weighed, update, strict=True)
        ]
    np.testing.assert_allclose(combine(updates, root), [w / total for w in weighed], rtol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e12, 1e200, 1.7e308])
def test_any_number_of_sites_against_the_root_move_nothing(size: float) -> None:
    honest = np.random.default_rng(1).normal(size=WIDTH)
    against = -size * (honest / np.abs(honest).max())
    np.testing.assert_allclose(combine([honest, *[against] * 9]), honest, rtol=1e-12)


def test_the_step_is_never_longer_than_the_roots() -> None:
    updates = list(np.random.default_rng(3).normal(size=(8, WIDTH)) * np.arange(1, 9)[:, None])
    assert math.hypot(*combine(updates)) <= math.hypot(*updates[0]) * (1 + 1e-12)


def test_scores_lie_between_not_believed_and_the_roots_own() -> None:
    one = np.eye(WIDTH)[0]
    updates = [one, 5 * one, -one, np.eye(WIDTH)[1], one + np.eye(WIDTH)[1], np.zeros(WIDTH)]
    scores = trusted_update(contributions(updates), root=name(0))[1]
    expected = [1, 1, 0, 0, math.sqrt(0.5), 0]
    assert [scores[name(place)] for place in range(6)] == pytest.approx(expected)


def test_a_root_that_did_not_move_moves_nothing() -> None:
    assert not combine([np.zeros(WIDTH), np.ones(WIDTH)]).any()


def test_a_round_without_the_root_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        combine([np.ones(WIDTH)], root=7)
    assert caught.value.code == "federation.no_root"


def test_a_modality_is_averaged_over_those_who_have_it() -> None:
    sites = {
        name(0): Contribution(update={"eye.w": np.ones(2), "head.w": np.ones(2)}, n=1),
        name(1): Contribution(
            update={"eye.w": np.zeros(2), "head.w": np.full(2, 3.0)}, n=1, lacks=("eye",)
        ),
    }
    update, scores = trusted_update(sites, root=name(0))
    np.testing.assert_allclose(update["eye.w"], 1.0)
    expected = (1.0 + scores[name(1)] * math.sqrt(2)) / (1 + scores[name(1)])
    np.testing.assert_allclose(update["head.w"], expected)


def test_a_plan_must_name_a_root_who_is_invited() -> None:
    invited = [name(0), name(1)]
    check_named_sites("fltrust", {"root": name(1)}, sites=invited)
    check_named_sites("median", {}, sites=invited)
    for root in ({}, {"root": name(5)}):
        with pytest.raises(InputError) as caught:
            check_named_sites("fltrust", root, sites=invited)
        assert caught.value.code == "federation.bad_setting"

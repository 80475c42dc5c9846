"""Bagging: trees side by side, in the order of the sites, weighed to one step."""

from __future__ import annotations

import numpy as np
import pytest

from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.aggregation.records import Aggregated
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId


def _model(places: int = 4, taken: int = 0) -> dict[str, np.ndarray]:
    return {
        "forest.count": np.full(1, float(taken)),
        "forest.leaf": np.zeros((places, 1, 3)),
        "forest.split": np.zeros((places, 1, 3)),
        "fresh.leaf": np.zeros((1, 3)),
        "fresh.split": np.zeros((1, 3)),
    }


def _tree(value: float, n: int, model: dict[str, np.ndarray]) -> Contribution:
    update = {name: np.zeros_like(array) for name, array in model.items()}
    update["fresh.leaf"] = np.array([[0.0, value, -value]])
    update["fresh.split"] = np.array([[value, 0.0, 0.0]])
    return Contribution(update=update, n=n)


def _plant(model: dict[str, np.ndarray], **settings: str) -> Aggregated:
    sites = {ParticipantId("b"): _tree(2.0, 30, model), ParticipantId("a"): _tree(1.0, 10, model)}
    return aggregate("bagging", model, contributions=sites, state={}, settings=settings)


def test_each_site_s_tree_gets_the_next_place_in_the_order_of_the_sites() -> None:
    found = _plant(_model(taken=1)).model
    assert found["forest.split"][:, 0, 0].tolist() == [0.0, 1.0, 2.0, 0.0]
    assert found["forest.count"].tolist() == [3.0]
    assert not found["fresh.leaf"].any()


def test_leaves_weigh_by_cases_or_all_the_same() -> None:
    by_cases = _plant(_model()).model["forest.leaf"]
    np.testing.assert_allclose(by_cases[:2, 0, 1], [1.0 * 0.25, 2.0 * 0.75])
    equal = _plant(_model(), weights="equal").model["forest.leaf"]
    np.testing.assert_allclose(equal[:2, 0, 1], [0.5, 1.0])


def test_a_site_cannot_touch_the_trees_that_stand() -> None:
    model = _model(taken=1)
    model["forest.leaf"][0] = 7.0
    grabbing = _tree(1.0, 10, model)
    grabbing.update["forest.leaf"][:] = 99.0
    grabbing.update["forest.count"][:] = -1.0
    found = aggregate(
        "bagging", model, contributions={ParticipantId("a"): grabbing}, state={}, settings={}
    ).model
    assert (found["forest.leaf"][0] == 7.0).all()
    assert not (found["forest.leaf"] == 99.0).any()
    assert found["forest.count"].tolist() == [2.0]


def test_the_model_before_stays_as_it_was() -> None:
    model = _model()
    _plant(model)
    assert not any(array.any() for array in model.values())


def test_more_trees_than_places_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        _plant(_model(places=3, taken=2))
    assert caught.value.code == "federation.bad_update"
    assert "no place left" in caught.value.public


def test_a_model_that_is_no_forest_is_refused() -> None:
    plain = {"weight": np.zeros(2)}
    one = Contribution(update={"weight": np.ones(2)}, n=3)
    with pytest.raises(InputError) as caught:
        aggregate("bagging", plain, contributions={ParticipantId("a"): one}, state={}, settings={})
    assert "no forest" in caught.value.public

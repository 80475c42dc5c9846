"""Registering a dataset: all or nothing, with evidence."""

from __future__ import annotations

from typing import Any

import pytest
from dataspace_rehearsal import Hospital, terms

from consilium.dataspace.datasets import (
    find_dataset,
    get_dataset,
    list_datasets,
)
from consilium.kernel.errors import ConsiliumError, NotFoundError


def test_a_dataset_is_found_by_name_and_by_identifier(south: Hospital) -> None:
    registered = south.register("heart")
    south.register("brain")
    with south.database.read() as connection:
        assert find_dataset(connection, "heart") == registered
        assert get_dataset(connection, registered.id) == registered
        assert find_dataset(connection, "lung") is None
        with pytest.raises(NotFoundError):
            get_dataset(connection, "lung")
        assert [one.name for one in list_datasets(connection)] == ["brain", "heart"]


def test_registration_and_offer_stand_in_the_evidence(south: Hospital) -> None:
    dataset = south.register()
    registered, published = south.database.evidence.entries()
    assert (registered.kind, registered.subject) == ("dataset.registered", dataset.id)
    assert registered.facts["fingerprint"] == dataset.fingerprint
    assert registered.facts["governance"]["ethics_approval"] == "2026-117"
    assert (published.kind, published.subject) == ("offer.published", dataset.offer)
    assert published.facts["terms"]["count"] == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "Heart Disease"}, "kernel.bad_name"),
        ({"governance": {}}, "dataspace.bad_governance"),
        ({"terms": terms("north", count=0)}, "dataspace.bad_terms"),
        ({"terms": terms()}, "dataspace.bad_terms"),
        ({"terms": terms("north", purposes=("",))}, "dataspace.unknown_term"),
    ],
)
def test_a_faulty_registration_leaves_nothing_behind(
    south: Hospital, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(ConsiliumError) as refused:
        south.register(**changes)
    assert refused.value.code == code
    with south.database.read() as connection:
        assert list_datasets(connection) == []
    assert south.kinds() == []


def test_a_name_is_given_once(south: Hospital) -> None:
    south.register()
    with pytest.raises(ConsiliumError) as refused:
        south.register()
    assert refused.value.code == "dataspace.dataset_exists"

"""What the catalogue shows of images, targets and classes."""

from __future__ import annotations

from typing import Any

import pytest
from dataspace_rehearsal import SCHEMA, Hospital, Space

from consilium.dataspace.catalog import Listing, request_catalog, show_catalog
from consilium.readers.schema import Schema

EYE = Schema.from_record(
    {
        "fields": [
            {"name": "fundus", "kind": "image", "shape": [64, 64, 3]},
            {"name": "erg", "kind": "signal", "shape": [500, 2], "modality": "electro"},
            {"name": "age", "kind": "number", "unit": "a"},
            {"name": "idh1", "kind": "category", "categories": ["0", "1"], "modality": "genes"},
            {"name": "grade", "kind": "category", "categories": ["0", "1", "2"]},
        ],
        "label": {"kind": "classes", "field": "grade", "classes": ["none", "mild", "severe"]},
    }
).as_record()


@pytest.fixture
def north(space: Space) -> Hospital:
    return space.add("north")


def counted(none: int, mild: int, severe: int) -> dict[str, Any]:
    return {
        "classes": {
            "kind": "classes",
            "train": {"none": none - 3, "mild": mild - 2, "severe": severe},
            "held_out": {"none": 3, "mild": 2, "severe": 0},
        }
    }


def listing_of(north: Hospital, south: Hospital, **dataset: Any) -> Listing:
    south.register(**dataset)
    (listing,) = request_catalog(north.connector, south.me)
    return listing


def test_a_peer_learns_kinds_modalities_shapes_and_the_target(
    north: Hospital, south: Hospital
) -> None:
    listing = listing_of(north, south, schema=EYE)
    assert [(one.name, one.kind, one.modality, one.shape) for one in listing.columns] == [
        ("age", "number", "table", ()),
        ("idh1", "category", "genes", ()),
        ("fundus", "image", "fundus", (64, 64, 3)),
        ("erg", "signal", "electro", (500, 2)),
    ]
    assert listing.target == {
        "kind": "classes",
        "classes": ["none", "mild", "severe"],
        "unit": "",
    }
    assert listing.label["field"] == "grade"


def test_an_image_is_an_image_object_with_its_shape_in_croissant(
    north: Hospital, south: Hospital
) -> None:
    south.register(schema=EYE)
    (entry,) = show_catalog(south.connector, north.me)["dataset"]
    fields = {one["cr:name"]: one for one in entry["cr:recordSet"][0]["cr:field"]}
    assert fields["fundus"]["cr:dataType"] == "sc:ImageObject"
    assert fields["fundus"]["cr:arrayShape"] == "64,64,3"
    assert fields["erg"]["cr:dataType"] == "sc:Float"
    assert fields["erg"]["cr:isArray"] is True
    assert "cr:isArray" not in fields["age"]


def test_all_classes_but_the_largest_are_counted_in_tens(north: Hospital, south: Hospital) -> None:
    listing = listing_of(north, south, schema=EYE, quality=counted(119, 66, 10))
    assert listing.classes == {"mild": 60, "severe": 10}


def test_classes_are_hidden_where_the_sizes_of_the_sides_are(
    north: Hospital, south: Hospital
) -> None:
    listing = listing_of(north, south, schema=EYE, quality=counted(119, 60, 10), n_test=5)
    assert (listing.n_train, listing.classes) == (None, {})


def test_one_small_class_hides_the_counts_of_all(north: Hospital, south: Hospital) -> None:
    listing = listing_of(north, south, schema=EYE, quality=counted(119, 60, 9))
    assert listing.classes == {}
    assert "recordsByClass" not in str(show_catalog(south.connector, north.me))


def test_classes_of_public_data_are_counted_exactly(north: Hospital, south: Hospital) -> None:
    listing = listing_of(north, south, schema=EYE, quality=counted(119, 60, 9), public=True)
    assert listing.classes == {"none": 119, "mild": 60, "severe": 9}


def test_a_target_without_classes_shows_no_counts(north: Hospital, south: Hospital) -> None:
    quality = {"classes": {"kind": "number", "train": {"rows": 90}, "held_out": {"rows": 40}}}
    assert listing_of(north, south, schema=EYE, quality=quality).classes == {}


def test_a_yes_or_no_is_a_binary_target(north: Hospital, south: Hospital) -> None:
    listing = listing_of(north, south, schema=SCHEMA)
    assert listing.target == {"kind": "binary", "classes": [], "unit": ""}
    assert {one.modality for one in listing.columns} == {"table"}

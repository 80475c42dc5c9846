"""Searching the catalogue in memory."""

from __future__ import annotations

import pytest
from listings import NORTH, SOUTH, WEST, catalogue_of, listing

from consilium.node.reading.bands import band_of
from consilium.node.reading.catalogue import CatalogueView


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [SOUTH, WEST]),
        ("心脏", [SOUTH, WEST]),
        ("OUTCOME south", [SOUTH]),
        ("age height", []),
    ],
)
def test_every_word_must_be_said_somewhere(text: str, found: list[str]) -> None:
    catalogue = catalogue_of(listing(SOUTH), listing(WEST))
    catalogue.look()
    assert [one.listing.participant for one in catalogue.search(text)] == found


def test_a_dataset_is_found_by_name_or_identifier() -> None:
    catalogue = catalogue_of(listing(SOUTH))
    by_name = catalogue.find(SOUTH, "heart")
    assert by_name is not None
    assert catalogue.find(SOUTH, by_name.listing.dataset) is by_name
    assert catalogue.find(WEST, "heart") is None
    assert catalogue.count_of(SOUTH) == 1


def test_counts_are_shown_as_bands_and_hidden_ones_not_at_all() -> None:
    assert [band_of(count) for count in (None, 9, 10, 49, 50, 1_000, 99_999, 100_000)] == [
        "",
        "",
        "10–49",
        "10–49",
        "50–99",
        "1000–4999",
        "50000–99999",
        "≥100000",
    ]


def test_a_row_shows_no_exact_count() -> None:
    catalogue = catalogue_of(listing(SOUTH, n_train=None, n_test=None), listing(WEST, n_train=61))
    view = CatalogueView(me=NORTH, recipes={})
    hidden, shown = map(view.show, catalogue.list_entries())
    assert (hidden.rows_band, shown.rows_band) == ("", "50–99")
    assert "61" not in shown.model_dump_json()

"""What the catalogue shows, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest
from dataspace_rehearsal import SCHEMA, Hospital, Space, terms

from consilium.dataspace.catalog import request_catalog, show_catalog
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.wire.tokens import make_answer
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.errors import PeerError


@pytest.fixture
def north(space: Space) -> Hospital:
    return space.add("north")


def test_a_recipient_reads_columns_label_terms_and_governance(
    north: Hospital, south: Hospital
) -> None:
    dataset = south.register()
    (listing,) = request_catalog(north.connector, south.me)
    assert [(one.name, one.kind, one.unit) for one in listing.columns] == [
        ("age", "number", "a"),
        ("sex", "category", ""),
    ]
    assert listing.columns[1].categories == ("f", "m")
    assert listing.label == SCHEMA["label"]
    assert listing.governance == dataset.governance
    assert (listing.n_train, listing.n_test, listing.public) == (200, 100, False)
    assert listing.terms.recipients == (north.me,)
    assert listing.as_record()["offer"] == dataset.offer


@pytest.mark.parametrize(("n_train", "n_test"), [(9, 100), (200, 9), (0, 0)])
def test_small_counts_are_left_out_wholly(
    north: Hospital, south: Hospital, n_train: int, n_test: int
) -> None:
    south.register(n_train=n_train, n_test=n_test)
    (listing,) = request_catalog(north.connector, south.me)
    assert (listing.n_train, listing.n_test) == (None, None)
    text = canonical_bytes(show_catalog(south.connector, north.me)).decode()
    assert "numberOfRecords" not in text
    assert "Records" not in text


def test_counts_of_public_data_are_shown_however_small(north: Hospital, south: Hospital) -> None:
    south.register(n_train=9, n_test=3, public=True)
    (listing,) = request_catalog(north.connector, south.me)
    assert (listing.n_train, listing.n_test, listing.public) == (9, 3, True)


def test_neither_quality_nor_source_layout_nor_array_file_is_shown(
    north: Hospital, south: Hospital
) -> None:
    dataset = south.register(quality={"secret_count": 3})
    text = canonical_bytes(show_catalog(south.connector, north.me)).decode()
    for hidden in ("secret_count", dataset.arrays, "delimiter", "split", "missing_marks"):
        assert hidden not in text


def test_only_named_recipients_see_an_entry(space: Space, north: Hospital, south: Hospital) -> None:
    south.register("one", terms=terms("north"))
    south.register("two", terms=terms("north", "west"))
    west, east = space.add("west"), space.add("east")
    shown = {
        who.name: [one.name for one in request_catalog(who.connector, south.me)]
        for who in (north, west, east, south)
    }
    assert shown == {"north": ["one", "two"], "west": ["two"], "east": [], "south": []}


def answer_with(south: Hospital, document: Any, status: int = 200) -> None:
    def door(request: WireRequest) -> WireReply:
        body = canonical_bytes(document)
        token = make_answer(
            south.key, issuer=south.me, request=request.token, status=status, body=body
        )
        return WireReply(status=status, body=body, token=token)

    south.space.doors[south.me] = door


def test_an_entry_with_terms_that_nobody_knows_is_left_out(
    north: Hospital, south: Hospital
) -> None:
    south.register("one")
    south.register("two")
    catalog = show_catalog(south.connector, north.me)
    term = {"leftOperand": "odrl:spatial", "operator": "eq", "rightOperand": "EU"}
    catalog["dataset"][0]["hasPolicy"][0]["permission"][0]["constraint"].append(term)
    answer_with(south, catalog)
    assert [one.name for one in request_catalog(north.connector, south.me)] == ["two"]


@pytest.mark.parametrize("document", [[], {}, {"@type": "Catalog"}, {"dataset": 7}])
def test_an_answer_that_is_no_catalogue_is_a_fault_of_the_peer(
    north: Hospital, south: Hospital, document: Any
) -> None:
    answer_with(south, document)
    with pytest.raises(PeerError) as failed:
        request_catalog(north.connector, south.me)
    assert failed.value.code == "dataspace.bad_answer"


def test_a_refused_catalogue_names_the_peer(north: Hospital, south: Hospital) -> None:
    answer_with(south, {"code": "x"}, status=400)
    with pytest.raises(PeerError) as failed:
        request_catalog(north.connector, south.me)
    assert failed.value.code == "dataspace.peer_refused"

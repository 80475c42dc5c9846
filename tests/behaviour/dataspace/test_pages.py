"""The catalogue in pages: complete, stable, filtered, packed, and quick however long it is."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from importlib import import_module
from typing import Any

import httpx
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from dataspace_rehearsal import Hospital, Space, terms
from fastapi import FastAPI
from sqlalchemy import insert, text

from consilium.dataspace.catalog import NEXT, PREVIOUS, request_catalog
from consilium.dataspace.endpoints import dsp_router
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.settings import DataspaceSettings
from consilium.dataspace.tables import SHOWN
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.tokens import make_answer, make_token
from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import PeerError

BASE = builders.BASE
CATALOG = f"{BASE}/catalog/request"


@pytest.fixture
def south(space: Space) -> Hospital:
    """A hospital that shows three datasets a page."""
    return space.add("south", settings=DataspaceSettings(page_entries=3))


def doubled(letters: str) -> list[str]:
    """Give short names: a letter alone is none."""
    return [letter * 2 for letter in letters]


def fill(south: Hospital, *names: str, **changes: Any) -> None:
    for name in names:
        south.register(name, title=f"Title of {name}", **changes)


def page(north: Hospital, south: Hospital, cursor: str = "", filters: Any = None) -> Any:
    message = builders.catalog_request() | ({"filter": filters} if filters is not None else {})
    path = CATALOG + (f"?cursor={cursor}" if cursor else "")
    return north.post(south, path, message)


def names(document: Any) -> list[str]:
    return [entry["dct:identifier"] for entry in document.get("dataset", [])]


def test_pages_are_followed_to_the_end(north: Hospital, south: Hospital) -> None:
    fill(south, *(f"d{number}" for number in range(8)))
    shown = request_catalog(north.connector, south.me)
    assert [one.name for one in shown] == [f"d{number}" for number in range(8)]
    assert len([one for one in north.transport.sent if "/catalog/" in one.path]) == 3


def test_pages_lead_forwards_and_back(north: Hospital, south: Hospital) -> None:
    fill(south, *doubled("abcdefg"))
    _, first = page(north, south)
    assert (names(first), PREVIOUS in first) == (["aa", "bb", "cc"], False)
    _, second = page(north, south, first[NEXT])
    _, third = page(north, south, second[NEXT])
    assert (names(second), names(third), NEXT in third) == (["dd", "ee", "ff"], ["gg"], False)
    _, back = page(north, south, third[PREVIOUS])
    assert (names(back), NEXT in back, PREVIOUS in back) == (["dd", "ee", "ff"], True, True)
    _, start = page(north, south, back[PREVIOUS])
    assert (names(start), PREVIOUS in start) == (["aa", "bb", "cc"], False)
    status, same = north.get(south, f"{CATALOG}?cursor={first[NEXT]}")
    assert (status, names(same)) == (200, ["dd", "ee", "ff"])


def test_new_datasets_do_not_move_the_pages(north: Hospital, south: Hospital) -> None:
    fill(south, *doubled("bdfhj"))
    _, first = page(north, south)
    fill(south, "aa", "cc", "gg")
    _, second = page(north, south, first[NEXT])
    assert names(first) + names(second) == ["bb", "dd", "ff", "gg", "hh", "jj"]


def test_a_page_is_bounded_in_bytes_too(space: Space, north: Hospital) -> None:
    settings = DataspaceSettings(page_bytes=2000)
    west = space.add("west", settings=settings)
    fill(west, "aa", "bb", "cc")
    _, first = page(north, west)
    assert 1 <= len(names(first)) < 3
    assert [one.name for one in request_catalog(north.connector, west.me)] == ["aa", "bb", "cc"]


def test_a_page_holds_only_what_its_viewer_may_see(
    space: Space, north: Hospital, south: Hospital, stranger: Hospital
) -> None:
    fill(south, "aa", "cc", "ee", "gg")
    fill(south, "bb", "dd", "ff", terms=terms("stranger"))
    assert [one.name for one in request_catalog(north.connector, south.me)] == doubled("aceg")
    assert [one.name for one in request_catalog(stranger.connector, south.me)] == doubled("bdf")
    _, first = page(north, south)
    _, other = page(stranger, south, first[NEXT])
    assert names(other) == ["ff"], "a cursor opens nothing"


FILTERS = [
    ([{"keyword": "STROKE"}], ["stroke"]),
    ([{"keyword": "sex"}], ["heart", "open", "stroke"]),
    ([{"keyword": "%"}], []),
    ([{"keyword": "title"}, {"access": "PUBLIC"}], ["open"]),
    ([{"purpose": "care"}], ["stroke"]),
    ([{"purpose": "car"}], []),
    ([{"name": "heart"}], ["heart"]),
    ([{"format": builders.FORMAT}], ["heart", "open", "stroke"]),
    ([{"format": "HttpData-PULL"}], []),
    ([{"access": "NON_PUBLIC", "purpose": "research"}], ["heart", "stroke"]),
    ([], ["heart", "open", "stroke"]),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_a_filter_shows_what_fits_all_of_it(
    north: Hospital, south: Hospital, filters: Any, expected: list[str]
) -> None:
    fill(south, "heart")
    fill(south, "open", public=True)
    fill(south, "stroke", terms=terms("north", purposes=("research", "care")))
    status, shown = page(north, south, filters=filters)
    assert (status, names(shown)) == (200, expected)


@pytest.mark.parametrize(
    "filters",
    [
        [{"any": "thing"}],
        [{"keyword": 7}],
        [{"keyword": ""}],
        [{"keyword": "x" * 201}],
        ["keyword"],
        [{"access": "OPEN"}],
        [{"name": "aa"}, {"name": "bb"}],
        [[]],
    ],
)
def test_a_filter_that_is_not_known_is_refused(
    north: Hospital, south: Hospital, filters: Any
) -> None:
    status, error = page(north, south, filters=filters)
    assert (status, error["@type"]) == (400, "CatalogError")
    assert error["code"] == "dataspace.filter_unsupported"


def test_a_filter_goes_with_its_pages(north: Hospital, south: Hospital) -> None:
    fill(south, *(f"zz{number}" for number in range(5)), "other")
    _, first = page(north, south, filters=[{"keyword": "zz"}])
    _, second = page(north, south, first[NEXT])
    assert names(second) == ["zz3", "zz4"]
    status, error = page(north, south, first[NEXT], filters=[{"keyword": "y"}])
    assert (status, error["code"]) == (400, "dataspace.bad_cursor")
    shown = request_catalog(north.connector, south.me, filters={"keyword": "zz"})
    assert len(shown) == 5


@pytest.mark.parametrize(
    "query",
    ["cursor=", "cursor=!!!", "cursor=e30", "cursor=" + "A" * 3000, "page=2", "cursor=a&cursor=b"],
)
def test_a_cursor_that_we_did_not_write_is_refused(
    north: Hospital, south: Hospital, query: str
) -> None:
    status, error = north.post(south, f"{CATALOG}?{query}", builders.catalog_request())
    assert (status, error["code"]) == (400, "dataspace.bad_cursor")


def test_pages_that_never_end_are_the_peers_fault(north: Hospital, south: Hospital) -> None:
    fill(south, "aa")
    _, document = page(north, south)

    def door(request: WireRequest) -> WireReply:
        body = canonical_bytes(document | {NEXT: "again"})
        token = make_answer(
            south.key, issuer=south.me, request=request.token, status=200, body=body
        )
        return WireReply(status=200, body=body, token=token)

    south.space.doors[south.me] = door
    with pytest.raises(PeerError) as failed:
        request_catalog(north.connector, south.me)
    assert failed.value.code == "dataspace.bad_answer"


def ask_over_http(north: Hospital, south: Hospital, path: str, **headers: str) -> Any:
    """Ask as another house's client would, and give the raw answer."""
    app = FastAPI()
    app.include_router(dsp_router(south.connector), prefix="/dsp")
    body = canonical_bytes(builders.catalog_request())
    token = make_token(
        north.key,
        issuer=north.me,
        audience=south.me,
        method="POST",
        path=path,
        body=body,
        clock=north.space.clock,
    )
    headers |= {"Authorization": f"Bearer {token}"}

    async def send() -> tuple[httpx.Response, bytes]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://x") as client:
            request = client.build_request("POST", "/dsp" + path, content=body, headers=headers)
            reply = await client.send(request, stream=True)
            return reply, b"".join([chunk async for chunk in reply.aiter_raw()])

    return asyncio.run(send())


def test_an_answer_is_packed_for_who_asks_and_links_to_its_neighbours(
    north: Hospital, south: Hospital
) -> None:
    fill(south, *doubled("abcdefg"))
    plain, body = ask_over_http(north, south, CATALOG, **{"Accept-Encoding": "identity"})
    packed, less = ask_over_http(north, south, CATALOG, **{"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(less) == body
    assert len(less) < len(body) / 2
    document: Any = read_json(body)
    root = "https://hub.example.org/members/south/dsp"
    assert plain.headers["Link"] == f'<{root}{CATALOG}?cursor={document[NEXT]}>; rel="next"'
    second, _ = ask_over_http(
        north, south, f"{CATALOG}?cursor={document[NEXT]}", **{"Accept-Encoding": "gzip;q=0"}
    )
    assert 'rel="next"' in second.headers["Link"]
    assert 'rel="previous"' in second.headers["Link"]
    assert "Content-Encoding" not in second.headers


def test_a_page_is_found_by_an_index_and_costs_the_same_among_many(
    north: Hospital, south: Hospital
) -> None:
    dataset = south.register("aa")
    many = [
        {
            "recipient": f"did:web:example.org:h{number % 50}",
            "name": f"n{number}",
            "dataset": dataset.id,
            "until": "2090",
            "public": False,
            "words": "",
            "purposes": "",
        }
        for number in range(2000)
    ]
    with south.database.write() as tx:
        tx.execute(insert(SHOWN), list(many))
    query = (
        "EXPLAIN QUERY PLAN SELECT datasets.id FROM datasets"
        " JOIN dataset_shown ON dataset_shown.dataset = datasets.id"
        " WHERE dataset_shown.recipient = 'x' AND dataset_shown.name > 'n'"
        " AND dataset_shown.until >= '2026' ORDER BY dataset_shown.name LIMIT 64"
    )
    with south.database.read() as connection:
        plan = " ".join(str(row) for row in connection.execute(text(query)))
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan
    assert "recipient=? AND name>?" in plan
    assert [one.name for one in request_catalog(north.connector, south.me)] == ["aa"]


def test_an_offer_that_has_run_out_takes_no_place_on_a_page(
    space: Space, north: Hospital, south: Hospital
) -> None:
    fill(south, "aa", "bb", terms=terms("north", not_after="2026-11-24T00:00:00+08:00"))
    fill(south, "cc")
    assert [one.name for one in request_catalog(north.connector, south.me)] == ["aa", "bb", "cc"]
    space.held.advance(timedelta(days=2))
    _, first = page(north, south)
    assert (names(first), NEXT in first) == (["cc"], False)


def test_datasets_from_before_there_were_pages_are_shown_on_them(
    space: Space, north: Hospital, south: Hospital
) -> None:
    dataset = south.register("old", terms=terms("north", "stranger"))
    with south.database.read() as connection:
        shown = set(connection.execute(SHOWN.select()).all())
    script = import_module("consilium.ledger.migrations.versions.0007_protocol")
    with south.database.write() as tx:
        tx.execute(SHOWN.delete())
        with Operations.context(MigrationContext.configure(tx.connection)):
            script._show_present_datasets(SHOWN)
    with south.database.read() as connection:
        assert set(connection.execute(SHOWN.select()).all()) == shown
    assert len(shown) == 2
    assert [one.dataset for one in request_catalog(north.connector, south.me)] == [dataset.id]

"""Pages of long lists."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.kernel.errors import InputError
from consilium.web.paging import Page, PageAsk, Place, read_cursor, take_page, write_cursor


def place_of(item: int) -> Place:
    return (item,)


def walk(items: list[int], *, limit: int, is_falling: bool) -> list[int]:
    found: list[int] = []
    ask = PageAsk(limit=limit)
    while True:
        page: Page[int] = take_page(
            items, ask, place=place_of, show=lambda one: one, is_falling=is_falling
        )
        found += page.items
        if page.next is None:
            return found
        ask = PageAsk(limit=limit, after=read_cursor(page.next))


@given(st.sets(st.integers(-1000, 1000)), st.integers(1, 7), st.booleans())
def test_the_pages_together_are_the_list(items: set[int], limit: int, is_falling: bool) -> None:
    ordered = sorted(items, reverse=is_falling)
    assert walk(ordered, limit=limit, is_falling=is_falling) == ordered


def test_new_items_do_not_move_the_pages_that_were_seen() -> None:
    page = take_page([5, 4, 3], PageAsk(limit=2), place=place_of, show=str, is_falling=True)
    ask = PageAsk(limit=2, after=read_cursor(str(page.next)))
    behind = take_page([9, 5, 4, 3], ask, place=place_of, show=str, is_falling=True)
    assert behind.items == ["3"]


@given(st.lists(st.text() | st.integers(-(2**53) + 1, 2**53 - 1), min_size=1))
def test_a_cursor_is_read_as_it_was_written(place: list[str | int]) -> None:
    assert read_cursor(write_cursor(tuple(place))) == tuple(place)


@given(st.text())
def test_what_is_no_cursor_is_refused_and_nothing_else_happens(text: str) -> None:
    with suppress(InputError):
        assert read_cursor(text)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        take_page([1, 2], PageAsk(after=("a",)), place=place_of, show=str)
    assert caught.value.code == "boundary.bad_cursor"

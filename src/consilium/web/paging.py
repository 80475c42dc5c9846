"""Pages of long lists: so many items, and an opaque cursor to what follows.

A cursor names the last item that was seen by its place in the list's order, so
new items do not move the pages that were seen, and the cursor needs no memory
here. It opens nothing that could not be asked for without it.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict

from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import InputError

USUAL, MOST = 50, 200
"""Items of a page: if nobody says, and at most."""
LONGEST_CURSOR = 2000

Item = TypeVar("Item")
Shown = TypeVar("Shown")
Place = tuple[str | int, ...]
"""Where an item stands in its list's order; no two items stand in one place."""


class Shape(BaseModel):
    """What a route answers; every field stands in the interface's description."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(Shape, Generic[Item]):
    """Some items of a list, and the cursor of what follows them; null at the end."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAsk:
    """Which page is asked for: at most `limit` items behind the place `after`."""

    limit: int = USUAL
    after: Place = ()


def read_page_ask(
    limit: Annotated[int, Query(ge=1, le=MOST, description="Items of the page.")] = USUAL,
    cursor: Annotated[
        str, Query(max_length=LONGEST_CURSOR, description="`next` of the page before.")
    ] = "",
) -> PageAsk:
    """Read the two parameters that every paged route has.

    Raises
    ------
    InputError
        `boundary.bad_cursor`.
    """
    return PageAsk(limit=limit, after=read_cursor(cursor) if cursor else ())


Paged = Annotated[PageAsk, Depends(read_page_ask)]
"""The parameter of a route that answers with a page."""


def take_page(
    items: Sequence[Item],
    ask: PageAsk,
    *,
    place: Callable[[Item], Place],
    show: Callable[[Item], Shown],
    is_falling: bool = False,
) -> Page[Shown]:
    """Cut a page out of a sorted list.

    Parameters
    ----------
    items : sequence
        In rising order of `place`, or in falling order if `is_falling`.
    place : callable
        An item's place.
    show : callable
        Called for the items of the page alone.

    Raises
    ------
    InputError
        `boundary.bad_cursor` if the cursor is of another list.
    """
    try:
        if not ask.after:
            begin = 0
        elif is_falling:
            begin = _behind_falling(items, ask.after, place)
        else:
            begin = bisect_right(items, ask.after, key=place)
    except TypeError as error:
        raise InputError("boundary.bad_cursor") from error
    found = items[begin : begin + ask.limit]
    more = begin + ask.limit < len(items)
    return Page(
        items=[show(one) for one in found],
        next=write_cursor(place(found[-1])) if more and found else None,
    )


def write_cursor(place: Place) -> str:
    """Write a place as a cursor."""
    return base64.urlsafe_b64encode(canonical_bytes(list(place))).decode("ascii").rstrip("=")


def read_cursor(cursor: str) -> Place:
    """Read what `write_cursor` wrote.

    Raises
    ------
    InputError
        `boundary.bad_cursor`.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = read_json(data.decode("utf-8"))
    except (ValueError, binascii.Error, InputError) as error:
        raise InputError("boundary.bad_cursor") from error
    if not isinstance(found, list) or not found:
        raise InputError("boundary.bad_cursor")
    place: list[str | int] = []
    for one in found:
        if isinstance(one, bool) or not isinstance(one, str | int):
            raise InputError("boundary.bad_cursor")
        place.append(one)
    return tuple(place)


def _behind_falling(items: Sequence[Item], after: Place, place: Callable[[Item], Place]) -> int:
    """Find where places begin that are below `after`, by halving."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if place(items[middle]) >= after:
            low = middle + 1
        else:
            high = middle
    return low

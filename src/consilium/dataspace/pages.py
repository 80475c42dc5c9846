"""Pages of the catalogue: which datasets a viewer is shown next, however many there are.

A table made from the offers (`tables.SHOWN`) finds the candidates of one page in
the order of their names; each candidate's own offer then decides. So a page
costs the same among ten datasets and among a hundred thousand.

A cursor names the dataset that a page begins behind, and the filter. It needs
no memory here and no signature: it opens nothing that the viewer could not ask
for in words. New datasets do not move the pages that were seen.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, select

from consilium.dataspace.governance import ENDS
from consilium.dataspace.records import Dataset
from consilium.dataspace.store import read_datasets
from consilium.dataspace.tables import DATASETS, SHOWN
from consilium.dataspace.vocabulary import read_moment
from consilium.dataspace.wire.builders import FORMAT
from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.clock import write_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import Transaction

LONGEST_CURSOR = 2000
_LONGEST_WORD = 200
_CANDIDATES = 64
"""Candidates that are fetched at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a viewer wants to see: a filter, and where the page begins.

    `edge` is the name of a dataset; the page holds what comes after it, or
    before it if `backwards`. Empty means from the beginning.
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    edge: str = ""
    backwards: bool = False

    def cursor(self, edge: str, *, backwards: bool) -> str:
        """Write the cursor of a neighbouring page."""
        found: Json = {"filter": dict(self.filters), "edge": edge, "backwards": backwards}
        return base64.urlsafe_b64encode(canonical_bytes(found)).decode("ascii").rstrip("=")


def read_ask(filters: list[Any], *, cursor: str | None = None) -> Ask:
    """Read a catalogue request's filter, and the cursor of its address.

    The filter is a list of objects whose entries must all hold: `name` (short
    name or identifier), `keyword` (occurs in name, title or columns), `purpose`,
    `access` (`PUBLIC`, `NON_PUBLIC`), `format`. A cursor brings its own.

    Raises
    ------
    InputError
        `dataspace.filter_unsupported`, `dataspace.bad_cursor`.

    Discloses
    ---------
    Nothing.
    """
    asked = _read_filters(filters)
    if cursor is None:
        return Ask(filters=asked)
    found = _read_cursor(cursor)
    if asked not in ({}, found.filters):
        raise InputError("dataspace.bad_cursor")
    return found


def list_shown(
    connection: Connection, viewer: ParticipantId, ask: Ask, *, now: str
) -> Iterator[Dataset]:
    """List the candidates for a viewer in the order of travel, without end.

    Discloses
    ---------
    Nothing by itself; the caller asks each candidate's offer.
    """
    wanted = SHOWN.c.recipient == viewer, SHOWN.c.until >= now, *_conditions(ask)
    edge, order = ask.edge, SHOWN.c.name.desc() if ask.backwards else SHOWN.c.name
    while True:
        query = select(DATASETS).join(SHOWN, SHOWN.c.dataset == DATASETS.c.id)
        if edge:
            beyond = SHOWN.c.name < edge if ask.backwards else SHOWN.c.name > edge
            query = query.where(beyond)
        found = _fetch(connection, query.where(*wanted).order_by(order))
        yield from found
        if len(found) < _CANDIDATES:
            return
        edge = found[-1].name


def show_to_recipients(tx: Transaction, dataset: Dataset) -> None:
    """Enter a dataset's offer into the table behind the pages, in place of an earlier one.

    Discloses
    ---------
    Nothing by itself; from now on the named recipients find the entry.
    """
    tx.execute(delete(SHOWN).where(SHOWN.c.dataset == dataset.id))
    terms = dataset.terms
    columns = [str(each["name"]) for each in dataset.schema.get("fields", [])]
    ends = (
        terms.not_after,
        *(dataset.governance[end] for end in ENDS if end in dataset.governance),
    )
    row = {
        "name": dataset.name,
        "dataset": dataset.id,
        "until": write_time(min(read_moment(end) for end in ends)),
        "public": dataset.public,
        "words": "\n".join([dataset.name, dataset.title, *columns]).lower(),
        "purposes": "\n".join(["", *terms.purposes, ""]),
    }
    rows: list[Mapping[str, Any]] = [
        {**row, "recipient": one} for one in dict.fromkeys(terms.recipients)
    ]
    tx.execute(insert(SHOWN), rows)


def _fetch(connection: Connection, query: Select[Any]) -> list[Dataset]:
    return read_datasets(connection, query.limit(_CANDIDATES))


def _conditions(ask: Ask) -> list[ColumnElement[bool]]:
    return [_FILTERS[key](value) for key, value in ask.filters.items()]


def _is_named(value: str) -> ColumnElement[bool]:
    return (SHOWN.c.name == value) | (SHOWN.c.dataset == value)


def _is_open(value: str) -> ColumnElement[bool]:
    if value not in {"PUBLIC", "NON_PUBLIC"}:
        raise InputError("dataspace.filter_unsupported", key="access")
    return SHOWN.c.public.is_(value == "PUBLIC")


def _has_word(value: str) -> ColumnElement[bool]:
    return SHOWN.c.words.contains(value.lower(), autoescape=True)


def _serves(value: str) -> ColumnElement[bool]:
    return SHOWN.c.purposes.contains(f"\n{value}\n", autoescape=True)


def _has_format(value: str) -> ColumnElement[bool]:
    return SHOWN.c.name != "" if value == FORMAT else SHOWN.c.name == ""


_FILTERS: Mapping[str, Callable[[str], ColumnElement[bool]]] = {
    "name": _is_named,
    "keyword": _has_word,
    "purpose": _serves,
    "access": _is_open,
    "format": _has_format,
}


def _read_filters(filters: list[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in filters:
        if not isinstance(entry, dict) or found.keys() & entry.keys():
            raise InputError("dataspace.filter_unsupported", key="filter")
        for key, value in entry.items():
            is_word = isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD
            if key not in _FILTERS or not is_word:
                raise InputError("dataspace.filter_unsupported", key=str(key)[:80])
            _FILTERS[key](value)
            found[key] = value
    return found


def _read_cursor(cursor: str) -> Ask:
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError("too long")
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = read_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(found, dict) or found.keys() != {"filter", "edge", "backwards"}:
            raise ValueError("other fields")
        edge, backwards = found["edge"], found["backwards"]
        if not isinstance(edge, str) or not edge or not isinstance(backwards, bool):
            raise ValueError("other kinds")
        return Ask(filters=_read_filters([found["filter"]]), edge=edge, backwards=backwards)
    except (ValueError, binascii.Error, InputError) as error:
        raise InputError("dataspace.bad_cursor") from error

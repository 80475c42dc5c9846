"""The catalogue as screens read it: one row for each dataset, in pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from consilium.dataspace.catalog import FieldShown
from consilium.dataspace.records import Terms
from consilium.dataspace.sentences import sentences_of
from consilium.kernel.identifiers import ParticipantId
from consilium.node.catalogue import Catalogue, Entry
from consilium.node.reading.bands import band_of
from consilium.node.reading.shapes import TermWords, Words, say_terms
from consilium.web.paging import Page, Paged, Shape, take_page
from consilium.web.seats import Scope, Sight

_SAID = 4096
"""Different terms whose sentences are kept."""


class FieldRow(Shape):
    """A field as a catalogue shows it."""

    name: str
    kind: str
    unit: str
    modality: str


class Offer(Shape):
    """An offer, with its terms in words."""

    id: str
    words: list[TermWords]


class CatalogRow(Shape):
    """One dataset of one hospital; `title` is the hospital's."""

    participant: str
    title: str
    dataset: str
    name: str
    description: str
    modality: str
    modalities: list[str]
    rows_band: str
    fields: list[FieldRow]
    label: str
    target: str
    labels: list[str]
    offers: list[Offer]
    access: str
    mine: bool


class Unreachable(Shape):
    """A member whose catalogue could not be had, and why."""

    participant: str
    title: str
    error: Words


class CatalogPage(Page[CatalogRow]):
    """Datasets, and the members that did not answer."""

    unreachable: list[Unreachable]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueView:
    """Shows entries; `recipes` gives installed recipes' names by digest.

    Fields and terms that are equal are shown by the same objects: a page makes
    few new ones, or Python's tidying would look through the whole catalogue
    after every few pages.
    """

    me: ParticipantId
    recipes: Mapping[str, str]
    _said: dict[Terms, list[TermWords]] = field(default_factory=dict)

    def show(self, entry: Entry) -> CatalogRow:
        """Show one dataset."""
        one, modalities = entry.listing, entry.modalities
        classes = [str(name) for name in one.target.get("classes", ())]
        label = str(one.label.get("field", ""))
        return CatalogRow(
            participant=one.participant,
            title=entry.title,
            dataset=one.dataset,
            name=one.name,
            description=one.title,
            modality=modalities[0] if modalities else "",
            modalities=modalities,
            rows_band=band_of(entry.count),
            fields=[_field(each) for each in one.columns],
            label=label,
            target=str(one.target.get("kind", "")),
            labels=classes or [label],
            offers=[Offer(id=one.offer, words=self.say(entry))],
            access="public" if one.public else "restricted",
            mine=one.participant == self.me,
        )

    def say(self, entry: Entry) -> list[TermWords]:
        """Say an offer's terms in words."""
        terms = entry.listing.terms
        if terms not in self._said:
            if len(self._said) >= _SAID:
                self._said.clear()
            self._said[terms] = say_terms(sentences_of(terms, recipes=self.recipes))
        return self._said[terms]


@lru_cache(maxsize=4096)
def _field(one: FieldShown) -> FieldRow:
    return FieldRow(name=one.name, kind=one.kind, unit=one.unit, modality=one.modality)


def list_seen(entries: list[Entry], sight: Scope) -> list[Entry]:
    """List the entries of hospitals in sight; a role for one study alone sees none."""
    if sight.is_whole:
        return entries
    return [one for one in entries if sight.sees(organisations=(one.listing.participant,))]


def catalogue_router(catalogue: Catalogue, view: CatalogueView) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/catalog", response_model=CatalogPage)
    def catalog(
        ask: Paged,
        sight: Sight,
        search: Annotated[str, Query(max_length=200)] = "",
        modality: Annotated[str, Query(max_length=80)] = "",
        fresh: bool = False,
    ) -> Response:
        """List what the hospitals offer to this one."""
        catalogue.look(fresh=fresh)
        found = list_seen(catalogue.search(search, modality=modality), sight)
        page = take_page(found, ask, place=lambda entry: entry.place, show=view.show)
        silent = [
            Unreachable(
                participant=one.participant, title=one.title, error=Words(**one.error.as_record())
            )
            for one in catalogue.list_silent()
            if sight.sees(organisations=(one.participant,))
        ]
        told = CatalogPage(items=page.items, next=page.next, unreachable=silent, total=len(found))
        return Response(told.model_dump_json(), media_type="application/json")

    return router

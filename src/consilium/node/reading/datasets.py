"""Datasets of this hospital as screens show them: quality, profile, governance, uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from consilium.dataspace.datasets import get_dataset, list_datasets
from consilium.dataspace.records import Dataset, Role
from consilium.dataspace.sentences import sentences_of
from consilium.dataspace.store import list_agreements
from consilium.gate.privacy import purse_of_dataset
from consilium.node.reading.agreements import AgreementRow, AgreementView
from consilium.node.reading.descriptor import describe_dataset
from consilium.node.reading.shapes import Record, TermWords, say_terms
from consilium.node.rooms import Rooms
from consilium.readers.quality import SMALLEST_COUNT
from consilium.readers.schema import Schema
from consilium.web.paging import Page, Paged, Shape, take_page


class FieldProfile(Shape):
    """What is known of a field: how much is missing, its range as declared, never a value.

    `missing` is a share from 0 to 1, null where the count is too small to be shown.
    """

    name: str
    kind: str
    unit: str
    code: str
    missing: float | None
    min: float | None
    max: float | None
    categories: list[Record]


class Loss(Shape):
    """A privacy loss."""

    epsilon: float
    delta: float


class Budget(Loss):
    """What may be learnt of a dataset's patients by anyone, and what of that is spent."""

    spent: Loss


class DatasetRow(Shape):
    """A dataset as it was registered."""

    id: str
    name: str
    title: str
    schema_: Record = Field(alias="schema")
    quality: Record
    governance: Record
    public: bool
    fingerprint: str
    arrays: str
    n_train: int
    n_test: int
    terms: Record
    offer: str
    created: str
    budget: Loss


class DatasetDetail(DatasetRow):
    """A dataset with its profile, its descriptor and its agreements."""

    words: list[TermWords]
    profile: list[FieldProfile]
    descriptor: Record
    agreements: list[AgreementRow]
    budget: Budget


def datasets_router(rooms: Rooms, view: AgreementView) -> APIRouter:
    """Make the routes that read datasets."""
    router = APIRouter(tags=["datasets"])
    database = rooms.connector.database

    @router.get("/datasets")
    def datasets(ask: Paged) -> Page[DatasetRow]:
        """List this hospital's datasets by name."""
        with database.read() as connection:
            found = sorted(list_datasets(connection), key=lambda one: one.name)
        return take_page(found, ask, place=lambda one: (one.name,), show=show_row)

    @router.get("/datasets/{name}")
    def dataset(name: str) -> DatasetDetail:
        """Show one of this hospital's datasets."""
        with database.read() as connection:
            found = get_dataset(connection, name)
            spent = purse_of_dataset(connection, found)
            given = list_agreements(connection, role=Role.PROVIDER)
        names: dict[str, str] = {digest: name for name, digest in rooms.registrar.recipes.items()}
        words = say_terms(sentences_of(found.terms, recipes=names))
        loss = Loss(epsilon=spent.spent_epsilon, delta=spent.spent_delta)
        return DatasetDetail(
            **_plain(found) | {"budget": Budget(**asdict(found.budget), spent=loss)},
            words=words,
            profile=profile_of(found),
            descriptor=describe_dataset(rooms.connector, found),
            agreements=[view.show_row(one) for one in given if one.dataset == found.id],
        )

    return router


def show_row(dataset: Dataset) -> DatasetRow:
    """Show a dataset as it was registered."""
    return DatasetRow(**_plain(dataset))


def profile_of(dataset: Dataset) -> list[FieldProfile]:
    """Say of each field what its quality report counts and its schema declares.

    Small counts are for nobody's page unless the data are public: a share of
    missing cells is left out where it stands for fewer than ten of them, and
    categories are named without counts.
    """
    fields: Mapping[str, Any] = dataset.quality.get("fields", {})
    read = int(dataset.quality.get("rows", {}).get("read", 0))
    schema = Schema.from_record(dataset.schema)
    return [
        FieldProfile(
            name=one.name,
            kind=one.kind,
            unit=one.unit,
            code=one.code,
            missing=_share(fields.get(one.name, {}).get("missing"), read, dataset.public),
            min=one.range[0] if one.range else None,
            max=one.range[1] if one.range else None,
            categories=[{"name": name, "count": None} for name in one.categories],
        )
        for one in schema.fields
    ]


def _share(missing: Any, read: int, is_public: bool) -> float | None:
    if not isinstance(missing, int) or not read:
        return None
    is_small = 0 < missing < SMALLEST_COUNT
    return None if is_small and not is_public else round(missing / read, 4)


def _plain(dataset: Dataset) -> dict[str, Any]:
    return asdict(dataset)

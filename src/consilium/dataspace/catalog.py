"""The catalogue: who may see which dataset, what is shown of it, and how a peer's is read.

An entry is DCAT with terms of HealthDCAT-AP and Croissant under their prefixes.
It describes columns and governance, never rows; small counts are left out.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from consilium.dataspace.connector import Connector
from consilium.dataspace.policy import evaluate, policy_of, terms_of
from consilium.dataspace.records import Dataset, Terms
from consilium.dataspace.store import find_dataset, list_datasets
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, SPATIAL, TIME
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.messages import Catalog
from consilium.dataspace.wire.messages import Dataset as DatasetShape
from consilium.dataspace.wire.models import Shape, read_shape
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import read_time
from consilium.kernel.errors import ConsiliumError, InputError, NotFoundError, PeerError
from consilium.kernel.identifiers import DatasetId, OfferId, ParticipantId
from consilium.readers.schema import Schema

LOG = logging.getLogger(__name__)

CATALOG_PATH = f"{builders.BASE}/catalog/request"
_RECORDS = {"n_train": "consilium:trainingRecords", "n_test": "consilium:heldOutRecords"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShown:
    """A column of a dataset, as far as it is shown; `kind` is `number` or `category`.

    `range` holds the least and greatest plausible number, or nothing.
    """

    name: str
    kind: str
    unit: str
    categories: tuple[str, ...]
    code: str
    range: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A dataset as a peer's catalogue shows it to us.

    `columns` and `label` are what a study needs to know of its schema. A count
    is None where it is too small to be shown.
    """

    participant: ParticipantId
    dataset: DatasetId
    name: str
    title: str
    public: bool
    n_train: int | None
    n_test: int | None
    columns: tuple[FieldShown, ...]
    label: dict[str, Any]
    governance: dict[str, Any]
    fingerprint: Digest
    offer: OfferId
    policy: dict[str, Any] = field(repr=False)
    terms: Terms

    def as_record(self) -> dict[str, Any]:
        """Give the listing as JSON."""
        return asdict(self)


def show_catalog(connector: Connector, viewer: ParticipantId) -> dict[str, Any]:
    """Show a participant the datasets that are offered to it.

    Discloses
    ---------
    Of each dataset whose offer names the viewer and has not run out: title,
    columns, governance, terms, and its counts unless they are small.
    """
    now, location = connector.clock.now(), connector.directory.location_of(viewer)
    with connector.database.read() as connection:
        shown = [
            one
            for one in list_datasets(connection)
            if is_offered(one, viewer, now=now, location=location)
        ]
    smallest = connector.settings.smallest_count
    return builders.catalog(
        connector.me,
        endpoint=connector.callback,
        title=connector.title,
        datasets=[_entry(one, connector, smallest) for one in shown],
    )


def show_dataset(connector: Connector, viewer: ParticipantId, dataset: str) -> dict[str, Any]:
    """Show a participant one dataset.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`, also if it is not offered to the viewer.

    Discloses
    ---------
    As `show_catalog`.
    """
    with connector.database.read() as connection:
        location = connector.directory.location_of(viewer)
        now = connector.clock.now()
        found = find_offered(connection, dataset, viewer, now=now, location=location)
    return builders.dataset(_entry(found, connector, connector.settings.smallest_count))


def find_offered(
    connection: Connection,
    dataset: str,
    viewer: ParticipantId,
    *,
    now: datetime,
    location: str = "",
) -> Dataset:
    """Return a dataset of ours that is offered to a participant.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`.

    Discloses
    ---------
    Nothing.
    """
    found = find_dataset(connection, dataset)
    if (
        found is None
        or found.id != dataset
        or not is_offered(found, viewer, now=now, location=location)
    ):
        raise NotFoundError("dataspace.no_dataset", dataset=dataset)
    return found


def is_offered(
    dataset: Dataset, viewer: ParticipantId, *, now: datetime, location: str = ""
) -> bool:
    """Tell whether a dataset's offer names the viewer and its place, runs, and is under approval.

    An empty `location` is an unknown one: it is in no place that terms could name.

    Discloses
    ---------
    Nothing.
    """
    facts = {RECIPIENT: viewer, TIME: now, SPATIAL: location}
    policy = policy_of(dataset.terms, offer=dataset.offer)
    decision = evaluate(policy, facts, later=OPERANDS.keys() - facts.keys())
    return decision.allowed and now <= read_time(dataset.governance["ethics_expires"])


def request_catalog(connector: Connector, provider: ParticipantId) -> list[Listing]:
    """Ask a participant for its catalogue.

    An entry that we cannot read, or whose offer has terms that this space does
    not know, is left out: nothing could be agreed on it.

    Raises
    ------
    PeerError
        As `Client.post`; `dataspace.bad_answer` if it is no catalogue.

    Discloses
    ---------
    Who asks.
    """
    reply = connector.client.post(provider, CATALOG_PATH, builders.catalog_request())
    document = _expect(provider, Catalog, reply)
    listings = []
    for entry in document.get("dataset", []):
        try:
            listings.append(_read_entry(provider, entry))
        except PeerError as error:
            LOG.warning("an entry of %s is left out: %s", provider, error.detail)
    return listings


def request_dataset(connector: Connector, provider: ParticipantId, dataset: str) -> Listing:
    """Ask a participant for one dataset; raises as `request_catalog` does.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`.

    Discloses
    ---------
    Who asks, and for what.
    """
    reply = connector.client.get(provider, f"{builders.BASE}/catalog/datasets/{dataset}")
    if reply[0] == 404:
        raise NotFoundError("dataspace.no_dataset", dataset=dataset)
    return _read_entry(provider, _expect(provider, DatasetShape, reply))


def _entry(dataset: Dataset, connector: Connector, smallest: int) -> dict[str, Any]:
    schema = Schema.from_record(dataset.schema)
    service = builders.data_service(connector.me, connector.callback)
    governance = dataset.governance
    return {
        "@id": dataset.id,
        "@type": "Dataset",
        "dct:title": dataset.title,
        "dct:identifier": dataset.name,
        "dct:issued": dataset.created,
        "dct:accessRights": "PUBLIC" if dataset.public else "NON_PUBLIC",
        "dct:publisher": governance["owner"],
        "dcat:contactPoint": governance["contact"],
        "healthdcatap:retentionPeriod": governance["retention"],
        "healthdcatap:legalBasis": governance["consent_basis"],
        "consilium:governance": governance,
        "consilium:fingerprint": dataset.fingerprint,
        **_counts(dataset, smallest),
        "cr:recordSet": [{"@type": "cr:RecordSet", "cr:field": _columns(schema)}],
        "consilium:label": dataset.schema["label"],
        "hasPolicy": [policy_of(dataset.terms, offer=dataset.offer)],
        "distribution": [
            {"@type": "Distribution", "format": builders.FORMAT, "accessService": service}
        ],
    }


def _columns(schema: Schema) -> list[dict[str, Any]]:
    known = {one.name: one for one in schema.fields}
    return [
        {
            "@type": "cr:Field",
            "cr:name": one.name,
            "cr:dataType": "sc:Float" if one.kind == "number" else "sc:Text",
            "consilium:unit": one.unit,
            "consilium:categories": list(one.categories),
            "consilium:code": known[one.name].code,
            "consilium:range": list(known[one.name].range or ()),
        }
        for one in schema.features
    ]


def _read_column(column: dict[str, Any]) -> FieldShown:
    is_number = column["cr:dataType"] == "sc:Float"
    return FieldShown(
        name=str(column["cr:name"]),
        kind="number" if is_number else "category",
        unit=str(column.get("consilium:unit", "")),
        categories=tuple(str(one) for one in column.get("consilium:categories", [])),
        code=str(column.get("consilium:code", "")),
        range=tuple(float(one) for one in column.get("consilium:range", [])),
    )


def _counts(dataset: Dataset, smallest: int) -> dict[str, Any]:
    """Show how many records there are, unless a number is small and the data are not public."""
    counts = {"n_train": dataset.n_train, "n_test": dataset.n_test}
    if not dataset.public and min(counts.values()) < smallest:
        return {}
    total = {"healthdcatap:numberOfRecords": sum(counts.values())}
    return total | {_RECORDS[name]: count for name, count in counts.items()}


def _expect(
    provider: ParticipantId, model: type[Shape], reply: tuple[int, dict[str, Any]]
) -> dict[str, Any]:
    status, document = reply
    if status != 200:
        code = str(document.get("code", status))[:80]
        raise PeerError("dataspace.peer_refused", peer=provider, detail=code, retryable=False)
    try:
        read_shape(model, document)
    except InputError as error:
        reason = error.public
        raise PeerError(
            "dataspace.bad_answer", peer=provider, retryable=False, detail=reason
        ) from error
    return document


def _read_entry(provider: ParticipantId, entry: dict[str, Any]) -> Listing:
    """Read an entry written by this house; another connector's has fewer words for us."""
    policy = entry["hasPolicy"][0]
    records = {name: entry.get(key) for name, key in _RECORDS.items()}
    try:
        return Listing(
            participant=provider,
            dataset=DatasetId(entry["@id"]),
            name=str(entry.get("dct:identifier", "")),
            title=str(entry.get("dct:title", "")),
            public=entry.get("dct:accessRights") == "PUBLIC",
            columns=tuple(_read_column(one) for one in entry["cr:recordSet"][0]["cr:field"]),
            label=dict(entry["consilium:label"]),
            governance=dict(entry["consilium:governance"]),
            fingerprint=Digest(str(entry["consilium:fingerprint"])),
            offer=OfferId(policy["@id"]),
            policy=policy,
            terms=terms_of(policy),
            **{name: count if isinstance(count, int) else None for name, count in records.items()},
        )
    except (ConsiliumError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise PeerError(
            "dataspace.bad_answer", peer=provider, retryable=False, detail=str(error)
        ) from error

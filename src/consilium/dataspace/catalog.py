"""The catalogue: who may see which dataset, what is shown of it, and how a peer's is read.

An entry is DCAT with terms of HealthDCAT-AP and Croissant under their prefixes.
It describes columns and governance, never rows; small counts are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from consilium.dataspace.connector import Connector
from consilium.dataspace.governance import expired
from consilium.dataspace.pages import Ask, list_shown
from consilium.dataspace.policy import evaluate, policy_of, terms_of
from consilium.dataspace.records import Dataset, Terms
from consilium.dataspace.store import find_dataset
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, SPATIAL, TIME
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.messages import Catalog
from consilium.dataspace.wire.messages import Dataset as DatasetShape
from consilium.dataspace.wire.models import Shape, read_shape
from consilium.kernel.canonical import Digest, canonical_bytes
from consilium.kernel.clock import write_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    NotFoundError,
    PeerError,
)
from consilium.kernel.identifiers import DatasetId, OfferId, ParticipantId
from consilium.readers.records import TABLE, Feature, Target
from consilium.readers.schema import Schema

LOG = logging.getLogger(__name__)

CATALOG_PATH = f"{builders.BASE}/catalog/request"
NEXT, PREVIOUS = "consilium:next", "consilium:previous"
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,2000}")
_MOST_PAGES = 10_000
_TYPES = {
    "number": "sc:Float",
    "category": "sc:Text",
    "image": "sc:ImageObject",
    "signal": "sc:Float",
}
_CLASSES = "consilium:recordsByClass"
_CLASS_STEP = 10
_RECORDS = {"n_train": "consilium:trainingRecords", "n_test": "consilium:heldOutRecords"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShown:
    """A field of a dataset, as far as it is shown.

    `kind` is `number`, `category`, `image` or `signal`; `range` holds the least
    and greatest plausible number, or nothing; `shape` is an image's height,
    width and channels, or a signal's length and channels.
    """

    name: str
    kind: str
    unit: str
    categories: tuple[str, ...]
    code: str
    range: tuple[float, ...] = ()
    modality: str = TABLE
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A dataset as a peer's catalogue shows it to us.

    `columns`, `label` and `target` (`kind`, `classes`, `unit`) are what a study
    needs to know of its schema. A count is None where it is too small to be
    shown; `classes` counts rows of each class but the largest in tens (of
    public data all, exactly), or is empty.
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
    target: dict[str, Any] = field(default_factory=Target().as_record)
    classes: dict[str, int] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """Give the listing as JSON."""
        return asdict(self)


def show_catalog(
    connector: Connector, viewer: ParticipantId, ask: Ask | None = None
) -> dict[str, Any]:
    """Show a participant one page of the datasets that are offered to it.

    `consilium:next` and `consilium:previous` are the cursors of the pages beside
    it; they stand in the body because the body is signed.

    Discloses
    ---------
    Of each dataset whose offer names the viewer and has not run out: title,
    columns, governance, terms, and its counts unless they are small.
    """
    ask = ask or Ask()
    names, entries, more = _page(connector, viewer, ask)
    before, after = (more, bool(ask.edge)) if ask.backwards else (bool(ask.edge), more)
    shown = builders.catalog(
        connector.me,
        endpoint=connector.callback,
        title=connector.title,
        datasets=entries,
    )
    if names and before:
        shown[PREVIOUS] = ask.cursor(names[0], backwards=True)
    if names and after:
        shown[NEXT] = ask.cursor(names[-1], backwards=False)
    return shown


def _page(
    connector: Connector, viewer: ParticipantId, ask: Ask
) -> tuple[list[str], list[dict[str, Any]], bool]:
    """Fill one page; tell too whether there is more in the direction of travel."""
    settings, now = connector.settings, connector.clock.now()
    facts = facts_of(connector, viewer)
    names: list[str] = []
    entries: list[dict[str, Any]] = []
    size, more = 0, False
    with connector.database.read() as connection:
        for one in list_shown(connection, viewer, ask, now=write_time(now)):
            if not is_offered(one, facts):
                continue
            entry = _entry(one, connector, settings.smallest_count)
            size += len(canonical_bytes(entry))
            more = len(entries) == settings.page_entries or (
                bool(entries) and size > settings.page_bytes
            )
            if more:
                break
            names.append(one.name)
            entries.append(entry)
    way = -1 if ask.backwards else 1
    return names[::way], entries[::way], more


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
        found = find_offered(connection, dataset, facts_of(connector, viewer))
    return builders.dataset(_entry(found, connector, connector.settings.smallest_count))


def facts_of(connector: Connector, viewer: ParticipantId) -> dict[str, Any]:
    """Say what is true of a participant that looks at our offers now.

    An empty place is an unknown one: it is in no place that terms could name.

    Discloses
    ---------
    Nothing.
    """
    place = connector.directory.location_of(viewer)
    return {RECIPIENT: viewer, TIME: connector.clock.now(), SPATIAL: place}


def find_offered(connection: Connection, dataset: str, facts: Mapping[str, Any]) -> Dataset:
    """Return a dataset of ours that is offered to whom the facts are about.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`.

    Discloses
    ---------
    Nothing.
    """
    found = find_dataset(connection, dataset)
    if found is None or found.id != dataset or not is_offered(found, facts):
        raise NotFoundError("dataspace.no_dataset", dataset=dataset)
    return found


def check_offer(dataset: Dataset, policy: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Refuse an offer that its consumer could not use now.

    Raises
    ------
    DeniedError
        `dataspace.wrong_recipient`, `dataspace.outside_time`, `dataspace.outside_place`.

    Discloses
    ---------
    Nothing.
    """
    evaluate(policy, facts, later=OPERANDS.keys() - facts.keys()).require()
    ended = expired(dataset.governance, facts[TIME])
    if ended:
        raise DeniedError("dataspace.outside_time", rule=ended)


def is_offered(dataset: Dataset, facts: Mapping[str, Any]) -> bool:
    """Tell whether a dataset's offer names the viewer and its place, runs, and is under approval.

    Discloses
    ---------
    Nothing.
    """
    try:
        check_offer(dataset, policy_of(dataset.terms, offer=dataset.offer), facts)
    except DeniedError:
        return False
    return True


def request_catalog(
    connector: Connector, provider: ParticipantId, *, filters: Mapping[str, str] | None = None
) -> list[Listing]:
    """Ask a participant for its catalogue, page by page.

    An entry that we cannot read, or whose offer has terms that this space does
    not know, is left out: nothing could be agreed on it.

    Parameters
    ----------
    filters : mapping of str to str, optional
        Ask only for entries for which all of these hold; keys as in
        `pages.read_ask`.

    Raises
    ------
    PeerError
        As `Client.post`; `dataspace.bad_answer` if it is no catalogue.

    Discloses
    ---------
    Who asks, and the filter.
    """
    listings = []
    for document in _pages(connector, provider, filters or {}):
        for entry in document.get("dataset", []):
            try:
                listings.append(_read_entry(provider, entry))
            except PeerError as error:
                LOG.warning("an entry of %s is left out: %s", provider, error.detail)
    return listings


def _pages(
    connector: Connector, provider: ParticipantId, filters: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Follow the cursors from page to page; none may come twice."""
    path, seen = CATALOG_PATH, set[str]()
    while True:
        reply = connector.client.post(provider, path, builders.catalog_request(filters))
        document = _expect(provider, Catalog, reply)
        yield document
        cursor = document.get(NEXT, "")
        if not cursor:
            return
        is_fresh = isinstance(cursor, str) and cursor not in seen
        if not is_fresh or not _CURSOR.fullmatch(cursor) or len(seen) >= _MOST_PAGES:
            raise PeerError("dataspace.bad_answer", peer=provider, retryable=False)
        seen.add(cursor)
        path = f"{CATALOG_PATH}?cursor={cursor}"


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
        **_class_counts(dataset, smallest),
        "cr:recordSet": [{"@type": "cr:RecordSet", "cr:field": _columns(schema)}],
        "consilium:label": dataset.schema["label"],
        "consilium:target": schema.target.as_record(),
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
            "cr:dataType": _TYPES[one.kind],
            "consilium:unit": one.unit,
            "consilium:categories": list(one.categories),
            "consilium:code": known[one.name].code,
            "consilium:range": list(known[one.name].range or ()),
            "consilium:modality": one.modality,
            **_array(one),
        }
        for one in schema.features
    ]


def _read_column(column: dict[str, Any]) -> FieldShown:
    shape = tuple(int(one) for one in str(column.get("cr:arrayShape", "")).split(",") if one)
    kinds = {"sc:Float": "signal" if shape else "number", "sc:ImageObject": "image"}
    return FieldShown(
        name=str(column["cr:name"]),
        kind=kinds.get(column["cr:dataType"], "category"),
        unit=str(column.get("consilium:unit", "")),
        categories=tuple(str(one) for one in column.get("consilium:categories", [])),
        code=str(column.get("consilium:code", "")),
        range=tuple(float(one) for one in column.get("consilium:range", [])),
        modality=str(column.get("consilium:modality", TABLE)),
        shape=shape,
    )


def _array(feature: Feature) -> dict[str, Any]:
    """Say, as Croissant does, what shape an image or signal has."""
    if not feature.shape:
        return {}
    return {"cr:isArray": True, "cr:arrayShape": ",".join(str(one) for one in feature.shape)}


def _counts(dataset: Dataset, smallest: int) -> dict[str, Any]:
    """Show how many records there are, unless a number is small and the data are not public."""
    counts = {"n_train": dataset.n_train, "n_test": dataset.n_test}
    if not dataset.public and min(counts.values()) < smallest:
        return {}
    total = {"healthdcatap:numberOfRecords": sum(counts.values())}
    return total | {_RECORDS[name]: count for name, count in counts.items()}


def _class_counts(dataset: Dataset, smallest: int) -> dict[str, Any]:
    """Show how many rows each class but the largest has, in tens; nothing if one is small.

    Exact counts would let an answer of statistics be subtracted from them, and
    so would tens of all classes together with the exact total. Public data are
    counted exactly.
    """
    sides = dataset.quality.get("classes", {})
    train, held_out = sides.get("train", {}), sides.get("held_out", {})
    both = {name: count + held_out.get(name, 0) for name, count in train.items()}
    if len(both) < 2:
        return {}
    if dataset.public:
        return {_CLASSES: both}
    if min(both.values()) < smallest or not _counts(dataset, smallest):
        return {}
    largest = max(both, key=lambda name: both[name])
    return {
        _CLASSES: {
            name: count // _CLASS_STEP * _CLASS_STEP
            for name, count in both.items()
            if name != largest
        }
    }


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
            target=_read_target(entry.get("consilium:target", {})),
            classes={str(name): int(n) for name, n in entry.get(_CLASSES, {}).items()},
            **{name: count if isinstance(count, int) else None for name, count in records.items()},
        )
    except (ConsiliumError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise PeerError(
            "dataspace.bad_answer", peer=provider, retryable=False, detail=str(error)
        ) from error


def _read_target(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Read what an entry says is learned; an entry of an older house has no word of it."""
    target = Target(
        kind=str(shown.get("kind", Target().kind)),
        classes=tuple(str(one) for one in shown.get("classes", ())),
        unit=str(shown.get("unit", "")),
    )
    return target.as_record()

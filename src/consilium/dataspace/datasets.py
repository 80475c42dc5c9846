"""Registered datasets: what they are, under which approval, and on which terms they are offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from consilium.dataspace.governance import check_governance
from consilium.dataspace.pages import show_to_recipients
from consilium.dataspace.policy import policy_of
from consilium.dataspace.records import Dataset, Terms
from consilium.dataspace.store import add, find_dataset, list_datasets
from consilium.kernel.canonical import Digest, digest_json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import NotFoundError, StateError
from consilium.kernel.identifiers import DatasetId, OfferId, check_name, new_urn
from consilium.ledger.database import Transaction

__all__ = [
    "Dataset",
    "find_dataset",
    "get_dataset",
    "list_datasets",
    "register_dataset",
]


def register_dataset(
    tx: Transaction,
    *,
    name: str,
    title: str,
    schema: dict[str, Any],
    quality: dict[str, Any],
    governance: Mapping[str, Any],
    public: bool,
    fingerprint: Digest,
    arrays: Digest,
    n_train: int,
    n_test: int,
    terms: Terms,
    clock: Clock,
) -> Dataset:
    """Register a dataset and publish its offer, with evidence for both.

    Raises
    ------
    InputError
        `kernel.bad_name`, `dataspace.bad_governance`, `dataspace.bad_terms`.
    DeniedError
        `dataspace.unknown_term`.
    StateError
        `dataspace.dataset_exists`.

    Discloses
    ---------
    Nothing by itself; from now on the named recipients see its catalogue entry.
    """
    if find_dataset(tx.connection, check_name(name)) is not None:
        raise StateError("dataspace.dataset_exists", name=name)
    dataset = Dataset(
        id=DatasetId(new_urn()),
        name=name,
        title=title,
        schema=schema,
        quality=quality,
        governance=check_governance(governance),
        public=public,
        fingerprint=fingerprint,
        arrays=arrays,
        n_train=n_train,
        n_test=n_test,
        terms=terms,
        offer=OfferId(new_urn()),
        created=write_time(clock.now()),
    )
    policy = policy_of(terms, offer=dataset.offer)
    add(tx, dataset)
    show_to_recipients(tx, dataset)
    tx.record("dataset.registered", dataset.id, _registration(dataset))
    tx.record(
        "offer.published",
        dataset.offer,
        {"dataset": dataset.id, "policy": digest_json(policy), "terms": asdict(terms)},
    )
    return dataset


def get_dataset(connection: Connection, name: str) -> Dataset:
    """Return one of our datasets, by identifier or short name.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`.
    """
    found = find_dataset(connection, name)
    if found is None:
        raise NotFoundError("dataspace.no_dataset", dataset=name)
    return found


def _registration(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "arrays": dataset.arrays,
        "schema": digest_json(dataset.schema),
        "quality": digest_json(dataset.quality),
        "governance": dataset.governance,
        "public": dataset.public,
        "n_train": dataset.n_train,
        "n_test": dataset.n_test,
        "offer": dataset.offer,
    }

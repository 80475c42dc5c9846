"""Registered datasets: what they are, under which approval, and on which terms they are offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from consilium.dataspace.policy import policy_of
from consilium.dataspace.records import Dataset, PrivacyBudget, Terms
from consilium.dataspace.store import add, find_dataset, list_datasets
from consilium.dataspace.vocabulary import read_moment, read_word
from consilium.kernel.canonical import Digest, digest_json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError, NotFoundError, StateError
from consilium.kernel.identifiers import DatasetId, OfferId, check_name, new_urn
from consilium.ledger.database import Transaction

__all__ = [
    "GOVERNANCE",
    "Dataset",
    "check_budget",
    "check_governance",
    "find_dataset",
    "get_dataset",
    "list_datasets",
    "register_dataset",
]


_GREATEST_EPSILON = 1e6


def _time(value: Any) -> str:
    return write_time(read_moment(value))


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


GOVERNANCE: Mapping[str, Callable[[Any], Any]] = {
    "ethics_approval": read_word,
    "ethics_expires": _time,
    "consent_basis": read_word,
    "deidentification": read_word,
    "retention": read_word,
    "human_genetic_resources": _yes_or_no,
    "owner": read_word,
    "contact": read_word,
}
"""What must be known of a dataset before it can be offered, and how each is read.

Ethics approval (identifier and end, ISO 8601), basis of consent, level of
de-identification, retention, whether the rules on human genetic resources
apply, who owns it and whom to ask.
"""


def check_governance(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the governance fields, each of its kind.

    Raises
    ------
    InputError
        `dataspace.bad_governance` naming the field that is missing, unknown or
        of another kind.

    Discloses
    ---------
    Nothing.
    """
    for name in record:
        if name not in GOVERNANCE:
            raise InputError("dataspace.bad_governance", field=name)
    found: dict[str, Any] = {}
    for name, read in GOVERNANCE.items():
        try:
            found[name] = read(record[name])
        except (KeyError, ValueError) as error:
            raise InputError("dataspace.bad_governance", field=name) from error
    return found


def check_budget(budget: PrivacyBudget) -> PrivacyBudget:
    """Return a privacy budget whose numbers are possible.

    Raises
    ------
    InputError
        `dataspace.bad_budget`.

    Discloses
    ---------
    Nothing.
    """
    if not (0 < budget.epsilon <= _GREATEST_EPSILON and 0 <= budget.delta < 1):
        raise InputError("dataspace.bad_budget")
    return budget


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
    budget: PrivacyBudget | None = None,
) -> Dataset:
    """Register a dataset and publish its offer, with evidence for both.

    Raises
    ------
    InputError
        `kernel.bad_name`, `dataspace.bad_governance`, `dataspace.bad_terms`,
        `dataspace.bad_budget`.
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
        budget=check_budget(budget or PrivacyBudget()),
    )
    policy = policy_of(terms, offer=dataset.offer)
    add(tx, dataset)
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
        "budget": asdict(dataset.budget),
        "offer": dataset.offer,
    }

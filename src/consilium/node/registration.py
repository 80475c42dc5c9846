"""Registering a dataset: from a path and a schema to an offer, or to nothing at all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from consilium.dataspace.datasets import check_governance, find_dataset, register_dataset
from consilium.dataspace.policy import policy_of
from consilium.dataspace.records import Terms
from consilium.gate.plain import from_plain
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import Clock
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import OfferId, check_name, new_urn
from consilium.ledger.database import Database
from consilium.ledger.files import BlobStore
from consilium.node.intake import Source, read_source
from consilium.node.tasks import Report, Work
from consilium.readers.records import IntakeResult


class Registration(BaseModel):
    """What a data steward gives: where the data are, what they are, who may do what.

    `schema` is TOML text. In `terms`, an algorithm is a recipe's digest, or the
    name of an installed recipe.
    """

    model_config = ConfigDict(extra="forbid")
    path: str
    schema_text: str = Field(alias="schema")
    schema_name: str = "schema"
    name: str
    title: str = ""
    governance: dict[str, Any]
    terms: dict[str, Any]
    public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """Takes datasets in at one node."""

    database: Database
    blobs: BlobStore
    clock: Clock
    workshop: Path
    recipes: Mapping[str, Digest]

    def check(self, registration: Registration) -> Terms:
        """Check all that can be checked without opening the data; return the terms.

        Raises
        ------
        InputError
            `kernel.bad_name`, `dataspace.bad_governance`, `dataspace.bad_terms`, `gate.bad_order`.
        StateError
            `dataspace.dataset_exists`.
        """
        with self.database.read() as connection:
            if find_dataset(connection, check_name(registration.name)) is not None:
                raise StateError("dataspace.dataset_exists", name=registration.name)
        check_governance(registration.governance)
        named = registration.terms.get("algorithms", [])
        terms = from_plain(
            Terms,
            {**registration.terms, "algorithms": [self.recipes.get(one, one) for one in named]},
        )
        policy_of(terms, offer=OfferId(new_urn()))
        return terms

    def plan(self, registration: Registration) -> Work:
        """Return the work of taking a dataset in; it is all or nothing."""
        terms = self.check(registration)
        source = Source(
            path=Path(registration.path),
            schema=registration.schema_text,
            schema_name=registration.schema_name,
        )

        def work(report: Report) -> dict[str, Any]:
            self.workshop.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=self.workshop) as folder:
                result = read_source(source, folder=Path(folder), report=report)
                return self._register(registration, terms, result)

        return work

    def _register(
        self, registration: Registration, terms: Terms, result: IntakeResult
    ) -> dict[str, Any]:
        arrays = self.blobs.put_file(result.arrays)
        with self.database.write() as tx:
            dataset = register_dataset(
                tx,
                name=registration.name,
                title=registration.title or registration.name,
                schema=result.schema,
                quality=result.quality,
                governance=registration.governance,
                public=registration.public,
                fingerprint=result.fingerprint,
                arrays=arrays,
                n_train=result.n_train,
                n_test=result.n_test,
                terms=terms,
                clock=self.clock,
            )
        return asdict(dataset)

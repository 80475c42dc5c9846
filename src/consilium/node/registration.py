"""Registering a dataset: from a path and a schema to an offer, or to nothing at all."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from consilium.dataspace.datasets import (
    check_budget,
    check_governance,
    find_dataset,
    list_datasets,
    register_dataset,
)
from consilium.dataspace.policy import policy_of
from consilium.dataspace.records import PrivacyBudget, Terms
from consilium.gate.plain import from_plain
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import Clock
from consilium.kernel.errors import InputError, StateError
from consilium.kernel.identifiers import OfferId, check_name, new_urn
from consilium.ledger.database import Database
from consilium.ledger.files import BlobStore
from consilium.node.intake import Source, read_source
from consilium.node.tasks import Report, Work
from consilium.readers.records import IntakeResult


class Registration(BaseModel):
    """What a data steward gives: where the data are, what they are, who may do what.

    `schema` is TOML text. In `terms`, an algorithm is a recipe's digest, or the
    name of an installed recipe. `budget` may set `epsilon` and `delta`, what all
    agreements on the dataset may cost together.
    """

    model_config = ConfigDict(extra="forbid")
    path: str
    schema_text: str = Field(alias="schema")
    schema_name: str = "schema"
    name: str
    title: str = Field(default="", max_length=400)
    governance: dict[str, Any]
    terms: dict[str, Any]
    budget: dict[str, float] = Field(default_factory=dict)
    public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """Takes datasets in at one node.

    `workshop` is the folder where array files are made; `under_way` holds the
    names that are being read just now; `budget` is what a dataset gets if its
    steward names none.
    """

    database: Database
    blobs: BlobStore
    clock: Clock
    workshop: Path
    recipes: Mapping[str, Digest]
    budget: PrivacyBudget = field(default_factory=PrivacyBudget)
    under_way: set[str] = field(default_factory=set)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def tidy(self) -> None:
        """Remove what an intake left behind when this node was killed; before any begins."""
        for left in self.workshop.glob("*"):
            shutil.rmtree(left, ignore_errors=True)

    def check(self, registration: Registration) -> Terms:
        """Check all that can be checked without opening the data; return the terms.

        Raises
        ------
        InputError
            `kernel.bad_name`, `node.path_not_whole`, `dataspace.bad_governance`,
            `dataspace.bad_terms`.
        StateError
            `dataspace.dataset_exists`, `node.dataset_under_way`.
        """
        name = check_name(registration.name)
        if name in self.under_way:
            raise StateError("node.dataset_under_way", name=name)
        with self.database.read() as connection:
            if find_dataset(connection, name) is not None:
                raise StateError("dataspace.dataset_exists", name=name)
        if not Path(registration.path).is_absolute():
            raise InputError("node.path_not_whole")
        check_governance(registration.governance)
        terms = self._read_terms(registration.terms)
        policy_of(terms, offer=OfferId(new_urn()))
        self._read_budget(registration)
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
            with self._claimed(registration.name), self._workroom() as folder:
                result = read_source(source, folder=folder, report=report)
                with self.turn, self._kept(result.arrays) as arrays:
                    return self._register(registration, terms, result, arrays)

        return work

    def _read_terms(self, record: Mapping[str, Any]) -> Terms:
        """Read terms, with recipes by name turned into their digests."""
        for name in record:
            if name not in {item.name for item in fields(Terms)}:
                raise InputError("dataspace.bad_terms", term=name[:80])
        named = record.get("algorithms")
        if isinstance(named, list):
            found = [self.recipes.get(one, one) if isinstance(one, str) else one for one in named]
            record = {**record, "algorithms": found}
        usual = {item.name: item.default for item in fields(Terms) if item.default is not MISSING}
        try:
            return from_plain(Terms, {**usual, **record})
        except InputError as error:
            raise InputError("dataspace.bad_terms", term=error.facts["field"]) from error

    def _read_budget(self, registration: Registration) -> PrivacyBudget:
        if not registration.budget.keys() <= {"epsilon", "delta"}:
            raise InputError("dataspace.bad_budget")
        return check_budget(replace(self.budget, **registration.budget))

    @contextmanager
    def _claimed(self, name: str) -> Iterator[None]:
        """Take a name for as long as its source is read."""
        with self.turn:
            if name in self.under_way:
                raise StateError("node.dataset_under_way", name=name)
            self.under_way.add(name)
        try:
            yield
        finally:
            self.under_way.discard(name)

    @contextmanager
    def _workroom(self) -> Iterator[Path]:
        try:
            self.workshop.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = Path(tempfile.mkdtemp(dir=self.workshop))
        except OSError as error:
            reason = error.strerror or "refused"
            raise StateError(
                "ledger.cannot_write", place=str(self.workshop), reason=reason
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _kept(self, file: Path) -> Iterator[Digest]:
        """Keep an array file, unless what follows fails and no other dataset has the same."""
        with ExitStack() as undo:
            arrays = self.blobs.put_file(file)
            undo.callback(self._discard, arrays)
            yield arrays
            undo.pop_all()

    def _discard(self, arrays: Digest) -> None:
        with self.database.read() as connection:
            if any(one.arrays == arrays for one in list_datasets(connection)):
                return
        place = self.blobs.path(arrays)
        place.unlink()
        with suppress(OSError):  # other files lie beside it
            place.parent.rmdir()

    def _register(
        self, registration: Registration, terms: Terms, result: IntakeResult, arrays: Digest
    ) -> dict[str, Any]:
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
                budget=self._read_budget(registration),
                clock=self.clock,
            )
        return asdict(dataset)

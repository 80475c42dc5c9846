"""A lead and hospitals that answer questions, in one process: real agreements, real gates.

Tests of several folders and the benchmark load this file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from dataspace_rehearsal import GOVERNANCE, Hospital, Space, terms

from consilium.dataspace.catalog import request_dataset
from consilium.dataspace.datasets import Dataset, register_dataset
from consilium.dataspace.endpoints import answer
from consilium.dataspace.negotiation import request_agreement
from consilium.dataspace.records import Role
from consilium.dataspace.store import list_agreements
from consilium.federation.statistics.asking import ask
from consilium.federation.statistics.door import statistics_routes
from consilium.federation.statistics.drafting import (
    choose_agreements,
    describe_columns,
    write_question,
)
from consilium.federation.statistics.records import read_draft
from consilium.federation.statistics.site import installed_statistics
from consilium.gate.questions import Question
from consilium.gate.statistics import StatisticsGate
from consilium.kernel.canonical import digest_of
from consilium.ledger.files import BlobStore
from consilium.readers.schema import Schema

COMPUTATION = installed_statistics()


@dataclass(frozen=True)
class Cohort:
    """One hospital's rows: `x` by column name (a category as its place), `y`, patients."""

    x: Mapping[str, np.ndarray]
    y: np.ndarray
    group: np.ndarray | None = None

    def file(self) -> bytes:
        buffer = BytesIO()
        group = np.arange(self.y.size) if self.group is None else self.group
        part = (np.arange(self.y.size) % 3 == 0).astype(np.int8)
        np.savez(buffer, x=np.column_stack(list(self.x.values())), y=self.y, group=group, part=part)
        return buffer.getvalue()


def pooled(cohorts: Sequence[Cohort]) -> dict[str, np.ndarray]:
    """Put all hospitals' columns together, the label as `y`."""
    names = cohorts[0].x
    found = {name: np.concatenate([one.x[name] for one in cohorts]) for name in names}
    return found | {"y": np.concatenate([one.y for one in cohorts])}


@dataclass
class Clinic:
    """A hospital with a dataset and a gate for questions."""

    hospital: Hospital
    dataset: Dataset
    gate: StatisticsGate


@dataclass
class Conference:
    """The lead `north` and those that it may ask."""

    space: Space
    folder: Path
    lead: Hospital
    clinics: dict[str, Clinic] = field(default_factory=dict)

    def add(
        self,
        name: str,
        cohort: Cohort,
        schema: Schema,
        *,
        public: bool = False,
        gate: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Clinic:
        """Let a hospital offer a dataset, and agree on it with the lead."""
        hospital = self.space.add(name)
        blobs = BlobStore(self.folder / f"{name}-blobs")
        offered: dict[str, Any] = {
            "min_cohort": 10, "algorithms": (COMPUTATION.digest,), "count": 1
        }  # fmt: skip
        with hospital.database.write() as tx:
            dataset = register_dataset(
                tx,
                name="table",
                title=f"Table of {name}",
                schema=schema.as_record(),
                quality={},
                governance=GOVERNANCE,
                public=public,
                fingerprint=digest_of(name.encode()),
                arrays=blobs.put(cohort.file()),
                n_train=2 * cohort.y.size // 3,
                n_test=cohort.y.size - 2 * cohort.y.size // 3,
                terms=terms("north", **(offered | changes)),
                clock=self.space.clock,
            )
        own = StatisticsGate(
            hospital.database,
            me=hospital.me,
            key=hospital.key,
            clock=self.space.clock,
            blobs=blobs,
            computation=COMPUTATION,
            **(gate or {}),
        )
        routes = statistics_routes(own)
        self.space.doors[hospital.me] = lambda request: answer(
            hospital.connector, request, also=routes
        )
        request_agreement(self.lead.connector, hospital.me, dataset=dataset.id, offer=dataset.offer)
        self.space.settle()
        clinic = Clinic(hospital=hospital, dataset=dataset, gate=own)
        self.clinics[name] = clinic
        return clinic

    def ask(self, statistic: str, *variables: str, **draft: Any) -> dict[str, Any]:
        """Ask everybody; the answer is the lead's record."""
        written = {"statistic": statistic, "variables": list(variables), "purpose": "research"}
        return ask(
            self.lead.connector,
            read_draft(written | draft),
            space="example.org",
            computation=COMPUTATION,
        )

    def agreement(self, name: str) -> str:
        """Return the number of the lead's agreement with a hospital."""
        me = self.clinics[name].hospital.me
        with self.lead.database.read() as connection:
            found = list_agreements(connection, role=Role.CONSUMER)
        return next(one.id for one in found if one.provider == me)


def errors_of(answer: Mapping[str, Any]) -> list[str]:
    """Name what hospitals said instead of figures: their own codes."""
    return [site["error"]["en"] for site in answer["sites"] if site["error"]]


HEART_SCHEMA = Schema.from_record(
    {
        "fields": [
            {"name": "age", "kind": "number", "unit": "a", "range": [18, 110]},
            {"name": "sex", "kind": "category", "categories": ["0", "1"]},
            {"name": "cp", "kind": "category", "categories": ["1", "2", "3", "4"]},
            {"name": "trestbps", "kind": "number", "unit": "mm[Hg]", "range": [60, 260]},
            {"name": "chol", "kind": "number", "unit": "mg/dL", "range": [0, 700]},
            {"name": "thalach", "kind": "number", "unit": "/min", "range": [40, 230]},
            {"name": "oldpeak", "kind": "number", "unit": "mm", "range": [-5, 10]},
            {"name": "num", "kind": "number", "range": [0, 4]},
        ],
        "label": {"field": "num", "rule": "> 0"},
    }
)
_HEART = {"age": 0, "sex": 1, "cp": 2, "trestbps": 3, "chol": 4, "thalach": 7, "oldpeak": 9}
HEART = ("cleveland", "hungarian", "switzerland", "va")


def read_heart(folder: Path, name: str, *, complete: bool = True) -> Cohort:
    """Read one hospital of UCI Heart Disease; incomplete rows too, if wanted."""
    text = (folder / f"processed.{name}.data").read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.split()]
    cells = np.array([[np.nan if one in ("?", "") else float(one) for one in row] for row in rows])
    if complete:
        cells = cells[~np.isnan(cells[:, [*range(10), 13]]).any(axis=1)]
    x = {column: cells[:, place] for column, place in _HEART.items()}
    x["cp"] = x["cp"] - 1.0
    return Cohort(x=x, y=(cells[:, 13] > 0).astype(float))


GLIOMA_SCHEMA = Schema.from_record(
    {
        "fields": [
            {"name": "age", "kind": "number", "unit": "a", "range": [10, 90]},
            {"name": "sex", "kind": "category", "categories": ["Female", "Male"]},
            {"name": "idh1", "kind": "category", "categories": ["NOT_MUTATED", "MUTATED"]},
            {"name": "tp53", "kind": "category", "categories": ["NOT_MUTATED", "MUTATED"]},
            {"name": "grade", "kind": "category", "categories": ["LGG", "GBM"]},
        ],
        "label": {"field": "grade", "rule": '== "GBM"'},
    }
)
GLIOMA = {"henry-ford": "Henry Ford Hospital", "case-western": "Case Western", "duke": "Duke"}


def read_glioma(folder: Path, hospital: str) -> Cohort:
    """Read one hospital of the glioma table; rows without an age are left out."""
    with (folder / "tcga_glioma_by_hospital.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["hospital"] == hospital]
    rows = [row for row in rows if row["age_years"] and row["Gender"] in ("Male", "Female")]
    x = {
        "age": np.array([float(row["age_years"]) for row in rows]),
        "sex": np.array([float(row["Gender"] == "Male") for row in rows]),
        "idh1": np.array([float(row["IDH1"] == "MUTATED") for row in rows]),
        "tp53": np.array([float(row["TP53"] == "MUTATED") for row in rows]),
    }
    return Cohort(x=x, y=np.array([float(row["Grade"] == "GBM") for row in rows]))


DRAWN_SCHEMA = Schema.from_record(
    {
        "fields": [
            {"name": "age", "kind": "number", "unit": "a", "range": [20, 100]},
            {"name": "months", "kind": "number", "unit": "mo", "range": [0, 60]},
            {"name": "marker", "kind": "number", "unit": "ng/mL", "range": [0, 50]},
            {"name": "sex", "kind": "category", "categories": ["f", "m"]},
            {"name": "stage", "kind": "category", "categories": ["I", "II", "III", "IV"]},
            {"name": "ill", "kind": "number"},
        ],
        "label": {"field": "ill", "rule": "> 0"},
    }
)


def drawn(seed: int, *, rows: int = 200, missing: float = 0.0, per_patient: int = 1) -> Cohort:
    """Draw a hospital's rows; a share of the markers may be missing."""
    rng = np.random.default_rng(seed)
    months = np.minimum(rng.exponential(30, rows), 60.0)
    marker = np.round(rng.gamma(2.0, 4.0, rows), 2)
    marker[rng.random(rows) < missing] = np.nan
    x = {
        "age": np.floor(rng.normal(60, 12, rows)).clip(20, 99),
        "months": months,
        "marker": marker,
        "sex": rng.integers(0, 2, rows).astype(float),
        "stage": rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1]).astype(float),
    }
    y = ((months < 60) & (rng.random(rows) < 0.6)).astype(float)
    return Cohort(x=x, y=y, group=np.arange(rows) // per_patient)


def write(conference: Conference, statistic: str, *variables: str, **draft: Any) -> Question:
    """Write a question as the lead would send it, without sending it."""
    connector = conference.lead.connector
    plain = {"statistic": statistic, "variables": list(variables), "purpose": "research"}
    wanted = read_draft(plain | draft)
    agreements = choose_agreements(connector, wanted, algorithm=COMPUTATION.digest)
    listings = [request_dataset(connector, one.provider, one.dataset) for one in agreements]
    return write_question(
        wanted,
        describe_columns(listings),
        agreements,
        connector=connector,
        space="example.org",
        algorithm=COMPUTATION.digest,
    )

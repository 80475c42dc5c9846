"""The open tables of several hospitals, as recipes see them: training and held-out part by site.

Sources
-------
Janosi, Steinbrunn, Pfisterer, Detrano (1988), Heart Disease, UCI, doi
10.24432/C52P4X. Tasci, Camphausen, Krauze, Zhuge (2022), Glioma Grading, UCI,
doi 10.24432/C5R62J, with the source site of each barcode. Tsanas, Little
(2009), Parkinsons Telemonitoring, UCI, doi 10.24432/C5ZS3N. All CC BY 4.0.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.science import data_folder
from consilium.federation.contract import Cases, Needs
from consilium.gate.orders import FieldNeed, Target
from consilium.readers.intake import take_in
from consilium.readers.open_data import schema_text
from consilium.readers.records import IntakeRequest
from consilium.readers.schema import Schema

HEART = {
    "cleveland": "processed.cleveland.data",
    "hungary": "processed.hungarian.data",
    "switzerland": "processed.switzerland.data",
    "va": "processed.va.data",
}
# fmt: off
GENES = (
    "IDH1", "TP53", "ATRX", "PTEN", "EGFR", "CIC", "MUC16",
    "PIK3CA", "NF1", "PIK3R1", "FUBP1", "RB1", "NOTCH1", "BCOR",
    "CSMD3", "SMARCA4", "GRIN2A", "IDH2", "FAT4", "PDGFRA",
)
# fmt: on
LEAST_CASES = 10
"""Smaller hospitals take no part, as in a real study."""
UPDRS = ("motor_UPDRS", "total_UPDRS")
VOICE_FROM = 6
"""First column of the sixteen voice measures; before them stand both scores and `test_time`."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """One data set: what a study asks for, and each site's training and held-out part."""

    needs: Needs
    sites: Mapping[str, tuple[Cases, Cases]]


def heart() -> Tables:
    """Read the four hospitals by the product's own reader and schema: FLamby's protocol."""
    schema, sites = schema_text("heart-disease"), {}
    for name, file in HEART.items():
        with tempfile.TemporaryDirectory() as folder:
            source = data_folder() / "heart_disease" / file
            taken = take_in(
                IntakeRequest(source=source, schema=schema, out=Path(folder)),
                progress=lambda *_: None,
            )
            with np.load(taken.arrays, allow_pickle=False) as found:
                cases = Cases(x=found["x"], y=found["y"], group=found["group"])
                part = found["part"]
        sites[name] = (cases.take(part == 0), cases.take(part == 1))
    needs = Needs(
        features=tuple(
            FieldNeed(name=one.name, kind=one.kind, unit=one.unit, categories=one.categories)
            for one in Schema.from_toml(schema).features
        )
    )
    return Tables(needs=needs, sites=sites)


def glioma() -> Tables:
    """Read every hospital with at least `LEAST_CASES` patients: age and twenty genes.

    Nothing is held out here: whole hospitals are. Diagnosis and project are not
    read, they tell the grade.
    """
    path = data_folder() / "tcga_glioma" / "tcga_glioma_by_hospital.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_hospital: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_hospital.setdefault(row["hospital"], []).append(row)
    words = ("NOT_MUTATED", "MUTATED")
    needs = Needs(
        features=(
            FieldNeed(name="age", kind="number", unit="a"),
            *(FieldNeed(name=gene, kind="category", categories=words) for gene in GENES),
        )
    )
    sites = {}
    for name, inside in sorted(by_hospital.items()):
        if len(inside) >= LEAST_CASES:
            x = [
                [float(r["age_years"] or "nan"), *(words.index(r[g]) for g in GENES)]
                for r in inside
            ]
            y = np.array([row["Grade"] == "GBM" for row in inside], dtype=np.float64)
            cases = Cases(x=np.array(x), y=y, group=np.arange(len(y)))
            sites[name] = (cases, cases.take(np.array([], dtype=np.intp)))
    return Tables(needs=needs, sites=sites)


def parkinson(score: str, *, inside: bool = False) -> Tables:
    """Read 42 homes; the last third of each home's recordings is held out.

    Scores are interpolated between visits, so recordings are split by time,
    and `test_time` itself is no input.

    Parameters
    ----------
    score : str
        One of `UPDRS`.
    inside : bool, optional
        Split the training part instead, by the same rule: for choosing settings.
    """
    path = data_folder() / "parkinsons_telemonitoring" / "parkinsons_updrs.data"
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    sites = {}
    for home in np.unique(table[:, 0]):
        rows = table[table[:, 0] == home]
        rows = rows[np.argsort(rows[:, names.index("test_time")], kind="stable")]
        if inside:
            rows = rows[: 2 * len(rows) // 3]
        cases = Cases(
            x=np.concatenate([rows[:, 1:3], rows[:, VOICE_FROM:]], axis=1),
            y=rows[:, names.index(score)],
            group=np.zeros(len(rows), dtype=np.int64),
        )
        end = 2 * len(rows) // 3
        index = np.arange(len(rows))
        sites[f"home{int(home):02d}"] = (cases.take(index < end), cases.take(index >= end))
    needs = Needs(
        features=(
            FieldNeed(name="age", kind="number", unit="a"),
            FieldNeed(name="sex", kind="category", categories=("male", "female")),
            *(FieldNeed(name=name, kind="number") for name in names[VOICE_FROM:]),
        ),
        target=Target(kind="number"),
    )
    return Tables(needs=needs, sites=sites)

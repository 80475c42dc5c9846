"""Glioma grade at real hospitals, of which some own clinical data, some genes, some both.

Which hospital owns what follows from its size alone, and which patients are
held out from a fingerprint of their id, so neither was chosen by results.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from consilium.federation.contract import Cases, Needs
from consilium.gate.orders import FieldNeed

FILE = "tcga_glioma/tcga_glioma_by_hospital.csv"
CLINICAL, GENOMIC = "clinical", "genomic"
KINDS = (("both", ()), (CLINICAL, (GENOMIC,)), (GENOMIC, (CLINICAL,)))
"""Kinds of hospital, dealt in turn by size, and what each lacks."""
RACES = ("white", "black or african american", "asian")
GENES = (
    *("IDH1", "TP53", "ATRX", "PTEN", "EGFR", "CIC", "MUC16", "PIK3CA", "NF1", "PIK3R1"),
    *("FUBP1", "RB1", "NOTCH1", "BCOR", "CSMD3", "SMARCA4", "GRIN2A", "IDH2", "FAT4", "PDGFRA"),
)
LEAST_PATIENTS, LEAST_OF_A_CLASS = 10, 10
HELD_OUT = 0.4
FEATURES = (
    FieldNeed(name="decades_from_50", kind="number", unit="10 a", modality=CLINICAL),
    FieldNeed(name="sex", kind="category", categories=("Female", "Male"), modality=CLINICAL),
    FieldNeed(name="race", kind="category", categories=RACES, modality=CLINICAL),
    *(
        FieldNeed(name=g, kind="category", categories=("no", "yes"), modality=GENOMIC)
        for g in GENES
    ),
)
NEEDS = Needs(features=FEATURES)
"""Neither the diagnosis nor the project is among them: they tell the grade."""


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One real hospital with all columns, before anything is taken from it.

    `judged` says that it has enough of both grades for its held-out patients to count.
    """

    name: str
    kind: str
    lacks: tuple[str, ...]
    judged: bool
    train: Cases
    held_out: Cases


def read_hospitals(data: Path) -> list[Hospital]:
    """Read all hospitals of at least ten patients, the six with both grades first, by size."""
    with (data / FILE).open(encoding="utf-8") as file:
        rows = defaultdict(list)
        for row in csv.DictReader(file):
            rows[row["hospital"]].append(row)
    judged = sorted(filter(lambda name: _has_both(rows[name]), rows), key=_by_size(rows))
    others = [name for name in rows if name not in judged and len(rows[name]) >= LEAST_PATIENTS]
    named = [*judged, *sorted(others, key=_by_size(rows))]
    return [
        _make(name, KINDS[place % len(KINDS)], rows[name], judged=name in judged)
        for place, name in enumerate(named)
    ]


def owned(cases: Cases, lacks: Sequence[str]) -> Cases:
    """Take from cases what a hospital does not own: its columns become missing."""
    x = cases.x.copy()
    x[:, [need.modality in lacks for need in NEEDS.columns]] = math.nan
    return Cases(x=x, y=cases.y, group=cases.group)


def only(cases: Cases, modality: str) -> Cases:
    """Keep the columns of one modality alone."""
    kept = [need.modality == modality for need in NEEDS.columns]
    return Cases(x=cases.x[:, kept], y=cases.y, group=cases.group)


def needs_of(modality: str) -> Needs:
    """Return the needs of a study of one modality."""
    return Needs(features=tuple(need for need in FEATURES if need.modality == modality))


def _has_both(rows: Sequence[Mapping[str, str]]) -> bool:
    high = sum(row["Grade"] == "GBM" for row in rows)
    return min(high, len(rows) - high) >= LEAST_OF_A_CLASS


def _by_size(rows: Mapping[str, Sequence[object]]) -> Callable[[str], tuple[int, str]]:
    return lambda name: (-len(rows[name]), name)


def _make(
    name: str, kind: tuple[str, tuple[str, ...]], rows: Sequence[Mapping[str, str]], *, judged: bool
) -> Hospital:
    """Hold out two fifths of each grade, those with the smallest fingerprints."""
    rows = sorted(rows, key=lambda row: hashlib.sha256(row["Case_ID"].encode()).digest())
    x = np.array([_columns(row) for row in rows])
    y = np.array([float(row["Grade"] == "GBM") for row in rows])
    held_out = np.zeros(len(rows), dtype=bool)
    for grade in (0.0, 1.0):
        places = np.flatnonzero(y == grade)
        held_out[places[: round(HELD_OUT * len(places))]] = True
    cases = Cases(x=x, y=y, group=np.arange(len(rows)))
    return Hospital(
        name=name,
        kind=kind[0],
        lacks=kind[1],
        judged=judged,
        train=cases.take(~held_out),
        held_out=cases.take(held_out),
    )


def _columns(row: Mapping[str, str]) -> list[float]:
    age = (float(row["age_years"]) - 50) / 10 if row["age_years"] else math.nan
    sex = {"Female": 0.0, "Male": 1.0}.get(row["Gender"], math.nan)
    race = float(RACES.index(row["Race"])) if row["Race"] in RACES else math.nan
    return [age, sex, race, *(float(row[gene] == "MUTATED") for gene in GENES)]

"""Four invented hospitals for a first try, dealt from scikit-learn's breast cancer patients.

The shares and the prevalences are uneven on purpose, the second hospital has a
Chinese name and writes GBK, and every patient gets a made-up id. The patients
are real, published and de-identified (Wisconsin, 1995, CC BY 4.0).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.ledger.files import write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeSite:
    """One invented hospital: short name, title, and how many patients of each class."""

    name: str
    title: str
    benign: int
    malignant: int
    encoding: str = "utf-8"


SITES = (
    PracticeSite(name="north", title="North University Hospital", benign=148, malignant=108),
    PracticeSite(name="renhe", title="仁和示范医院", benign=137, malignant=34, encoding="gbk"),
    PracticeSite(name="lakeside", title="Lakeside Clinic", benign=39, malignant=58),
    PracticeSite(name="hillside", title="Hillside Clinic", benign=33, malignant=12),
)
"""All 569 patients: 45, 30, 17 and 8 per cent; 42, 20, 60 and 27 per cent malignant."""


def breast_cancer_sites(folder: Path, seed: int) -> dict[str, Path]:
    """Write one CSV for each of the four hospitals.

    Parameters
    ----------
    folder : Path
        Made if needed; files in it are replaced.
    seed : int
        Deals the patients; the same seed gives the same files.

    Returns
    -------
    dict of str to Path
        Path by the hospital's short name.
    """
    # scikit-learn takes a second to import, and only this needs it.
    from sklearn.datasets import load_breast_cancer

    bunch: Any = load_breast_cancer()
    malignant = bunch.target == 0
    names = [str(name).replace(" ", "_") for name in bunch.feature_names]
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for site, rows in zip(SITES, deal(malignant, seed), strict=True):
        paths[site.name] = folder / f"{site.title if site.encoding == 'gbk' else site.name}.csv"
        text = _write_table(site, names, bunch.data[rows], malignant[rows], rows)
        write_atomic(paths[site.name], text.encode(site.encoding))
    return paths


def deal(malignant: npt.NDArray[np.bool_], seed: int) -> list[npt.NDArray[np.intp]]:
    """Deal patients to the sites, each patient once; return each site's rows."""
    generator = np.random.default_rng(seed)
    benign_left = generator.permutation(np.flatnonzero(~malignant))
    malignant_left = generator.permutation(np.flatnonzero(malignant))
    hands = []
    for site in SITES:
        hand = np.concatenate([benign_left[: site.benign], malignant_left[: site.malignant]])
        benign_left, malignant_left = benign_left[site.benign :], malignant_left[site.malignant :]
        hands.append(generator.permutation(hand))
    return hands


def _write_table(
    site: PracticeSite,
    names: list[str],
    x: npt.NDArray[np.float64],
    malignant: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.intp],
) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["patient_id", "hospital", *names, "diagnosis"])
    for values, sick, row in zip(x, malignant, rows, strict=True):
        cells = [repr(float(value)) for value in values]
        diagnosis = "malignant" if sick else "benign"
        table.writerow([f"P-{row + 1:04d}", site.title, *cells, diagnosis])
    return out.getvalue()

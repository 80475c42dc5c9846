"""The four hospitals of UCI Heart Disease, read as FLamby reads them.

Source of the figures: Ogier du Terrail et al., FLamby, NeurIPS 2022,
`fed_heart_disease/dataset.py`; the split is checked against scikit-learn.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from consilium.readers.open_data import OPEN_DATA, schema_text

SITES = {
    "cleveland": (303, 303, 139, 199, 104),
    "hungarian": (294, 261, 98, 172, 89),
    "switzerland": (123, 46, 45, 30, 16),
    "va": (200, 130, 101, 85, 45),
}


@pytest.mark.parametrize("site", SITES)
def test_a_real_hospital_gives_the_published_sizes_and_split(
    site: str, open_data: Path, clinic: Any
) -> None:
    read, complete, positives, n_train, n_test = SITES[site]
    path = open_data / "heart_disease" / f"processed.{site}.data"
    result = clinic.take_in(path, schema_text("heart-disease"))
    assert result.fingerprint == OPEN_DATA["heart-disease"].files[path.name]
    assert result.quality["rows"]["read"] == read
    assert result.quality["rows"]["complete"] == result.n_patients == complete
    assert (result.n_train, result.n_test) == (n_train, n_test)
    x, y = read_plainly(path)
    strata = y if min(y.sum(), (1 - y).sum()) > 2 else None
    _, held_out = train_test_split(
        np.arange(complete),
        test_size=1 - 0.66,
        train_size=0.66,
        random_state=43,
        shuffle=True,
        stratify=strata,
    )
    with np.load(result.arrays, allow_pickle=False) as arrays:
        assert arrays["y"].sum() == positives
        assert np.array_equal(arrays["y"], y)
        assert np.array_equal(arrays["x"], x)
        assert np.array_equal(np.flatnonzero(arrays["part"]), np.sort(held_out))
        assert np.array_equal(arrays["group"], np.arange(complete))


def test_swiss_cholesterol_is_named_as_mostly_outside_its_range(
    open_data: Path, clinic: Any
) -> None:
    path = open_data / "heart_disease" / "processed.switzerland.data"
    quality = clinic.take_in(path, schema_text("heart-disease")).quality
    assert quality["drift"]["mostly_outside"] == ["chol"]
    assert quality["drift"]["constant"] == ["chol"]
    assert quality["fields"]["chol"]["out_of_range"] == 123
    codes = [one["code"] for one in quality["warnings"]]
    assert "readers.warn_mostly_outside" in codes


def read_plainly(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the file by hand: first ten columns, complete rows, category indexes."""
    with path.open(encoding="utf-8") as lines:
        rows = [[*row[:10], row[13]] for row in csv.reader(lines)]
    table = np.array([[float(cell) for cell in row] for row in rows if "?" not in row])
    table[:, 2] -= 1  # chest pain is coded from 1
    return table[:, :10], (table[:, 10] > 0).astype(float)

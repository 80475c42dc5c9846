"""The four invented hospitals of the first try."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from consilium.readers.intake import take_in
from consilium.readers.open_data import schema_text
from consilium.readers.practice import SITES, breast_cancer_sites
from consilium.readers.records import IntakeRequest
from consilium.readers.schema import Schema


def read(path: Path, encoding: str) -> list[dict[str, str]]:
    with path.open(encoding=encoding) as lines:
        return list(csv.DictReader(lines))


def test_every_patient_is_dealt_once_in_uneven_shares(tmp_path: Path) -> None:
    paths = breast_cancer_sites(tmp_path, 42)
    tables = {site.name: read(paths[site.name], site.encoding) for site in SITES}
    ids = [row["patient_id"] for rows in tables.values() for row in rows]
    assert sorted(ids) == [f"P-{n:04d}" for n in range(1, 570)]
    assert [round(len(rows) / 569, 2) for rows in tables.values()] == [0.45, 0.3, 0.17, 0.08]
    shares = [
        sum(row["diagnosis"] == "malignant" for row in rows) / len(rows) for rows in tables.values()
    ]
    assert max(shares) > 0.55
    assert min(shares) < 0.25
    truth = load_breast_cancer()
    for rows in tables.values():
        for row in rows:
            place = int(row["patient_id"][2:]) - 1
            assert (row["diagnosis"] == "malignant") == (truth.target[place] == 0)
            assert float(row["mean_radius"]) == truth.data[place, 0]


def test_the_second_hospital_has_a_chinese_name_and_writes_gbk(tmp_path: Path) -> None:
    path = breast_cancer_sites(tmp_path, 42)["renhe"]
    assert path.name == "仁和示范医院.csv"
    assert "仁和示范医院".encode("gbk") in path.read_bytes()


def test_the_seed_decides_the_dealing(tmp_path: Path) -> None:
    first, again, other = (
        breast_cancer_sites(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert all(first[name].read_bytes() == again[name].read_bytes() for name in first)
    assert any(first[name].read_bytes() != other[name].read_bytes() for name in first)


def test_each_hospital_can_be_taken_in_with_the_shipped_schema(clinic: Any) -> None:
    schema = Schema.from_toml(schema_text("breast-cancer"))
    assert len(schema.features) == 30
    for site, path in zip(SITES, breast_cancer_sites(clinic.folder, 7).values(), strict=True):
        result = clinic.take_in(path, schema_text("breast-cancer"))
        assert result.n_train + result.n_test == site.benign + site.malignant
        counts = result.quality["classes"]["held_out"]
        assert min(counts.values()) >= 4
        found = [one["code"] for one in result.quality["warnings"]]
        assert found == (["readers.warn_encoding_guessed"] if site.encoding == "gbk" else [])
        assert clinic.arrays(result)["y"].sum() == site.malignant
        assert np.isfinite(clinic.arrays(result)["x"]).all()


ARRAYS = {
    "north": "sha256:985a584fc2e0ee5773e31c6b01270ad04d8c2096015d5bd978faa0a2a6c3cc6f",
    "renhe": "sha256:25dc9d382f7416a3ceacd92dfb13d4fceecfb87ddf1bd04fbb01871fc1b65abf",
    "lakeside": "sha256:b5e0f3317963e0da1e730548376a3bc795705f224d6776ac4192068ac5f8939b",
    "hillside": "sha256:5d31df3b8f5bd4a4ee2359ee818d3dfa4ec091594ed3e66689c96c8dd38993ba",
}


@pytest.mark.slow
def test_the_demos_array_files_are_what_they_always_were(tmp_path: Path) -> None:
    found = {}
    for site, path in breast_cancer_sites(tmp_path / "sources", 42).items():
        request = IntakeRequest(
            source=path, schema=schema_text("breast-cancer"), out=tmp_path / site
        )
        found[site] = take_in(request, progress=lambda *_: None).arrays_digest
    assert found == ARRAYS

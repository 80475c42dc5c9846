"""The published sets of pictures, numbers and hospitals, each read by a steward's schema.

What is checked is what their publishers say of them: sizes, classes, the
official split, the number of children and patients. `pytest -s` prints each
report's figures.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest, IntakeResult

pytestmark = [pytest.mark.science, pytest.mark.slow]

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Taken:
    """A set that was taken in: what was said of it, and its arrays."""

    result: IntakeResult
    arrays: Arrays

    @property
    def warnings(self) -> list[str]:
        found = self.result.quality["warnings"]
        return [one["code"].removeprefix("readers.warn_") for one in found]


@pytest.fixture
def take(tmp_path: Path) -> Callable[[str, str], Taken]:
    folder = os.environ.get("CONSILIUM_TEST_DATA")
    if not folder:
        pytest.skip("CONSILIUM_TEST_DATA is not set")

    def taken(file: str, schema: str) -> Taken:
        source = Path(file) if file.startswith("/") else Path(folder) / file
        request = IntakeRequest(source=source, schema=schema, out=tmp_path / "out")
        result = take_in(request, progress=lambda *_: None)
        with np.load(result.arrays, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        report = result.quality
        print(f"\n{file}: {report['rows']} {report['classes']} {report.get('images', '')}")
        return Taken(result=result, arrays=arrays)

    return taken


def column(name: str, kind: str = "number", **more: object) -> str:
    lines = [f'name = "{name}"', f'kind = "{kind}"']
    lines += [f"{key} = {value!r}".replace("'", '"') for key, value in more.items()]
    return "[[fields]]\n" + "\n".join(lines) + "\n"


BRAIN = """
drop = ["classes", "source"]
[label]
kind = "classes"
field = "tumour"
classes = ["glioma", "meningioma", "pituitary"]
""" + (
    column("mri", "image", source="images", shape=[96, 96, 1])
    + column("tumour", "category", source="labels", categories=["0", "1", "2"])
)


def test_the_brain_tumour_slices_are_1200_of_three_classes_without_copies(
    take: Callable[[str, str], Taken],
) -> None:
    taken = take("brain_tumour_mri/brain_tumour_mri_96_train.npz", BRAIN)
    assert taken.arrays["field.mri"].shape == (1200, 96, 96, 1)
    classes = taken.result.quality["classes"]
    assert {name: n + classes["held_out"][name] for name, n in classes["train"].items()} == {
        "glioma": 400,
        "meningioma": 400,
        "pituitary": 400,
    }
    # Their publisher removed what differs in 12 bits of 256 at most.
    assert taken.result.quality["images"]["mri"]["near_copies"] == {"all": 0, "held_out": 0}
    assert taken.warnings == []


RETINA = """
[source]
parts = ["train", "val", "test"]
[label]
kind = "classes"
field = "grade"
[split]
column = "part"
held_out_in = ["test"]
""" + (
    column("fundus", "image", source="{part}_images", shape=[28, 28, 3])
    + column("grade", "category", source="{part}_labels", categories=["0", "1", "2", "3", "4"])
    + column("part", "category", source="{part}", categories=["train", "val", "test"])
)


def test_retinamnist_keeps_its_official_split(take: Callable[[str, str], Taken]) -> None:
    taken = take("retinamnist/retinamnist.npz", RETINA)
    y, part = taken.arrays["y"].astype(int), taken.arrays["part"]
    assert np.bincount(y[part == 1]).tolist() == [174, 46, 92, 68, 20]
    assert np.bincount(y[:1080]).tolist() == [486, 128, 206, 194, 66]
    assert (taken.result.n_train, taken.result.n_test) == (1080 + 120, 400)
    assert taken.arrays["field.fundus"].dtype == np.uint8


CHASE = """
patient = "ids"
patient_pattern = "^Image_[0-9]+"
drop = ["vessel_observer2"]
[label]
kind = "mask"
field = "vessels"
[split]
held_out = 0.2
""" + (
    column("fundus", "image", source="images", shape=[256, 256, 3])
    + column("vessels", "image", source="vessel_observer1", shape=[256, 256, 1])
)


def test_chase_is_split_by_child_with_both_eyes_on_one_side(
    take: Callable[[str, str], Taken],
) -> None:
    taken = take("chase_db1/chase_db1_256_train20.npz", CHASE)
    found = taken.arrays
    assert taken.result.n_patients == 10
    assert np.bincount(found["group"]).tolist() == [2] * 10
    assert (taken.result.n_train, taken.result.n_test) == (16, 4)
    assert all(np.ptp(found["part"][found["group"] == child]) == 0 for child in range(10))
    assert found["mask"].shape == (20, 256, 256)
    assert set(np.unique(found["mask"])) == {0, 1}
    # About 7 in 100 picture elements are vessel to the first observer.
    assert found["mask"].mean() == pytest.approx(0.066, abs=0.005)


VOICE = [
    "Jitter(%)",
    "Jitter(Abs)",
    "Jitter:RAP",
    "Jitter:PPQ5",
    "Jitter:DDP",
    "Shimmer",
    "Shimmer(dB)",
    "Shimmer:APQ3",
    "Shimmer:APQ5",
    "Shimmer:APQ11",
    "Shimmer:DDA",
    "NHR",
    "HNR",
    "RPDE",
    "DFA",
    "PPE",
]
PARKINSON = """
patient = "subject#"
drop = ["motor_UPDRS"]
[label]
kind = "number"
field = "total_UPDRS"
[split]
order = "test_time"
held_out = 0.2
""" + "".join(
    [
        column("total_UPDRS", unit="{score}", range=[0, 176]),
        column("test_time", unit="d"),
        column("age", unit="a"),
        column("sex", "category", categories=["0", "1"]),
        *(column(name, modality="voice") for name in VOICE),
    ]
)


def test_parkinson_homes_hold_out_their_last_weeks_without_the_time_as_a_feature(
    take: Callable[[str, str], Taken],
) -> None:
    taken = take("parkinsons_telemonitoring/parkinsons_updrs.data", PARKINSON)
    found, report = taken.arrays, taken.result.quality
    assert found["x"].shape == (5875, 18)
    assert taken.result.n_patients == 42
    assert report["split"] == {"by": "order", "stratified": False, "patients_on_both_sides": 42}
    assert "patients_in_time" in taken.warnings
    assert found["y"].min() == pytest.approx(7.0)
    assert found["y"].max() == pytest.approx(54.992)
    shares = [found["part"][found["group"] == home].mean() for home in range(42)]
    assert min(shares) >= 0.2
    assert max(shares) < 0.21


GENES = [
    "IDH1",
    "TP53",
    "ATRX",
    "PTEN",
    "EGFR",
    "CIC",
    "MUC16",
    "PIK3CA",
    "NF1",
    "PIK3R1",
    "FUBP1",
    "RB1",
    "NOTCH1",
    "BCOR",
    "CSMD3",
    "SMARCA4",
    "GRIN2A",
    "IDH2",
    "FAT4",
    "PDGFRA",
]
GLIOMA = """
patient = "Case_ID"
drop = ["Project", "Primary_Diagnosis", "Race", "tss", "site_raw", "hospital", "Age_at_diagnosis"]
[source]
missing_marks = ["--", "not reported"]
[label]
field = "Grade"
rule = '== "GBM"'
positive = "glioblastoma"
""" + "".join(
    [
        column("Grade", "category", categories=["LGG", "GBM"]),
        column("sex", "category", source="Gender", categories=["Female", "Male"]),
        column("age", source="age_years", unit="a", range=[0, 110]),
        *(
            column(gene, "category", categories=["NOT_MUTATED", "MUTATED"], modality="genomics")
            for gene in GENES
        ),
    ]
)


def test_a_glioma_hospital_has_two_modalities_and_its_published_counts(
    take: Callable[[str, str], Taken], tmp_path: Path
) -> None:
    source = Path(os.environ["CONSILIUM_TEST_DATA"]) / "tcga_glioma" / "tcga_glioma_by_hospital.csv"
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = [row for row in rows if row["hospital"] == "Henry Ford Hospital"]
    table = tmp_path / "henry_ford.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0])
        writer.writeheader()
        writer.writerows(ours)
    taken = take(str(table), GLIOMA)
    assert len(ours) == 192
    assert taken.result.quality["rows"]["complete"] == 192
    classes = taken.result.quality["classes"]
    both = {name: n + classes["held_out"][name] for name, n in classes["train"].items()}
    assert both == {"negative": 81, "positive": 111}
    assert taken.arrays["x"].shape[1] == 22

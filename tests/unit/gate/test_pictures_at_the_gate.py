"""Images, modalities and targets at the gates: what fits, and what statistics refuse."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from consilium.gate.columns import check_columns, read_table
from consilium.gate.fit import check_fit
from consilium.gate.orders import FieldNeed, Study, Target
from consilium.gate.questions import LABEL_CATEGORIES
from consilium.kernel.errors import DeniedError
from consilium.readers.schema import Schema

RECORD: dict[str, Any] = {
    "fields": [
        {"name": "fundus", "kind": "image", "shape": [64, 64, 3]},
        {"name": "age", "kind": "number", "unit": "a"},
        {"name": "idh1", "kind": "category", "categories": ["0", "1"], "modality": "genes"},
        {"name": "grade", "kind": "category", "categories": ["0", "1", "2"]},
    ],
    "label": {"kind": "classes", "field": "grade", "classes": ["none", "mild", "severe"]},
}
AGE = FieldNeed(name="age", kind="number", unit="a")
GENE = FieldNeed(name="idh1", kind="category", categories=("0", "1"), modality="genes")
FUNDUS = FieldNeed(name="fundus", kind="image", modality="fundus", shape=(64, 64, 3))
GRADE = Target(kind="classes", classes=("none", "mild", "severe"))


class Plan:
    """Those parts of a study that must fit."""

    def __init__(self, *features: FieldNeed, target: Target = GRADE, label: str = "grade") -> None:
        self.features, self.target, self.label = features, target, label


def fits(plan: Plan, **more: Any) -> None:
    check_fit(cast("Study", plan), RECORD, **more)


def refused(plan: Plan, **more: Any) -> str:
    with pytest.raises(DeniedError) as caught:
        fits(plan, **more)
    return f"{caught.value.code} {caught.value.public}"


def test_a_study_of_images_columns_and_classes_fits() -> None:
    fits(Plan(AGE, GENE, FUNDUS))


@pytest.mark.parametrize(
    ("need", "part"),
    [
        (replace(FUNDUS, shape=(32, 32, 3)), "shape"),
        (replace(FUNDUS, modality="oct"), "modality"),
        (replace(FUNDUS, kind="signal"), "kind"),
        (replace(GENE, modality="table"), "modality"),
    ],
    ids=["shape", "modality", "kind", "gene"],
)
def test_a_field_that_differs_is_named_with_what_differs(need: FieldNeed, part: str) -> None:
    found = refused(Plan(need))
    assert found.startswith("gate.column_differs")
    assert need.name in found
    assert part in found


@pytest.mark.parametrize(
    "target",
    [
        Target(),
        Target(kind="number"),
        Target(kind="classes", classes=("none", "severe", "mild")),
        Target(kind="classes", classes=("none", "mild")),
    ],
    ids=["binary", "number", "another order", "fewer"],
)
def test_another_target_is_refused(target: Target) -> None:
    assert refused(Plan(AGE, target=target)).startswith("gate.column_differs")


def test_a_modality_that_the_plan_knows_to_lack_is_not_asked_for() -> None:
    oct_image = FieldNeed(name="oct", kind="image", modality="oct", shape=(64, 64, 1))
    assert refused(Plan(AGE, oct_image)).startswith("gate.no_such_column")
    fits(Plan(AGE, oct_image), lacks=("oct",))


@pytest.mark.parametrize(
    "need",
    [FUNDUS, FieldNeed(name="grade", kind="category", categories=LABEL_CATEGORIES)],
    ids=["image", "label"],
)
def test_statistics_refuse_images_and_labels_of_several_classes(need: FieldNeed) -> None:
    with pytest.raises(DeniedError) as caught:
        check_columns((AGE, need), RECORD)
    assert caught.value.code == "gate.not_for_statistics"
    assert need.name in caught.value.public


def test_columns_beside_images_are_found_at_their_places() -> None:
    schema = Schema.from_record(RECORD)
    file = io.BytesIO()
    x = np.array([[40.0, 1.0], [50.0, 0.0]])
    np.savez(file, x=x, y=np.zeros(2), group=np.arange(2))
    file.seek(0)
    table = read_table(file, (replace(GENE, categories=("1", "0")), AGE), schema=schema)
    assert table.values["age"].tolist() == [40, 50]
    assert table.values["idh1"].tolist() == [0, 1]

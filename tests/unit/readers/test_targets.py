"""Targets beyond yes and no, and splits that need no draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from consilium.kernel.errors import InputError
from consilium.readers.records import IntakeResult, Split
from consilium.readers.split import hold_out, hold_out_last

HEADER = "id,age,grade,days,state,set"
FIELDS = """
[[fields]]
name = "age"
kind = "number"
unit = "a"
range = [0, 120]
outside = "missing"
[[fields]]
name = "grade"
kind = "category"
categories = ["1", "2", "3"]
[[fields]]
name = "days"
kind = "number"
unit = "d"
[[fields]]
name = "state"
kind = "category"
categories = ["alive", "dead"]
[[fields]]
name = "set"
kind = "category"
categories = ["train", "val", "test"]
"""


def rows(n: int = 60) -> list[str]:
    return [
        f"P{row // 2},{30 + row},{row // 2 % 3 + 1},{1000 - row},{('alive', 'dead')[row // 2 % 2]},"
        f"{('train', 'train', 'val', 'test')[row // 2 % 4]}"
        for row in range(n)
    ]


def take(clinic: Any, label: str, lines: list[str] | None = None, *, top: str = "") -> IntakeResult:
    schema = f'patient = "id"\n{top}\n[label]\n{label}\n{FIELDS}'
    source = clinic.save(rows() if lines is None else lines, header=HEADER)
    result: IntakeResult = clinic.take_in(source, schema)
    return result


def words(result: IntakeResult) -> list[str]:
    return [one["code"].removeprefix("readers.warn_") for one in result.quality["warnings"]]


@pytest.mark.slow
def test_classes_become_their_index_and_both_sides_have_them_alike(clinic: Any) -> None:
    result = take(clinic, 'kind = "classes"\nfield = "grade"\nclasses = ["low", "mid", "high"]')
    found = clinic.arrays(result)
    assert found["y"].dtype == np.float64
    assert found["y"].tolist() == [row // 2 % 3 for row in range(60)]
    counts = [np.bincount(found["y"][found["part"] == side].astype(int)) for side in (0, 1)]
    assert np.ptp(counts[0]) <= 2
    assert np.ptp(counts[1]) <= 2
    classes = result.quality["classes"]
    assert classes["kind"] == "classes"
    assert classes["train"] == dict(zip(("low", "mid", "high"), counts[0].tolist(), strict=True))
    assert result.quality["split"]["stratified"] is True
    assert found["x"].shape == (60, 4)
    assert "time" not in found


@pytest.mark.slow
def test_a_number_keeps_its_value_and_a_row_without_it_is_left_out(clinic: Any) -> None:
    lines = rows()
    lines[4] = lines[4].replace(",34,", ",,")
    lines[6] = lines[6].replace(",36,", ",360,")  # out of range counts as missing here
    result = take(clinic, 'kind = "number"\nfield = "age"', lines)
    found = clinic.arrays(result)
    assert found["y"].tolist() == [30 + row for row in range(60) if row not in (4, 6)]
    assert result.quality["rows"]["dropped"]["no_label"] == 2
    assert result.quality["classes"] == {
        "kind": "number",
        "train": {"rows": result.n_train},
        "held_out": {"rows": result.n_test},
    }
    assert found["x"].shape == (58, 4)


@pytest.mark.slow
def test_survival_has_events_and_times(clinic: Any) -> None:
    lines = rows()
    lines[2] = lines[2].replace(",998,", ",,")
    lines[3] = lines[3].replace(",997,", ",-1,")  # nobody is followed for less than no time
    label = 'kind = "survival"\nfield = "state"\npositive = "death"\ntime = "days"'
    label += "\nrule = '== \"dead\"'"
    result = take(clinic, label, lines)
    found = clinic.arrays(result)
    kept = [row for row in range(60) if row not in (2, 3)]
    assert found["y"].tolist() == [row // 2 % 2 for row in kept]
    assert found["time"].tolist() == [1000 - row for row in kept]
    assert found["x"].shape == (58, 3)
    assert result.quality["split"]["stratified"] is True
    assert result.quality["classes"]["train"].keys() == {"censored", "event"}
    assert result.quality["classes"]["positive"] == "death"


@pytest.mark.slow
def test_a_given_split_is_taken_as_it_is(clinic: Any) -> None:
    top = '[split]\ncolumn = "set"\nheld_out_in = ["test"]'
    result = take(clinic, 'kind = "classes"\nfield = "grade"', top=top)
    found = clinic.arrays(result)
    assert found["part"].tolist() == [int(row // 2 % 4 == 3) for row in range(60)]
    assert found["x"].shape == (60, 3)
    assert words(result) == []
    lines = rows()
    lines[0] = lines[0].replace("train", "test")
    astride = take(clinic, 'kind = "classes"\nfield = "grade"', lines, top=top)
    assert words(astride) == ["patients_astride"]
    assert astride.quality["split"]["patients_on_both_sides"] == 1


@pytest.mark.slow
def test_a_row_whose_side_is_not_told_is_left_out(clinic: Any) -> None:
    lines = rows()
    lines[3] = lines[3].replace("train", "?")
    top = 'missing = "keep"\n[split]\ncolumn = "set"\nheld_out_in = ["test"]'
    result = take(clinic, 'kind = "classes"\nfield = "grade"', lines, top=top)
    assert result.quality["rows"]["dropped"]["missing_value"] == 1


@pytest.mark.slow
def test_a_given_split_with_an_empty_side_is_refused(clinic: Any) -> None:
    lines = [row.replace("test", "val") for row in rows()]
    with pytest.raises(InputError) as caught:
        take(
            clinic,
            'kind = "classes"\nfield = "grade"',
            lines,
            top='[split]\ncolumn = "set"\nheld_out_in = ["test"]',
        )
    assert caught.value.code == "readers.empty_side"


@pytest.mark.slow
def test_the_last_rows_of_each_patient_are_held_out_and_the_report_says_it(clinic: Any) -> None:
    lines = [f"P{row % 6},{30 + row},1,{(row * 37) % 61},alive,train" for row in range(60)]
    top = '[split]\norder = "days"\nheld_out = 0.2'
    result = take(clinic, 'kind = "number"\nfield = "age"', lines, top=top)
    found = clinic.arrays(result)
    days = np.array([(row * 37) % 61 for row in range(60)])
    for patient in range(6):
        mine = found["group"] == patient
        assert days[mine & (found["part"] == 1)].min() > days[mine & (found["part"] == 0)].max()
        assert found["part"][mine].sum() == 2
    assert words(result)[-1] == "patients_in_time"
    assert result.quality["split"] == {
        "by": "order",
        "stratified": False,
        "patients_on_both_sides": 6,
    }


@pytest.mark.slow
def test_one_patient_may_be_told_by_part_of_a_column(clinic: Any) -> None:
    lines = [
        row.replace("P", "phon_R01_S", 1).replace(",", f"_{place},", 1)
        for place, row in enumerate(rows())
    ]
    lines[8] = "nobody" + lines[8][lines[8].index(",") :]
    result = take(
        clinic, 'kind = "classes"\nfield = "grade"', lines, top="patient_pattern = '^(.*_S[0-9]+)_'"
    )
    assert result.n_patients == 30
    assert result.quality["rows"]["dropped"]["no_patient"] == 1
    assert clinic.arrays(result)["group"][:6].tolist() == [0, 0, 1, 1, 2, 2]


MASKS = """
patient = "child"
[label]
kind = "mask"
field = "vessels"
threshold = 127
[[fields]]
name = "fundus"
kind = "image"
shape = [8, 12, 3]
[[fields]]
name = "vessels"
kind = "image"
shape = [8, 12, 1]
interpolation = "nearest"
"""


@pytest.mark.slow
def test_a_mask_is_marked_above_its_threshold_and_lies_on_its_image(gallery: Any) -> None:
    generator = np.random.default_rng(5)
    masks = (generator.random((20, 8, 12)) > 0.7).astype(np.uint8) * 255
    lines = []
    for row in range(20):
        gallery.paint(gallery.picture(row, (8, 12, 3)), f"f{row}.png")
        gallery.paint(masks[row], f"m{row}.png")
        lines.append(f"K{row // 2},图像/f{row}.png,图像/m{row}.png")
    large = Image.fromarray(masks[3]).resize((24, 16), Image.Resampling.NEAREST)
    large.save(gallery.images / "m3.png")  # twice as fine, the same proportions
    gallery.paint(masks[4][:, :6], "m4.png")  # would lie beside its image
    source = gallery.save(lines, header="child,fundus,vessels")
    result = gallery.take_in(source, MASKS)
    found = gallery.arrays(result)
    kept = [row for row in range(20) if row != 4]
    assert found["mask"].dtype == np.uint8
    assert np.array_equal(found["mask"], masks[kept] // 255)
    assert found["field.fundus"].shape == (19, 8, 12, 3)
    assert not found["y"].any()
    assert result.quality["images"]["vessels"]["unfit"] == {"other_size": 1}
    assert result.quality["images"]["vessels"]["kind"] == "mask"
    assert result.quality["images"]["vessels"]["marked"] == pytest.approx(0.3, abs=0.05)
    sides = [set(found["group"][found["part"] == side]) for side in (0, 1)]
    assert sides[0].isdisjoint(sides[1])


def test_several_classes_are_drawn_alike_and_a_rare_one_goes_with_the_largest() -> None:
    y = np.repeat([0, 1, 2, 3], [60, 30, 9, 1]).astype(np.int16)
    part, stratified = hold_out(y, None, Split(train_size=None, held_out=1 / 3))
    assert stratified
    assert np.bincount(y[part == 1], minlength=4)[1:3].tolist() == [10, 3]
    assert part.sum() == 34


def test_a_patient_counts_for_the_highest_class_of_any_row() -> None:
    y = np.array([0, 2, 0, 1] * 15, dtype=np.int16)
    group = np.repeat(np.arange(30), 2)
    part, stratified = hold_out(y, group, Split(train_size=None, held_out=0.2))
    assert stratified
    highest = y.reshape(-1, 2).max(axis=1)
    assert np.bincount(highest[part[::2] == 1]).tolist() == [0, 3, 3]


def test_a_patient_with_one_row_stays_on_the_training_side_of_an_order() -> None:
    order = np.array([3.0, 1.0, 2.0, 9.0, 5.0])
    group = np.array([0, 0, 0, 1, 0])
    part = hold_out_last(order, group, Split(train_size=None, held_out=0.5))
    assert part.tolist() == [1, 0, 0, 0, 1]


def test_without_patients_the_order_runs_over_all_rows() -> None:
    order = np.array([3.0, 1.0, 2.0, 9.0])
    assert hold_out_last(order, None, Split(train_size=0.75)).tolist() == [0, 0, 0, 1]

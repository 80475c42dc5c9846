"""Array files as sources: members, parts, and what is refused."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilium.kernel.errors import InputError
from consilium.readers.records import IntakeResult

pytestmark = pytest.mark.slow

SCHEMA = """
drop = ["names"]
[label]
kind = "classes"
field = "tumour"
classes = ["glioma", "meningioma", "pituitary"]
[[fields]]
name = "mri"
kind = "image"
source = "images"
shape = [8, 8, 1]
[[fields]]
name = "tumour"
kind = "category"
source = "labels"
categories = ["0", "1", "2"]
"""
AGE = '[[fields]]\\nname = "age"\\nkind = "number"\\n'.replace("\\n", "\n")
N = 30


def members(**further: np.ndarray) -> dict[str, np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (N, 8, 8)).astype(np.uint8)
    return {
        "images": images,
        "labels": (np.arange(N) % 3).astype(np.uint8),
        "names": np.array(["glioma", "meningioma", "pituitary"]),
        **further,
    }


def save(clinic: Any, found: dict[str, np.ndarray], *, packed: bool = True) -> Path:
    path: Path = clinic.folder / "scans.npz"
    (np.savez_compressed if packed else np.savez)(path, **found)  # type: ignore[operator]
    return path


def refused(clinic: Any, found: dict[str, np.ndarray], schema: str = SCHEMA) -> InputError:
    with pytest.raises(InputError) as caught:
        clinic.take_in(save(clinic, found), schema)
    return caught.value


def words(result: IntakeResult) -> list[str]:
    return [one["code"].removeprefix("readers.warn_") for one in result.quality["warnings"]]


@pytest.mark.parametrize("packed", [True, False])
def test_members_become_arrays_as_they_are(clinic: Any, packed: bool) -> None:
    source = members()
    result = clinic.take_in(save(clinic, source, packed=packed), SCHEMA)
    found = clinic.arrays(result)
    assert np.array_equal(found["field.mri"][:, :, :, 0], source["images"])
    assert np.array_equal(found["y"], source["labels"])
    assert found["x"].shape == (N, 0)
    assert words(result) == []
    assert result.quality["source"]["kind"] == "npz"
    assert result.quality["classes"]["train"] == {"glioma": 6, "meningioma": 7, "pituitary": 6}


def test_pictures_need_no_pillow_when_they_have_their_size(
    clinic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [one for one in sys.modules if one == "PIL" or one.startswith("PIL.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert clinic.take_in(save(clinic, members()), SCHEMA).n_patients == N


def test_columns_of_numbers_and_texts_come_along(clinic: Any) -> None:
    age = np.linspace(20, 80, N)
    age[4] = np.nan
    ids = np.array([f"P{row // 2}" for row in range(N)])
    labels = np.array(["甲", "乙", "丙"])[np.arange(N) % 3]
    schema = 'patient = "ids"\n' + SCHEMA.replace('"0", "1", "2"', '"甲", "乙", "丙"') + AGE
    source = save(clinic, members(ids=ids, age=age[:, None], labels=labels))
    result = clinic.take_in(source, schema)
    found = clinic.arrays(result)
    kept = np.arange(N) != 4
    assert np.array_equal(found["x"][:, 0], age[kept])
    assert np.array_equal(found["y"], (np.arange(N) % 3)[kept])
    assert np.array_equal(found["group"], (np.arange(N) // 2)[kept])
    assert np.array_equal(found["field.mri"][:, :, :, 0], members()["images"][kept])


def test_pictures_are_resized_where_the_schema_says(clinic: Any) -> None:
    images = np.full((N, 4, 8), 90, dtype=np.uint8)
    images[:, 0, 0] = np.arange(N)
    result = clinic.take_in(save(clinic, members(images=images)), SCHEMA)
    found = clinic.arrays(result)["field.mri"][:, :, :, 0]
    assert (found[:, 4, 4] == 90).all()
    assert not found[:, :2].any()


def test_16_bits_and_signals_keep_their_values(clinic: Any) -> None:
    images = np.random.default_rng(2).integers(0, 4096, (N, 8, 8, 1)).astype(np.uint16)
    ecg = np.random.default_rng(3).normal(size=(N, 50, 2)).astype(np.float32)
    schema = SCHEMA.replace("shape = [8, 8, 1]", "shape = [8, 8, 1]\ndepth = 16")
    schema += '[[fields]]\nname = "ecg"\nkind = "signal"\nshape = [50, 2]\nunit = "mV"\n'
    result = clinic.take_in(save(clinic, members(images=images, ecg=ecg)), schema)
    found = clinic.arrays(result)
    assert np.array_equal(found["field.mri"], images)
    assert found["field.ecg"].dtype == np.float32
    assert np.array_equal(found["field.ecg"], ecg)
    assert result.quality["images"]["ecg"]["kind"] == "signal"


def test_a_signal_with_a_gap_leaves_its_row_out(clinic: Any) -> None:
    ecg = np.ones((N, 50))
    ecg += np.arange(N)[:, None]
    ecg[7, 3] = np.nan
    schema = SCHEMA + '[[fields]]\nname = "ecg"\nkind = "signal"\nshape = [40, 1]\n'
    result = clinic.take_in(save(clinic, members(ecg=ecg)), schema)
    assert result.quality["images"]["ecg"]["unfit"] == {"unreadable": 1}
    assert clinic.arrays(result)["field.ecg"].shape == (N - 1, 40, 1)
    assert clinic.arrays(result)["field.mri"].shape[0] == N - 1


PARTS = """
[source]
parts = ["train", "test"]
[label]
kind = "classes"
field = "grade"
[split]
column = "part"
held_out_in = ["test"]
[[fields]]
name = "fundus"
kind = "image"
source = "{part}_images"
shape = [8, 8, 1]
[[fields]]
name = "grade"
kind = "category"
source = "{part}_labels"
categories = ["0", "1", "2"]
[[fields]]
name = "part"
kind = "category"
source = "{part}"
categories = ["train", "test"]
"""


def in_parts() -> dict[str, np.ndarray]:
    found = members()
    return {
        "train_images": found["images"][:20],
        "test_images": found["images"][20:],
        "train_labels": found["labels"][:20, None],
        "test_labels": found["labels"][20:, None],
    }


def test_a_published_split_in_parts_is_kept(clinic: Any) -> None:
    result = clinic.take_in(save(clinic, in_parts()), PARTS)
    found = clinic.arrays(result)
    assert found["part"].tolist() == [0] * 20 + [1] * 10
    assert np.array_equal(found["field.fundus"][:, :, :, 0], members()["images"])
    assert result.quality["split"] == {"by": "column", "stratified": False}
    assert words(result) == []
    assert (result.n_train, result.n_test) == (20, 10)


def test_a_part_that_lacks_a_member_is_told(clinic: Any) -> None:
    found = in_parts()
    del found["test_images"]
    assert refused(clinic, found, PARTS).code == "readers.wrong_columns"


def test_members_of_unlike_length_are_refused(clinic: Any) -> None:
    error = refused(clinic, members(labels=np.zeros(N - 1, dtype=np.uint8)))
    assert error.code == "readers.uneven_members"
    assert "labels (29)" in error.public


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((N, 8, 8, 3), dtype=np.uint8),
        np.zeros((N, 8), dtype=np.uint8),
        np.zeros((N, 8, 8), dtype=np.float64),
        np.zeros((N, 0, 8), dtype=np.uint8),
    ],
    ids=["three channels", "no pictures", "floats", "nothing"],
)
def test_a_member_of_another_shape_or_kind_is_refused(clinic: Any, images: np.ndarray) -> None:
    error = refused(clinic, members(images=images))
    assert error.code == "readers.bad_picture_member"
    assert "uint8 [n, 8, 8, 1]" in error.public


def test_objects_are_never_read(clinic: Any) -> None:
    bad = np.array([{"a": 1}] * N, dtype=object)
    assert refused(clinic, members(labels=bad)).code == "readers.bad_member"
    assert refused(clinic, members(images=bad)).code == "readers.bad_member"


def test_fortran_order_dates_and_tables_are_refused_as_columns(clinic: Any) -> None:
    dates = np.array(["2026-01-01"] * N, dtype="M8[D]")
    assert refused(clinic, members(labels=dates)).code == "readers.bad_member"
    assert refused(clinic, members(labels=np.zeros((N, 2)))).code == "readers.bad_member"
    turned = np.asfortranarray(members()["images"])
    assert refused(clinic, members(images=turned)).code == "readers.bad_member"


def test_a_damaged_archive_is_told(clinic: Any) -> None:
    path = save(clinic, members())
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError) as caught:
        clinic.take_in(path, SCHEMA)
    assert caught.value.code in ("readers.bad_npz", "readers.bad_member")


def test_a_head_that_promises_more_than_there_is_is_told(clinic: Any) -> None:
    path = save(clinic, members())
    with zipfile.ZipFile(path, "a") as archive:
        head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (30, 999, 999), }\n"
        archive.writestr("big.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(InputError) as caught:
        clinic.take_in(path, SCHEMA.replace('source = "images"', 'source = "big"'))
    assert caught.value.code == "readers.bad_npz"


def test_many_pictures_pass_through_little_memory(clinic: Any) -> None:
    images = np.random.default_rng(4).integers(0, 256, (900, 192, 192), dtype=np.uint8)
    found = {"images": images, "labels": np.arange(900) % 3}
    path = save(clinic, found, packed=False)
    schema = SCHEMA.replace("[8, 8, 1]", "[192, 192, 1]").replace('drop = ["names"]', "")
    tracemalloc.start()
    result = clinic.take_in(path, schema)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.arrays.stat().st_size > images.nbytes > 31 << 20
    assert peak < images.nbytes / 2


def test_another_archive_is_still_no_table(clinic: Any) -> None:
    path = clinic.folder / "book.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(InputError) as caught:
        clinic.take_in(path, SCHEMA)
    assert caught.value.code == "readers.not_a_table"

"""Image folders: what a table of paths becomes, and what is refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from consilium.kernel.errors import ConsiliumError, InputError, NotFoundError, StateError
from consilium.readers.records import IntakeResult

pytestmark = pytest.mark.slow

GREY = {"shape = [12, 16, 3]": "shape = [12, 16, 1]"}
DEEP = {"shape = [12, 16, 3]": "shape = [12, 16, 1]\ndepth = 16"}


def words(result: IntakeResult) -> list[str]:
    return [one["code"].removeprefix("readers.warn_") for one in result.quality["warnings"]]


def unfit(result: IntakeResult) -> dict[str, int]:
    return dict(result.quality["images"]["fundus"]["unfit"])


def test_a_folder_of_pictures_becomes_one_array_file(gallery: Any) -> None:
    result = gallery.show(gallery.rows())
    found = gallery.arrays(result)
    assert {name: (one.shape, one.dtype.str) for name, one in found.items()} == {
        "x": ((24, 0), "<f8"),
        "y": ((24,), "<f8"),
        "group": ((24,), "<i8"),
        "part": ((24,), "|i1"),
        "field.fundus": ((24, 12, 16, 3), "|u1"),
    }
    for row in range(24):
        assert np.array_equal(found["field.fundus"][row], gallery.picture(row))
    assert found["y"][:6].tolist() == [0, 0, 1, 1, 2, 2]
    assert words(result) == []
    assert result.n_patients == 12
    assert os.listdir(result.arrays.parent) == ["arrays.npz"]


def test_the_same_folder_gives_the_same_bytes_and_another_picture_another_fingerprint(
    gallery: Any,
) -> None:
    rows = gallery.rows()
    first, again = gallery.show(rows), gallery.show(rows)
    assert first.as_record() == again.as_record()
    gallery.paint(gallery.picture(99), "眼底3.png")
    changed = gallery.show(rows)
    assert changed.fingerprint != first.fingerprint
    assert changed.arrays_digest != first.arrays_digest


def test_a_gbk_table_finds_pictures_with_chinese_names(gallery: Any) -> None:
    plain = gallery.show(gallery.rows())
    result = gallery.show(gallery.rows(), encoding="gbk")
    assert words(result) == ["encoding_guessed"]
    assert result.arrays_digest == plain.arrays_digest


@pytest.mark.parametrize("ending", ["png", "tif", "PNG"])
def test_grey_pictures_of_8_and_16_bits_keep_their_values(gallery: Any, ending: str) -> None:
    for top, change in ((255, GREY), (4095, DEEP)):
        rows = gallery.rows()
        for row in range(24):
            gallery.paint(gallery.picture(row, (12, 16, 1), top), f"{top}-{row}.{ending}")
        named = [line.replace("眼底", f"{top}-").replace("png", ending) for line in rows]
        found = gallery.arrays(gallery.show(named, replace=change))["field.fundus"]
        for row in range(24):
            assert np.array_equal(found[row], gallery.picture(row, (12, 16, 1), top))


def test_a_jpeg_is_read_as_its_decoder_gives_it(gallery: Any) -> None:
    rows = gallery.rows()
    path = gallery.paint(gallery.picture(0), "眼底0.jpg", quality=90)
    rows[0] = rows[0].replace("png", "jpg")
    found = gallery.arrays(gallery.show(rows))["field.fundus"]
    assert np.array_equal(found[0], np.asarray(Image.open(path)))


def test_grey_written_as_colour_is_grey_again(gallery: Any) -> None:
    rows = gallery.rows()
    for row in range(24):
        grey = gallery.picture(row, (12, 16, 1))
        gallery.paint(np.repeat(grey, 3, axis=2) if row % 2 else grey, f"眼底{row}.png")
    result = gallery.show(rows, replace=GREY)
    assert unfit(result) == {}
    assert np.array_equal(gallery.arrays(result)["field.fundus"][1, :, :, 0], grey_of(gallery, 1))


def grey_of(gallery: Any, row: int) -> np.ndarray:
    return np.asarray(gallery.picture(row, (12, 16, 1)))[:, :, 0]


def test_another_size_keeps_its_proportions_within_black(gallery: Any) -> None:
    rows = gallery.rows()
    gallery.paint(np.full((24, 24, 3), 200, dtype=np.uint8), "眼底0.png")
    found = gallery.arrays(gallery.show(rows))["field.fundus"][0]
    assert (found[:, 2:14] == 200).all()
    assert not found[:, :2].any()
    assert not found[:, 14:].any()


@pytest.mark.parametrize("way", ["nearest", "area", "bilinear", "bicubic"])
def test_a_stretched_picture_fills_the_shape(gallery: Any, way: str) -> None:
    rows = gallery.rows()
    gallery.paint(np.full((24, 24, 3), 200, dtype=np.uint8), "眼底0.png")
    fit = f'shape = [12, 16, 3]\nfit = "stretch"\ninterpolation = "{way}"'
    found = gallery.arrays(gallery.show(rows, replace={"shape = [12, 16, 3]": fit}))
    assert (found["field.fundus"][0] == 200).all()


def test_16_bits_keep_their_scale_when_resized(gallery: Any) -> None:
    rows = gallery.rows()
    for row in range(24):
        gallery.paint(gallery.picture(row, (12, 16, 1), 4095), f"眼底{row}.png")
    gallery.paint(np.full((24, 32), 40_000, dtype=np.uint16), "眼底0.png")
    found = gallery.arrays(gallery.show(rows, replace=DEEP))["field.fundus"]
    assert found.dtype == np.uint16
    assert (found[0] == 40_000).all()


def test_a_camera_held_upright_is_turned_by_its_exif_which_goes_no_further(gallery: Any) -> None:
    rows = gallery.rows()
    upright = gallery.picture(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "SECRET PATIENT"
    turned = np.ascontiguousarray(np.rot90(upright))
    gallery.paint(turned, "眼底0.png", exif=exif)
    result = gallery.show(rows)
    assert np.array_equal(gallery.arrays(result)["field.fundus"][0], upright)
    assert b"SECRET" not in result.arrays.read_bytes()
    assert "SECRET" not in str(result.as_record())


def test_an_alpha_channel_may_be_there_but_not_seen_through(gallery: Any) -> None:
    rows = gallery.rows()
    full = np.dstack([gallery.picture(0), np.full((12, 16), 255, dtype=np.uint8)])
    gallery.paint(full, "眼底0.png")
    gallery.paint(np.dstack([gallery.picture(1), np.zeros((12, 16), np.uint8)]), "眼底1.png")
    result = gallery.show(rows)
    assert np.array_equal(gallery.arrays(result)["field.fundus"][0], gallery.picture(0))
    assert unfit(result) == {"wrong_channels": 1}


def test_palettes_are_read_as_colours(gallery: Any) -> None:
    rows = gallery.rows()
    picture = Image.fromarray(gallery.picture(0)).convert("P")
    picture.save(gallery.images / "眼底0.png")
    found = gallery.arrays(gallery.show(rows))["field.fundus"][0]
    assert np.array_equal(found, np.asarray(picture.convert("RGB")))


def spoil(gallery: Any, row: int, how: str) -> None:
    """Damage the picture of a row in one of many ways."""
    path: Path = gallery.images / f"眼底{row}.png"
    before = path.read_bytes()
    path.unlink()
    if how != "gone":
        DAMAGES[how](gallery, path, before)


def save_pages(gallery: Any, path: Path, _: bytes) -> None:
    pages = [Image.fromarray(gallery.picture(number)) for number in (1, 2)]
    pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:])


DAMAGES: Mapping[str, Callable[[Any, Path, bytes], object]] = {
    "cut": lambda _, path, data: path.write_bytes(data[:-40]),
    "text": lambda _, path, data: path.write_text("no picture"),
    "empty": lambda _, path, data: path.write_bytes(b""),
    "folder": lambda _, path, data: path.mkdir(),
    "pipe": lambda _, path, data: os.mkfifo(path),
    "gif": lambda it, path, data: Image.fromarray(it.picture(1)).save(path, format="GIF"),
    "grey": lambda it, path, data: it.paint(it.picture(1, (12, 16, 1)), path.name),
    "deep": lambda it, path, data: it.paint(it.picture(1, (12, 16, 1), 4095), path.name),
    "pages": save_pages,
    "bomb": lambda _, path, data: Image.new("L", (9000, 9000)).save(path),
    "bomber": lambda _, path, data: Image.new("1", (30_000, 30_000)).save(path),
}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("gone", "no_file"),
        ("cut", "unreadable"),
        ("text", "unreadable"),
        ("empty", "unreadable"),
        ("folder", "no_file"),
        ("pipe", "no_file"),
        ("gif", "unreadable"),
        ("grey", "wrong_channels"),
        ("deep", "wrong_depth"),
        ("pages", "several_pages"),
        ("bomb", "too_large"),
        ("bomber", "too_large"),
    ],
)
def test_a_picture_that_cannot_be_used_leaves_its_row_out(
    gallery: Any, how: str, reason: str
) -> None:
    rows = gallery.rows()
    spoil(gallery, 5, how)
    result = gallery.show(rows)
    assert unfit(result) == {reason: 1}
    assert words(result) == ["rows_dropped", "unfit_images"]
    assert result.quality["rows"]["dropped"]["unfit_image"] == 1
    assert result.quality["fields"]["fundus"]["unparseable"] == 1
    found = gallery.arrays(result)
    assert found["field.fundus"].shape[0] == found["y"].size == 23
    assert np.array_equal(found["field.fundus"][5], gallery.picture(6))
    assert found["group"].tolist() == [0, 0, 1, 1, 2, *(row // 2 for row in range(6, 24))]


def test_a_patient_whose_only_picture_is_lost_is_not_counted(gallery: Any) -> None:
    rows = gallery.rows()
    for row in (0, 1):
        spoil(gallery, row, "gone")
    result = gallery.show(rows)
    assert result.n_patients == 11
    assert gallery.arrays(result)["group"][0] == 0


def test_a_16_bit_colour_picture_is_not_cut_down_in_silence(gallery: Any) -> None:
    rows = gallery.rows()
    path = gallery.images / "眼底0.png"
    path.write_bytes(_png_of_48_bits(16, 12))
    result = gallery.show(rows)
    assert unfit(result) == {"wrong_depth": 1}


def _png_of_48_bits(width: int, height: int) -> bytes:
    import struct
    import zlib

    def block(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    lines = (b"\0" + b"\x12\x34" * 3 * width) * height
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = block(b"IHDR", head) + block(b"IDAT", zlib.compress(lines)) + block(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    "path",
    [
        "../export.csv",
        "a/../../b.png",
        "/etc/hostname",
        "C:\\x.png",
        "\\\\host\\x.png",
        "..\\x.png",
    ],
)
def test_a_path_that_leaves_the_folder_refuses_the_table(gallery: Any, path: str) -> None:
    rows = gallery.rows()
    rows[6] = rows[6].replace("眼底6.png", path)
    with pytest.raises(InputError) as caught:
        gallery.show(rows)
    assert caught.value.code == "readers.path_leaves"
    assert "row 7" in caught.value.public
    assert not list((gallery.folder / "out").iterdir())


def test_a_link_that_leads_out_of_the_folder_refuses_the_table(gallery: Any) -> None:
    rows = gallery.rows()
    outside = gallery.folder / "outside.png"
    (gallery.images / "眼底2.png").rename(outside)
    (gallery.images / "眼底2.png").symlink_to(outside)
    with pytest.raises(InputError) as caught:
        gallery.show(rows)
    assert caught.value.code == "readers.path_leaves"


def test_a_link_within_the_folder_and_backslashes_are_followed(gallery: Any) -> None:
    rows = gallery.rows()
    gallery.paint(gallery.picture(2), "左/眼底2.png")
    (gallery.images / "眼底2.png").unlink()
    (gallery.images / "眼底2.png").symlink_to(gallery.images / "左" / "眼底2.png")
    plain = gallery.show(rows)
    rows[2] = rows[2].replace("眼底2.png", "左\\眼底2.png")
    assert gallery.show(rows).arrays_digest == plain.arrays_digest


def test_an_image_folder_that_is_not_there_or_leads_away_is_told(gallery: Any) -> None:
    rows = gallery.rows()
    for name in ("nowhere", "away"):
        (gallery.folder / "away").exists() or (gallery.folder / "away").symlink_to("/tmp")
        with pytest.raises(NotFoundError) as caught:
            gallery.show(rows, replace={'images = "图像"': f'images = "{name}"'})
        assert caught.value.code == "readers.no_image_folder"


def test_two_rows_of_one_picture_are_refused_by_number(gallery: Any) -> None:
    rows = gallery.rows()
    rows[9] = rows[9].replace("眼底9", "眼底4")
    with pytest.raises(InputError) as caught:
        gallery.show(rows)
    assert caught.value.code == "readers.doubled_images"
    assert "Row 10" in caught.value.public


def test_mostly_unusable_pictures_refuse_the_source_and_so_does_a_strict_schema(
    gallery: Any,
) -> None:
    rows = gallery.rows()
    spoil(gallery, 0, "gone")
    strict = {'patient = "患者"': 'patient = "患者"\nmissing = "refuse"'}
    with pytest.raises(InputError) as caught:
        gallery.show(rows, replace=strict)
    assert caught.value.code == "readers.unfit_images"
    assert "no_file 1" in caught.value.public
    for row in range(1, 14):
        spoil(gallery, row, "grey")
    with pytest.raises(InputError, match="14 of 24"):
        gallery.show(rows)


def test_no_error_or_report_names_a_file(gallery: Any) -> None:
    rows = gallery.rows()
    spoil(gallery, 3, "text")
    assert "眼底" not in str(gallery.show(rows).as_record())
    for row in range(24):
        spoil(gallery, row, "text")
    with pytest.raises(ConsiliumError) as caught:
        gallery.show(rows)
    assert "眼底" not in f"{caught.value.public}{caught.value.detail}"


def test_without_pillow_one_sentence_says_what_to_install(
    gallery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = gallery.rows()
    for name in [one for one in sys.modules if one == "PIL" or one.startswith("PIL.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StateError) as caught:
        gallery.show(rows)
    assert caught.value.code == "readers.no_imaging"
    assert "pip install consilium[imaging]" in caught.value.public


def test_copies_are_counted_and_those_across_the_split_are_a_leak(gallery: Any) -> None:
    rows = gallery.rows()
    plain = gallery.show(rows)
    part = gallery.arrays(plain)["part"]
    train, held_out = (int(np.flatnonzero(part == side)[0]) for side in (0, 1))
    same = (gallery.images / f"眼底{train}.png").read_bytes()
    (gallery.images / f"眼底{held_out}.png").write_bytes(same)
    result = gallery.show(rows)
    images = result.quality["images"]["fundus"]
    assert images["copies"] == {"all": 1, "held_out": 1}
    assert images["near_copies"] == {"all": 1, "held_out": 1}
    assert words(result) == ["copied_images", "leaking_images"]


def test_a_picture_saved_again_is_a_near_copy(gallery: Any) -> None:
    rows = gallery.rows()
    for row in range(24):  # smooth pictures, as photographs are
        small = Image.fromarray(gallery.picture(row, (6, 8, 3)))
        gallery.paint(
            np.asarray(small.resize((64, 48), Image.Resampling.BICUBIC)), f"眼底{row}.png"
        )
    Image.open(gallery.images / "眼底0.png").save(gallery.images / "眼底1.jpg", quality=80)
    rows[1] = rows[1].replace("png", "jpg")
    bigger = {"shape = [12, 16, 3]": "shape = [48, 64, 3]"}
    images = gallery.show(rows, replace=bigger).quality["images"]["fundus"]
    assert images["copies"]["all"] == 0
    assert images["near_copies"] == {"all": 1, "held_out": 0}  # one patient, one side


def test_sizes_and_brightness_are_told_coarsely(gallery: Any) -> None:
    rows = gallery.rows()
    gallery.paint(np.full((300, 400, 3), 255, dtype=np.uint8), "眼底0.png")
    images = gallery.show(rows).quality["images"]["fundus"]
    assert images["longer_side"] == {"<= 128": 23, "<= 512": 1}
    assert images["brightness"]["by_fifth"] == [0, 0, 23, 0, 1]
    assert images["read"] == 24


def test_a_table_may_bring_columns_and_pictures_together(gallery: Any) -> None:
    rows = [f"{row},{40 + place}" for place, row in enumerate(gallery.rows())]
    gallery_with = type(gallery)(
        gallery.folder,
        schema=gallery.schema + '[[fields]]\nname = "age"\nkind = "number"\n',
        header=gallery.header + ",age",
    )
    rows[2] = rows[2].rsplit(",", 1)[0] + ","  # no age: left out before its picture is opened
    spoil(gallery, 4, "gone")
    result = gallery_with.show(rows)
    found = gallery.arrays(result)
    assert found["x"][:4, 0].tolist() == [40, 41, 43, 45]
    assert np.array_equal(found["field.fundus"][2], gallery.picture(3))
    assert result.quality["rows"]["dropped"]["missing_value"] == 1
    assert result.quality["rows"]["dropped"]["unfit_image"] == 1

"""Eye phantoms: known disease shows where it should, and the same seed gives the same bytes."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from consilium.kernel.errors import InputError
from consilium.readers.phantoms import (
    CONDITIONS,
    PHANTOM_SITES,
    make_phantom,
    make_phantoms,
    write_phantoms,
)
from consilium.readers.phantoms.fundus import FundusFindings, draw_fundus
from consilium.readers.phantoms.patients import findings_of
from consilium.readers.phantoms.png import encode_png
from consilium.readers.phantoms.tomography import ScanFindings, draw_scan

SIZE = 64


def read_png(data: bytes) -> np.ndarray:
    """Read what `encode_png` writes, by the specification."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + body)
        chunks[kind], place = body, place + 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    shape = (height, width, 3) if colour == 2 else (height, width)
    return rows[:, 1:].reshape(shape)


@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3)])
def test_a_png_holds_the_image(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(read_png(encode_png(image)), image)


def test_a_patient_is_the_same_among_few_and_among_many() -> None:
    few = list(make_phantoms(3, seed=5, size=SIZE))
    alone = make_phantom(2, seed=5, size=SIZE)
    np.testing.assert_array_equal(few[2].fundus, alone.fundus)
    np.testing.assert_array_equal(few[2].oct, alone.oct)
    assert (few[2].patient, few[2].condition) == (alone.patient, alone.condition)
    other = make_phantom(2, seed=6, size=SIZE)
    assert (other.fundus != alone.fundus).any()


def test_every_disease_and_every_hospital_occurs() -> None:
    drawn = list(make_phantoms(40, seed=1, size=32))
    assert {phantom.condition for phantom in drawn} == set(CONDITIONS)
    assert {phantom.site.name for phantom in drawn} == {site.name for site in PHANTOM_SITES}
    assert all((phantom.severity == 0) == (phantom.condition == "healthy") for phantom in drawn)


def test_fluid_is_drawn_in_oedema_alone_and_lesions_in_diseased_photographs_alone() -> None:
    for phantom in make_phantoms(16, seed=3, size=32):
        assert phantom.fluid.any() == (phantom.condition == "macular_oedema")
        if phantom.condition in ("healthy", "glaucoma"):
            assert not phantom.lesions.any()
        if phantom.condition in ("retinopathy", "drusen"):
            assert phantom.lesions.any()


def test_a_glaucoma_has_a_wider_cup_and_fewer_nerve_fibres() -> None:
    photograph, scan = findings_of("glaucoma", 1.0)
    healthy, whole = findings_of("healthy", 0.0)
    assert photograph.cup > healthy.cup
    assert scan.fibres < whole.fibres
    cupped = draw_fundus(np.random.default_rng(1), photograph, size=128, side=1).image
    plain = draw_fundus(np.random.default_rng(1), healthy, size=128, side=1).image
    assert cupped[..., 2].sum() > plain[..., 2].sum()
    thin = draw_scan(np.random.default_rng(1), scan, size=128).image
    thick = draw_scan(np.random.default_rng(1), whole, size=128).image
    assert (thin[:, :20] > 0.2).sum() < (thick[:, :20] > 0.2).sum()


def test_fluid_is_dark() -> None:
    scan = draw_scan(np.random.default_rng(2), ScanFindings(cysts=4), size=128)
    assert scan.image[scan.fluid].mean() < 0.15 < scan.image[60:80].mean()


@pytest.mark.parametrize("side", [1, -1])
def test_the_disc_lies_on_its_side_and_vessels_come_from_it(side: int) -> None:
    fundus = draw_fundus(np.random.default_rng(4), FundusFindings(), size=128, side=side)
    bright = fundus.image.sum(axis=2)
    column = int(np.argmax(bright.max(axis=0)))
    assert (column > 64) == (side > 0)
    near = slice(column - 20, column + 20)
    assert fundus.vessels[40:88, near].mean() > fundus.vessels.mean()
    assert 0.02 < fundus.vessels.mean() < 0.25


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        counts = write_phantoms(tmp_path / name, patients=4, seed=9, size=32)
    one, two = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert sum(counts.values()) == 4


def test_a_hospital_gets_only_the_images_that_it_owns(tmp_path: Path) -> None:
    counts = write_phantoms(tmp_path, patients=14, seed=2, size=32)
    patients = set()
    for site in PHANTOM_SITES:
        folder = tmp_path / site.name
        rows = list(csv.DictReader(io.StringIO((folder / "manifest.csv").read_text("utf-8"))))
        assert len(rows) == counts[site.name]
        patients |= {row["patient_id"] for row in rows}
        for row in rows:
            for modality in ("fundus", "oct"):
                owned = modality in site.modalities
                assert bool(row[modality]) == owned
                assert not owned or (folder / row[modality]).is_file()
                assert (folder / modality).exists() == owned
    assert len(patients) == 14
    assert "No patient" in (tmp_path / "README.md").read_text("utf-8")
    assert read_png((tmp_path / "overview.png").read_bytes()).shape == (5 * 32, 9 * 32, 3)


@pytest.mark.parametrize(("patients", "size"), [(0, 64), (1, 16)])
def test_no_patients_and_tiny_images_are_refused(patients: int, size: int) -> None:
    with pytest.raises(InputError) as caught:
        list(make_phantoms(patients, seed=0, size=size))
    assert caught.value.code == "readers.bad_phantom"

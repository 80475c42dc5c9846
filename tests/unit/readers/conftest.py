"""A small hospital's export, made up, and the way to take it in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest, IntakeResult

Pixels = np.ndarray

SCHEMA = """
patient = "id"
drop = ["ward"]

[source]
missing_marks = ["?", "-9"]

[label]
field = "outcome"
rule = '== "ill"'
positive = "ill"

[[fields]]
name = "age"
kind = "number"
unit = "a"
range = [0, 120]

[[fields]]
name = "sex"
kind = "category"
categories = ["男", "女"]
source = "性别"

[[fields]]
name = "grade"
kind = "category"
categories = ["1", "2", "3"]

[[fields]]
name = "outcome"
kind = "category"
categories = ["well", "ill"]

[[fields]]
name = "note"
kind = "text"
"""

HEADER = "id,ward,age,性别,grade,outcome,note"


@dataclass(frozen=True)
class Clinic:
    """The made-up hospital: its schema, its export, its intake."""

    folder: Path
    schema: str = SCHEMA
    header: str = HEADER

    def rows(self, n: int = 40) -> list[str]:
        """Write n plain rows: each patient twice, half of the patients ill."""
        return [
            f"P{row // 2},A,{30 + row},{'男' if row % 3 else '女'},{row % 3 + 1},"
            f"{'ill' if row % 4 < 2 else 'well'},note {row}"
            for row in range(n)
        ]

    def save(
        self,
        rows: list[str],
        *,
        header: str = HEADER,
        name: str = "export.csv",
        encoding: str = "utf-8",
        end: str = "\n",
    ) -> Path:
        """Write header and rows to a file."""
        path = self.folder / name
        lines = [header, *rows] if header else rows
        path.write_bytes("".join(line + end for line in lines).encode(encoding))
        return path

    def take_in(self, source: Path, schema: str = SCHEMA, *, memory_mb: int = 200) -> IntakeResult:
        """Take a file in."""
        request = IntakeRequest(
            source=source,
            schema=schema,
            out=self.folder / "out",
            schema_name="clinic.toml",
            memory_mb=memory_mb,
        )
        return take_in(request, progress=lambda _step, _done: None)

    def arrays(self, result: IntakeResult) -> dict[str, np.ndarray]:
        """Load an array file."""
        with np.load(result.arrays, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """Open the made-up hospital."""
    return Clinic(tmp_path)


GALLERY = """
patient = "患者"
drop = ["院区"]

[source]
images = "图像"

[label]
kind = "classes"
field = "grade"

[[fields]]
name = "fundus"
kind = "image"
source = "文件"
shape = [12, 16, 3]

[[fields]]
name = "grade"
kind = "category"
categories = ["none", "mild", "severe"]
"""


@dataclass(frozen=True)
class Gallery(Clinic):
    """A made-up eye clinic: a table beside a folder of pictures."""

    schema: str = GALLERY
    header: str = "患者,文件,grade,院区"

    @property
    def images(self) -> Path:
        """The folder of the pictures."""
        return self.folder / "图像"

    def picture(self, number: int, shape: tuple[int, ...] = (12, 16, 3), top: int = 255) -> Pixels:
        """Make a picture of noise that no other number has."""
        kind = np.uint8 if top < 256 else np.uint16
        return np.random.default_rng(number).integers(0, top + 1, size=shape).astype(kind)

    def paint(self, pixels: Pixels, name: str, **options: Any) -> Path:
        """Write a picture in the format that its name says."""
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze()).save(path, **options)
        return path

    def rows(self, n: int = 24) -> list[str]:
        """Paint n pictures, two of each patient, and write their rows."""
        for row in range(n):
            self.paint(self.picture(row), f"眼底{row}.png")
        return [
            f"P{row // 2},眼底{row}.png,{('none', 'mild', 'severe')[row // 2 % 3]},东"
            for row in range(n)
        ]

    def show(
        self,
        rows: list[str],
        *,
        replace: Mapping[str, str] = MappingProxyType({}),
        encoding: str = "utf-8",
    ) -> IntakeResult:
        """Take a table of these rows in, under the schema with these texts replaced."""
        schema = self.schema
        for old, new in replace.items():
            assert old in schema
            schema = schema.replace(old, new)
        source = self.save(rows, header=self.header, encoding=encoding)
        return self.take_in(source, schema)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    """Open the made-up eye clinic."""
    return Gallery(tmp_path)


@pytest.fixture
def open_data() -> Path:
    """Find the published data sets, or skip where there are none (never in CI)."""
    folder = os.environ.get("CONSILIUM_TEST_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("CONSILIUM_TEST_DATA must be set in CI")
        pytest.skip("CONSILIUM_TEST_DATA is not set: the open test data are not here")
    return Path(folder)

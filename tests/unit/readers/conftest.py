"""A small hospital's export, made up, and the way to take it in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest, IntakeResult

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


@pytest.fixture
def open_data() -> Path:
    """Find the published data sets, or skip where there are none (never in CI)."""
    folder = os.environ.get("CONSILIUM_TEST_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("CONSILIUM_TEST_DATA must be set in CI")
        pytest.skip("CONSILIUM_TEST_DATA is not set: the open test data are not here")
    return Path(folder)

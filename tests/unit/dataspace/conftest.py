"""Hospitals of the rehearsal, for what needs a database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "behaviour" / "dataspace"))

from dataspace_rehearsal import Hospital, Space


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    found = Space(tmp_path)
    yield found
    found.close()


@pytest.fixture
def south(space: Space) -> Hospital:
    return space.add("south")

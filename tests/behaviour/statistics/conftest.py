"""A lead and hospitals with tables, whose gates answer questions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dataspace"))

from dataspace_rehearsal import Space
from statistics_rehearsal import Conference


@pytest.fixture
def conference(tmp_path: Path) -> Iterator[Conference]:
    space = Space(tmp_path)
    yield Conference(space, tmp_path, space.add("north"))
    space.close()


@pytest.fixture(scope="session")
def data() -> Path:
    """The open data sets; skipped without them, but never in CI."""
    folder = os.environ.get("CONSILIUM_TEST_DATA", "")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("CONSILIUM_TEST_DATA must be set in CI")
        pytest.skip("CONSILIUM_TEST_DATA is not set")
    return Path(folder)

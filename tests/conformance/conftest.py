"""The protocol's official schemas and examples, read from `CONSILIUM_TEST_DSP`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "behaviour" / "dataspace"))

from dataspace_rehearsal import Hospital, Space
from official_schemas import Official


@pytest.fixture(scope="session")
def official() -> Official:
    folder = os.environ.get("CONSILIUM_TEST_DSP", "")
    if not folder:
        explain = "CONSILIUM_TEST_DSP names no folder with the protocol's schemas"
        pytest.fail(explain) if os.environ.get("CI") else pytest.skip(explain)
    return Official(Path(folder))


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    found = Space(tmp_path)
    yield found
    found.close()


@pytest.fixture
def north(space: Space) -> Hospital:
    return space.add("north")


@pytest.fixture
def south(space: Space) -> Hospital:
    return space.add("south")

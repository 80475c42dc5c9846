"""Two hospitals with databases of their own; messages are delivered when a test says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dataspace_rehearsal import Hospital, Space


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    found = Space(tmp_path)
    yield found
    found.close()


@pytest.fixture
def north(space: Space) -> Hospital:
    """The lead's hospital, consumer."""
    return space.add("north")


@pytest.fixture
def south(space: Space) -> Hospital:
    """The hospital that holds the data, provider."""
    return space.add("south")


@pytest.fixture
def stranger(space: Space) -> Hospital:
    """A member that nothing is offered to."""
    return space.add("stranger")

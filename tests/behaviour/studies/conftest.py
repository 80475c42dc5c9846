"""A space of three hospitals and a hub in one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_BEHAVIOUR = Path(__file__).parents[1]
sys.path[:0] = [str(_BEHAVIOUR / "dataspace"), str(_BEHAVIOUR / "federation"), str(Path(__file__).parent)]

from dataspace_rehearsal import Hospital
from studies_rehearsal import StudySpace


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StudySpace]:
    found = StudySpace(tmp_path)
    yield found
    found.close()


@pytest.fixture
def north(world: StudySpace) -> Hospital:
    """The lead; it has no data of its own."""
    return world.add("north")


@pytest.fixture
def south(world: StudySpace) -> Hospital:
    hospital = world.add("south")
    world.add_data(hospital)
    return hospital


@pytest.fixture
def west(world: StudySpace) -> Hospital:
    hospital = world.add("west")
    world.add_data(hospital)
    return hospital

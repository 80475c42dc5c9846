"""A space of three hospitals and a hub in one process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dataspace"))
sys.path.insert(0, str(Path(__file__).parents[1] / "federation"))

from coordination_rehearsal import Bench
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


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Give a maker of hubs with one submitted study each; `changes` are fields of the study."""
    made: list[Bench] = []

    def make(**changes: object) -> Bench:
        made.append(Bench(tmp_path / f"hub-{len(made)}", **changes))
        return made[-1]

    yield make
    for bench in made:
        bench.close()

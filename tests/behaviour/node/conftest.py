"""One hospital's node behind its own socket, in a space of three."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dataspace"))
sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))

from console_bench import ConsoleBench
from console_house import House, furnish
from dataspace_rehearsal import Hospital
from node_bench import NodeBench
from studies_rehearsal import StudySpace


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StudySpace]:
    found = StudySpace(tmp_path)
    yield found
    found.close()


@pytest.fixture
def node(world: StudySpace, tmp_path: Path) -> Iterator[NodeBench]:
    """The node of `north`, served."""
    found = NodeBench(world, world.add("north"), tmp_path / "home")
    yield found
    found.close()


@pytest.fixture
def console(node: NodeBench, tmp_path: Path) -> Iterator[ConsoleBench]:
    """The console of `north`, served on a port; its bundle's folder is there and empty."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    found = ConsoleBench(node, bundle)
    yield found
    found.close()


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
def house(console: ConsoleBench, south: Hospital, west: Hospital) -> House:
    """The console of `north` after its first study."""
    return furnish(console, south, west)

"""One space under attack serves all tests here: what is refused leaves it as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))
sys.path.insert(0, str(Path(__file__).parents[1] / "dataspace"))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "hub"))

from hostile_space import HostileSpace


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileSpace]:
    """Give three hospitals and a lead around a hub that lies when a test says so."""
    found = HostileSpace(tmp_path_factory.mktemp("hostile"))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def honest_between(space: HostileSpace) -> Iterator[None]:
    """Let the hub be honest again after each attack."""
    yield
    space.be_honest()

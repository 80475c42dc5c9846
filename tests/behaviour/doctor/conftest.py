"""One hub and one joined hospital; each test examines a copy of the hospital's folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "hub"))
sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from hub_rehearsal import CLOCK, Hub, Rehearsal

from consilium.ledger.database import open_database
from consilium.node.membership import KEYS, KeyFolder, load_membership


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    found = Rehearsal(tmp_path_factory.mktemp("doctor"))
    found.hub(**{"relay.away_s": 0.01, "relay.answer_s": 2.0})
    found.signer()
    yield found
    found.close()


@pytest.fixture(scope="session")
def hub(space: Rehearsal) -> Hub:
    return space.hubs[0]


@pytest.fixture(scope="session")
def joined(space: Rehearsal, hub: Hub) -> Path:
    """A hospital that has joined and was started once."""
    home = space.join(hub, "north")
    key, origin = KeyFolder(home / KEYS).signing_key(), load_membership(home).participant
    database = open_database(f"sqlite:///{home / 'node.db'}", key=key, clock=CLOCK, origin=origin)
    with database.write() as tx:
        tx.record("test.began", "north", {"n": 1})
    database.close()
    return home


@pytest.fixture
def home(joined: Path, tmp_path: Path) -> Path:
    found = tmp_path / "home"
    shutil.copytree(joined, found)
    return found

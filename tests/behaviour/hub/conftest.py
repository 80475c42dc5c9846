from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_rehearsal import Hub, Node, Rehearsal, open_rehearsal


@pytest.fixture(scope="session")
def open_space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A space with hub and signer, for all tests that leave it as it was."""
    with open_rehearsal(tmp_path_factory.mktemp("open")) as found:
        yield found


@pytest.fixture(scope="session")
def open_hub(open_space: Rehearsal) -> Hub:
    return open_space.hubs[0]


@pytest.fixture(scope="session")
def pair(open_space: Rehearsal, open_hub: Hub) -> tuple[Node, Node]:
    """Two hospitals; the first only asks, the second is there to answer."""
    north = open_space.node(open_space.join(open_hub, "north", "北方医院"))
    return north, open_space.node(open_space.join(open_hub, "south", "南方医院")).start()


@pytest.fixture
def asker(pair: tuple[Node, Node]) -> Node:
    return pair[0]


@pytest.fixture
def asked(pair: tuple[Node, Node]) -> Node:
    """The hospital that is asked; it has received nothing yet and answers honestly."""
    pair[1].received.clear()
    pair[1].link._answer = pair[1].answer
    return pair[1]


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Rehearsal]:
    """A space of one's own, for tests that disturb it."""
    found = Rehearsal(tmp_path)
    yield found
    found.close()

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_rehearsal import Hub, Node, Rehearsal, SignerProcess


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Two hospitals for tests that disturb neither hub nor link."""
    found = Rehearsal(tmp_path_factory.mktemp("pair"))
    yield found.pair()
    found.close()


@pytest.fixture(scope="module")
def open_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with its signer, for hospitals of all sorts to join."""
    found = Rehearsal(tmp_path_factory.mktemp("open"))
    hub = found.hub()
    found.signer()
    yield hub
    found.close()


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
    found = Rehearsal(tmp_path)
    yield found
    found.close()


@pytest.fixture
def hub(rehearsal: Rehearsal) -> Hub:
    return rehearsal.hub()


@pytest.fixture
def signer(rehearsal: Rehearsal, hub: Hub) -> SignerProcess:
    assert hub.home.exists()
    return rehearsal.signer()


@pytest.fixture
def north(rehearsal: Rehearsal, hub: Hub, signer: SignerProcess) -> Node:
    assert signer.process.poll() is None
    return rehearsal.node(rehearsal.join(hub, "north", "北方医院"))


@pytest.fixture
def south(rehearsal: Rehearsal, hub: Hub, signer: SignerProcess) -> Node:
    assert signer.process.poll() is None
    return rehearsal.node(rehearsal.join(hub, "south", "南方医院"))

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_rehearsal import Hub, Node, Rehearsal, SignerProcess


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

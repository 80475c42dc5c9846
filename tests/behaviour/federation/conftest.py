"""The engines that the suite runs against, and the rehearsal they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from federation_rehearsal import Rehearsal

from consilium.federation.local import LocalEngine
from consilium.federation.ports import Engine

MakeEngine = Callable[[Rehearsal], Engine]


def _local(rehearsal: Rehearsal) -> Engine:
    return LocalEngine(rehearsal.desks, recipes=rehearsal.recipes)


ENGINES: dict[str, MakeEngine] = {"local": _local}


@pytest.fixture(params=sorted(ENGINES))
def start_engine(request: pytest.FixtureRequest) -> Iterator[MakeEngine]:
    """Start an engine for a rehearsal's hospitals; it is closed when the test ends."""
    started: list[Engine] = []

    def start(rehearsal: Rehearsal) -> Engine:
        started.append(ENGINES[request.param](rehearsal))
        return started[-1]

    yield start
    for engine in started:
        engine.close()

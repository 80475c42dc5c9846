"""Who is connected, told when it changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from consilium.federation import presence
from consilium.federation.presence import Presence
from consilium.kernel.identifiers import ParticipantId

NORTH, SOUTH, STRANGER = (ParticipantId(f"did:web:x:{name}") for name in ("n", "s", "stranger"))


class Engine:
    """Knows who is connected; counts how often it is asked."""

    def __init__(self) -> None:
        self.here = {NORTH, SOUTH, STRANGER}
        self.asked = 0

    def sites(self) -> frozenset[ParticipantId]:
        self.asked += 1
        return frozenset(self.here)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def watch(engine: Any, told: list[tuple[str, dict[str, Any]]], *, look_s: float) -> Presence:
    plan: Any = SimpleNamespace(sites=[SimpleNamespace(participant=one) for one in (NORTH, SOUTH)])
    return Presence(engine, plan, say=lambda *event: told.append(event), look_s=look_s)


def test_a_change_is_told_once_and_strangers_are_not(engine: Engine) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    found = watch(engine, told, look_s=0.0)
    found.look()
    found.look()
    engine.here.discard(SOUTH)
    found.look()
    assert told == [
        ("presence", {"here": [NORTH, SOUTH], "away": []}),
        ("presence", {"here": [NORTH], "away": [SOUTH]}),
    ]


def test_the_engine_is_asked_now_and_then_only(engine: Engine) -> None:
    found = watch(engine, [], look_s=presence.LOOK_S)
    for _ in range(20):
        found.look()
    assert engine.asked == 1

"""Presence: which hospitals of a running study are connected to the engine now.

Only people look at it: a change is told as an event, so that whoever watches
knows since when a hospital is away. No decision rests on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from consilium.federation.ports import Engine
from consilium.gate.orders import Study
from consilium.kernel.identifiers import ParticipantId

LOOK_S = 2.0
"""Between two looks; asking an engine costs a message to its server."""


class Presence:
    """Tells when a hospital of one study comes or goes.

    Parameters
    ----------
    engine : Engine
        Knows who is connected.
    plan : Study
        The study.
    say : callable
        Keeps an event.
    look_s : float, optional
        See `LOOK_S`.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Study,
        *,
        say: Callable[[str, dict[str, Any]], None],
        look_s: float = LOOK_S,
    ) -> None:
        self._engine = engine
        self._invited = frozenset(site.participant for site in plan.sites)
        self._say = say
        self._look_s = look_s
        self._told: frozenset[ParticipantId] | None = None
        self._looked = float("-inf")

    def look(self) -> None:
        """Ask the engine, now and then, and tell a change."""
        if time.monotonic() - self._looked < self._look_s:
            return
        self._looked = time.monotonic()
        here = self._engine.sites() & self._invited
        if here != self._told:
            self._say("presence", {"here": sorted(here), "away": sorted(self._invited - here)})
            self._told = here

"""Evidence of what was refused, at a pace that nobody outside can raise.

A refusal costs whoever is refused nothing, so it could be had a million times,
and each would be an entry for ever. Each rule therefore has an allowance: the
first refusals are written at once, later ones as time refills it, and each
entry says how many before it were only counted. What is refused stays refused
either way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from consilium.kernel.canonical import Json
from consilium.kernel.errors import StateError

BURST = 64
"""Entries of one kind and rule, about one sender, that are written at once."""
REFILL_S = 60.0
"""Seconds after which one more may be written."""
_MOST_KEYS = 1_000
_MOST_WAITING = 64
_REST = ("", "", "")


class Writes(Protocol):
    """A turn to write, as far as refusals use it."""

    def record(self, kind: str, subject: str, facts: Mapping[str, Json]) -> int:
        """Write an entry."""
        ...


class Turns(Protocol):
    """What gives turns to write: the database."""

    def write(self) -> AbstractContextManager[Writes]:
        """Take the turn to write."""
        ...


@dataclass(slots=True)
class _Allowance:
    left: float
    since: float
    unwritten: int = 0


class Refusals:
    """Writes refusals into the evidence log; safe to use from many threads.

    Parameters
    ----------
    turns : Turns
        The database.
    burst, refill_s : int, float, optional
        How many entries of a rule are written at once, and after how many
        seconds one more.
    now : callable, optional
        A clock in seconds that does not jump.
    """

    def __init__(
        self,
        turns: Turns,
        *,
        burst: int = BURST,
        refill_s: float = REFILL_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turns = turns
        self._burst = burst
        self._refill_s = refill_s
        self._now = now
        self._lock = threading.Lock()
        self._allowances: dict[tuple[str, str, str], _Allowance] = {}
        self._waiting: deque[tuple[str, str, dict[str, Json]]] = deque(maxlen=_MOST_WAITING)

    def keep(
        self, kind: str, subject: str, facts: Mapping[str, Json], *, rule: str, by: str = ""
    ) -> bool:
        """Write a refusal in a turn of its own; say whether it was written or only counted.

        Called from within a turn to write, it waits for the next one.

        Parameters
        ----------
        rule : str
            Which rule refused; one of our own words, never what was sent.
        by : str, optional
            Who was refused, if that is proven; each has an allowance of its own.
        """
        told = self._allow(kind, facts, rule=rule, by=by)
        if told is None and not self._waiting:
            return False
        if told is not None:
            self._waiting.append((kind, subject, told))
        try:
            with self._turns.write() as tx:
                for entry in list(self._waiting):
                    tx.record(*entry)
                    self._waiting.remove(entry)
        except StateError as error:
            if error.code != "ledger.nested_write":
                raise
        return told is not None

    def record(
        self,
        tx: Writes,
        kind: str,
        subject: str,
        facts: Mapping[str, Json],
        *,
        rule: str,
    ) -> bool:
        """Write a refusal in a turn that is open already."""
        told = self._allow(kind, facts, rule=rule, by="")
        if told is not None:
            tx.record(kind, subject, told)
        return told is not None

    def _allow(
        self, kind: str, facts: Mapping[str, Json], *, rule: str, by: str
    ) -> dict[str, Json] | None:
        """Return what to write, or None when this one is only counted."""
        key, now = (kind, rule, by), self._now()
        with self._lock:
            if key not in self._allowances and len(self._allowances) >= _MOST_KEYS:
                key = _REST
            found = self._allowances.setdefault(key, _Allowance(left=self._burst, since=now))
            refilled = found.left + (now - found.since) / self._refill_s
            found.left, found.since = min(float(self._burst), refilled), now
            if found.left < 1:
                found.unwritten += 1
                return None
            found.left -= 1
            unwritten, found.unwritten = found.unwritten, 0
        return {**facts, "unwritten": unwritten} if unwritten else {**facts}

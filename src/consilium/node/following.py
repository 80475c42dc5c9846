"""Following studies for whoever watches: one picture for each, drawn on where it was left.

The pictures are made of the studies' events alone, so they are the same after a
restart and after the end.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import Connection

from consilium.federation.progress import Progress
from consilium.federation.store import PAGE, list_events
from consilium.kernel.identifiers import ParticipantId, StudyId

KEPT = 32
"""Studies whose picture stays in memory; another one is drawn from its beginning again."""

Seen = TypeVar("Seen")


class Following:
    """The pictures of the studies that were looked at last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[StudyId, Progress] = OrderedDict()
        self._lock = threading.Lock()

    def look(
        self,
        connection: Connection,
        study: StudyId,
        *,
        invited: Collection[str],
        rounds: int,
        see: Callable[[Progress], Seen],
    ) -> Seen:
        """Take what is new into a study's picture, and look at it.

        Parameters
        ----------
        invited : collection of str
            Whom the draft or plan names.
        rounds : int
            Of the draft or plan.
        see : callable
            Takes from the picture what is to be shown, while nobody changes it.
        """
        with self._lock:
            progress = self._kept.pop(study, None)
            if progress is None:
                progress = Progress([ParticipantId(one) for one in invited], rounds=rounds)
            progress.rounds = rounds
            _take_new(progress, connection, study)
            self._kept[study] = progress
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return see(progress)


def _take_new(progress: Progress, connection: Connection, study: StudyId) -> None:
    while True:
        events = list_events(connection, study, after=progress.last_event)
        progress.take(events)
        if len(events) < PAGE:
            return

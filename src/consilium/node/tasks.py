"""Background work of a node that takes longer than a request: intakes, for now.

A task lives in memory. If the node ends, its task is gone and has left nothing
behind, because the last step of each task is one transaction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consilium.kernel.errors import ConsiliumError, NotFoundError, StateError
from consilium.kernel.identifiers import new_urn

LOG = logging.getLogger(__name__)
KEPT = 200
"""Tasks that are remembered, running ones besides."""
RUNNING = "running"

Report = Callable[[dict[str, Any]], None]
Work = Callable[[Report], dict[str, Any]]


@dataclass(slots=True)
class Task:
    """One piece of background work and what is known of it."""

    id: str
    kind: str
    state: str = RUNNING
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    def as_record(self) -> dict[str, Any]:
        """Give the form that the API shows."""
        return {name: getattr(self, name) for name in self.__slots__}


class Tasks:
    """The node's running and finished tasks."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def begin(self, kind: str, work: Work) -> Task:
        """Run `work` in a thread; it is handed a callable to report progress."""
        task = Task(id=new_urn().rpartition(":")[2], kind=kind)
        with self._lock:
            self._tasks[task.id] = task
            for old in list(self._tasks)[:-KEPT]:
                if self._tasks[old].state != RUNNING:
                    del self._tasks[old]
        threading.Thread(target=_run, args=(task, work), name=kind, daemon=True).start()
        return task

    def get(self, task: str) -> Task:
        """Return a task by its name.

        Raises
        ------
        NotFoundError
            `node.no_task`.
        """
        with self._lock:
            found = self._tasks.get(task)
        if found is None:
            raise NotFoundError("node.no_task", task=task)
        return found


def _run(task: Task, work: Work) -> None:
    def report(progress: dict[str, Any]) -> None:
        task.progress = progress

    try:
        task.result = work(report)
        task.state = "done"
    except ConsiliumError as error:
        LOG.info("task %s: %s %s", task.kind, error.public, error.detail)
        task.error, task.state = error.as_record(), "failed"
    except Exception as error:
        LOG.exception("task %s broke", task.kind)
        task.error = StateError("boundary.broken", kind=type(error).__name__).as_record()
        task.state = "failed"

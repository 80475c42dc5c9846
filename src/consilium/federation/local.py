"""The engine in one process: the same round loop, gates and recipes, without a network.

For rehearsals, notebooks, tests and the simulation of many sites. Hospitals
are `Desk`s; each works in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import Desk, EngineStatus, Note, SiteWork, Task
from consilium.federation.registry import Recipes
from consilium.federation.segment import run_segment
from consilium.federation.site import SiteWorker
from consilium.gate.orders import Order, peek_study
from consilium.gate.sums import Question
from consilium.kernel.clock import Clock, SystemClock
from consilium.kernel.errors import ConsiliumError, StateError
from consilium.kernel.identifiers import ParticipantId

LOG = logging.getLogger(__name__)

AT_ONCE = 32
"""Hospitals that work at the same time; a thousand threads would only wait for each other."""
_LOOK_S = 0.05
"""How often a waiting cast looks whether its job was aborted."""


class LocalEngine:
    """Runs segments in threads of this process.

    Parameters
    ----------
    desks : mapping of participant to Desk
        The hospitals connected. Looked into at each submission, so a caller's
        own mapping may gain and lose hospitals.
    recipes : Recipes, optional
        What is installed; found by entry point otherwise.
    clock : Clock, optional
        For the events' times.
    """

    def __init__(
        self,
        desks: Mapping[ParticipantId, Desk],
        *,
        recipes: Recipes | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._desks = desks
        self._recipes = recipes or Recipes()
        self._clock = clock or SystemClock()
        self._jobs: dict[str, _Job] = {}

    def submit(self, order: Order, start: bytes, folder: Path) -> str:
        """Ask every hospital of the study to admit the order, then run it in a thread.

        Discloses
        ---------
        To each hospital: the order. To the folder: what `run_segment` says.
        """
        study = peek_study(order.signed_study)
        job = _Job(name=f"local-{uuid.uuid4()}")
        for site in sorted(site.participant for site in study.sites):
            if site in self._desks:
                self._admit(job, order, site)
        job.thread = threading.Thread(
            target=self._run,
            args=(job, order, start, SegmentFolder(folder)),
            name=job.name,
            daemon=True,
        )
        self._jobs[job.name] = job
        job.thread.start()
        return job.name

    def status(self, job: str) -> EngineStatus:
        """Say whether a job's thread still runs."""
        found = self._jobs.get(job)
        if found is None:
            return EngineStatus.UNKNOWN
        return EngineStatus.RUNNING if found.is_running() else EngineStatus.ENDED

    def refusals(self, job: str) -> dict[ParticipantId, str]:
        """Return the sentences of hospitals that did not admit the job."""
        return dict(self._jobs[job].refusals) if job in self._jobs else {}

    def sites(self) -> frozenset[ParticipantId]:
        """Return the hospitals connected now."""
        return frozenset(self._desks)

    def abort(self, job: str) -> None:
        """Stop a job before its next answer is taken; silent when there is none."""
        if job in self._jobs:
            self._jobs[job].stop.set()

    def close(self) -> None:
        """Stop every job and wait for the threads."""
        for job in self._jobs.values():
            job.stop.set()
        for job in self._jobs.values():
            if job.thread is not None:
                job.thread.join()

    def _admit(self, job: _Job, order: Order, site: ParticipantId) -> None:
        desk, data = self._desks[site], order.as_json()
        try:
            desk.admit(data)
            job.workers[site] = SiteWorker(data, desk=desk, recipes=self._recipes)
        except ConsiliumError as error:
            job.refusals[site] = f"{error.code}: {error.public}"

    def _run(self, job: _Job, order: Order, start: bytes, folder: SegmentFolder) -> None:
        pool = ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(job.workers))))
        try:
            note = folder.note_answer
            cast = _LocalCast(workers=job.workers, pool=pool, stop=job.stop, note=note)
            run_segment(order, start, cast=cast, ask=cast.ask, folder=folder, clock=self._clock)
        except ConsiliumError as error:
            LOG.warning("%s ended: %s", job.name, error.public)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True, kw_only=True)
class _Job:
    name: str
    workers: dict[ParticipantId, SiteWork] = field(default_factory=dict)
    refusals: dict[ParticipantId, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


@dataclass(frozen=True, slots=True, kw_only=True)
class _LocalCast:
    """Gives each site's worker the task in a thread and waits for the answers."""

    workers: Mapping[ParticipantId, SiteWork]
    pool: ThreadPoolExecutor
    stop: threading.Event
    note: Note

    def __call__(
        self, task: Task, *, sites: Sequence[ParticipantId], deadline_s: float, quorum: int
    ) -> dict[ParticipantId, bytes]:
        del quorum  # the round loop checks it
        work = {site: partial(self._work, site, task) for site in self._there(sites)}
        return self._gather(work, deadline_s=deadline_s, number=task.round)

    def ask(
        self, questions: Mapping[ParticipantId, Question], *, deadline_s: float
    ) -> dict[ParticipantId, bytes]:
        """Put each site's question to its worker."""
        work = {
            site: partial(self.workers[site].converse, questions[site])
            for site in self._there(questions)
        }
        number = next((one.round for one in questions.values()), 0)
        return self._gather(work, deadline_s=deadline_s, number=number)

    def _work(self, site: ParticipantId, task: Task) -> bytes:
        reply = self.workers[site].work(task)
        self.note(task.kind, task.round, site=site, size=len(reply))
        return reply

    def _there(self, sites: Iterable[ParticipantId]) -> list[ParticipantId]:
        return [site for site in sites if site in self.workers]

    def _gather(
        self,
        work: Mapping[ParticipantId, Callable[[], bytes]],
        *,
        deadline_s: float,
        number: int,
    ) -> dict[ParticipantId, bytes]:
        ends = time.monotonic() + deadline_s
        asked = {self.pool.submit(one): site for site, one in work.items()}
        waiting: set[Future[bytes]] = set(asked)
        while waiting and time.monotonic() < ends and not self.stop.is_set():
            left = max(0.0, ends - time.monotonic())
            waiting -= wait(waiting, timeout=min(_LOOK_S, left), return_when=FIRST_COMPLETED).done
        if self.stop.is_set():
            raise StateError("federation.aborted", round=number)
        return {
            asked[future]: future.result() for future in asked if _has_answer(future, asked[future])
        }


def _has_answer(future: Future[bytes], site: ParticipantId) -> bool:
    if not future.done():
        LOG.warning("%s did not answer in time", site)
        return False
    error = future.exception()
    if error is not None:
        known = isinstance(error, ConsiliumError)
        LOG.warning("%s gave no answer: %s", site, error if known else type(error).__name__)
    return error is None

"""Running jobs: which job processes work here, and how the node ends one at once.

A job process tells the desk at its start for which order it works and keeps
that line open. So the node knows the process while it lives, also in the middle
of a training step that lasts for minutes. As soon as the gate would refuse its
next step (agreement revoked, transfer ended, approval run out), the node ends
the process: by the kernel's own handle on it, which can never hit another
process, and by a word on the line for a process that runs under a user of its
own. Ending comes before evidence here, because stopping must not depend on a
disk; the entry says what was ended and how long that took.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from consilium.dataspace.connector import Bell
from consilium.dataspace.machines import COMPLETED
from consilium.gate.orders import Order, peek_study
from consilium.kernel.canonical import Json
from consilium.kernel.errors import ConsiliumError, DeniedError
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.ledger.database import Database
from consilium.node.frames import Message, pid_of, send_message

LOG = logging.getLogger("consilium.node.running")
LOOK_S = 1.0
"""Longest time between two looks; a commit of the connector brings one at once."""
LINGER_S = 10.0
"""So long a job may take to end by itself after its transfer was completed."""
_END_S = 3.0


class Judge(Protocol):
    """Says whether work under an admitted order may go on: the gate."""

    def find_refusal(self, order: bytes) -> DeniedError | None:
        """Return why not, or None."""
        ...


@dataclass(eq=False, kw_only=True)
class RunningJob:
    """One job process that keeps a line to the desk."""

    order: bytes
    study: StudyId
    agreement: AgreementId
    line: socket.socket
    pid: int
    handle: int | None
    began: float = field(default_factory=time.monotonic)
    completed: float = 0.0
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A study's part at this hospital that the node has ended."""

    study: StudyId
    agreement: AgreementId
    refusal: DeniedError


class RunningJobs:
    """Keeps the lines of job processes, and ends those that may not go on.

    Parameters
    ----------
    database : Database
        The node's; takes the evidence.
    me : ParticipantId
        This hospital.
    judge : Judge
        The gate.
    bell : Bell
        Rings after each commit of the connector.
    tell : callable
        Hears of each study that was stopped, after its process is gone.
    look_s : float, optional
        Longest time between two looks.
    """

    def __init__(
        self,
        database: Database,
        *,
        me: ParticipantId,
        judge: Judge,
        bell: Bell,
        tell: Callable[[Stopped], None],
        look_s: float = LOOK_S,
    ) -> None:
        self._database = database
        self._me = me
        self._judge = judge
        self._bell = bell
        self._tell = tell
        self._look_s = look_s
        self._jobs: set[RunningJob] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="running-jobs", daemon=True)

    def start(self) -> None:
        """Begin to look after the jobs."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; the engine's own end takes the jobs along."""
        self._closing.set()
        self._bell.ring()
        if self._thread.is_alive():
            self._thread.join()

    def keep(self, order: bytes, line: socket.socket) -> None:
        """Keep a job process's line until it ends; called in the line's own thread.

        Raises
        ------
        InputError
            `gate.bad_order`: the order cannot be read.
        """
        job = self._enter(order, line)
        try:
            self._judge_one(job)  # it may have been refused between its admission and now
            send_message(line, Message(line={}))
            line.settimeout(None)
            while line.recv(64):
                pass
        except OSError:
            LOG.info("a job of study %s has left", job.study)
        finally:
            self._leave(job)

    def look(self) -> None:
        """Ask the gate about every job once, and end those that it refuses."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            self._judge_one(job)

    def list_pids(self) -> list[int]:
        """List the process numbers of the jobs that run now."""
        with self._lock:
            return sorted(job.pid for job in self._jobs)

    def _run(self) -> None:
        while not self._closing.is_set():
            rung = self._bell.rung
            try:
                self.look()
            except ConsiliumError as error:
                LOG.error("the running jobs could not be judged: %s", error.public)
            self._bell.wait(rung, timeout_s=self._look_s)

    def _enter(self, order: bytes, line: socket.socket) -> RunningJob:
        study = peek_study(Order.from_json(order).signed_study)
        place = study.find_site(self._me)
        pid = pid_of(line)
        job = RunningJob(
            order=order,
            study=study.study,
            agreement=place.agreement if place else AgreementId(""),
            line=line,
            pid=pid,
            handle=_open_handle(pid),
        )
        with self._lock:
            self._jobs.add(job)
        return job

    def _leave(self, job: RunningJob) -> None:
        with self._lock:
            self._jobs.discard(job)
            if job.handle is not None:
                os.close(job.handle)
                job.handle = None

    def _judge_one(self, job: RunningJob) -> None:
        refusal = self._judge.find_refusal(job.order)
        if refusal is None or self._may_linger(job, refusal):
            return
        with self._lock:
            if job.ended or job not in self._jobs:
                return
            job.ended = True
        self._end(job, refusal)

    def _may_linger(self, job: RunningJob, refusal: DeniedError) -> bool:
        """Let a job whose study is complete end by itself, for a moment."""
        if refusal.facts.get("state") != COMPLETED:
            return False
        job.completed = job.completed or time.monotonic()
        return time.monotonic() - job.completed < LINGER_S

    def _end(self, job: RunningJob, refusal: DeniedError) -> None:
        began = time.monotonic()
        gone = self._kill(job, refusal)
        facts: dict[str, Json] = {
            "agreement": job.agreement,
            "code": refusal.code,
            "rule": refusal.rule,
            "reason": refusal.public,
            "ended_by": str(refusal.facts.get("ended_by", ""))[:80],
            "process_gone": gone,
            "milliseconds": round((time.monotonic() - began) * 1000),
        }
        LOG.warning("study %s was stopped here: %s", job.study, refusal.public)
        try:
            with self._database.write() as tx:
                tx.record("study.stopped", job.study, facts)
        finally:
            self._tell(Stopped(study=job.study, agreement=job.agreement, refusal=refusal))

    def _kill(self, job: RunningJob, refusal: DeniedError) -> bool:
        """End the process by word and by force; say whether it is gone."""
        # Taken hold of first: a process that ends at the word takes its line's handle along.
        with self._lock:
            handle = os.dup(job.handle) if job.handle is not None else None
        with suppress(OSError):
            job.line.settimeout(_END_S)
            send_message(job.line, Message(line={"end": refusal.as_record()}))
        if handle is None:
            return False
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except PermissionError:
            LOG.info("process %d has a user of its own; it was told to end", job.pid)
        except ProcessLookupError:
            return True
        finally:
            gone = bool(select.select([handle], [], [], _END_S)[0])
            os.close(handle)
        return gone


def _open_handle(pid: int) -> int | None:
    """Take hold of a process while its line is open; None where the kernel gives no handle."""
    try:
        return os.pidfd_open(pid) if pid > 0 else None
    except OSError:
        return None

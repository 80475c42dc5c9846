"""A small process that forks one process per job, warm: everything is imported already.

FLARE starts a fresh interpreter for each job, which imports the same hundred
modules each time, at each site. Here the engine's process imports once and
forks this helper before it has any thread, data or connection; the helper then
forks once per job. Each job still has a process of its own.

Nothing outlives what it serves: the kernel kills the helper with the engine's
process and the jobs with the helper, and the helper also ends its jobs when
the engine's end of their channel closes.
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from consilium.federation.flare.lifeline import die_with_parent
from consilium.kernel.errors import StateError

RunJob = Callable[[Sequence[str]], int]
"""Runs one job from its command line and returns the exit status."""

_LARGEST_MESSAGE = 1 << 17
_log = logging.getLogger(__name__)


class ForkedJob:
    """One job's process, as the engine's process sees it."""

    def __init__(self, number: int, channel: socket.socket) -> None:
        self.number = number
        self.pid = 0
        self.status: int | None = None
        self._channel = channel
        self._ended = threading.Event()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the job has ended; say whether it has."""
        return self._ended.wait(timeout_s)

    def kill(self) -> None:
        """End the job at once; silent when it has ended."""
        if not self._ended.is_set():
            self._channel.send(json.dumps({"kill": self.number}).encode())

    def end(self, status: int) -> None:
        """Note the exit status (negative: the signal that ended it)."""
        self.status = status
        self._ended.set()


class Forker:
    """The engine's end of the helper.

    Parameters
    ----------
    run : callable
        Runs one job inside its forked process.
    """

    def __init__(self, run: RunJob) -> None:
        if threading.active_count() > 1:
            raise StateError("engine.threads_before_fork", threads=threading.active_count())
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.collect()
        gc.freeze()  # keeps the collector from touching, and so copying, the shared pages
        engine = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            mine.close()
            die_with_parent(engine)
            _Helper(theirs, run).serve()
        theirs.close()
        self._channel = mine
        self._numbers = itertools.count(1)
        self._jobs: dict[int, ForkedJob] = {}
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def start(self, argv: Sequence[str], environment: Mapping[str, str]) -> ForkedJob:
        """Fork a process for a job; its number is known before it runs."""
        with self._lock:
            self._listen()
            job = ForkedJob(next(self._numbers), self._channel)
            self._jobs[job.number] = job
            order = {"start": job.number, "argv": list(argv), "environment": dict(environment)}
            self._channel.send(json.dumps(order).encode())
        return job

    def close(self) -> None:
        """Let the helper and its jobs end."""
        self._channel.close()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = threading.Thread(target=self._hear, name="forker", daemon=True)
            self._listener.start()

    def _hear(self) -> None:
        while said := _receive(self._channel):
            if "pid" in said:
                self._jobs[said["job"]].pid = said["pid"]
            else:
                self._jobs.pop(said["job"]).end(said["status"])
        with self._lock:  # the helper is gone, and its jobs with it
            for job in self._jobs.values():
                job.end(-signal.SIGKILL)


class _Helper:
    """The helper's own loop: no threads, no data, one channel."""

    def __init__(self, channel: socket.socket, run: RunJob) -> None:
        self._channel = channel
        self._run = run
        self._pid = os.getpid()
        self._jobs: dict[int, int] = {}  # process number -> job number

    def serve(self) -> NoReturn:
        """Fork on request and report ends, until the engine's end closes."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bell, ringer = socket.socketpair()
        ringer.setblocking(False)
        signal.set_wakeup_fd(ringer.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self._channel, bell], [], [])
            if bell in ready:
                bell.recv(512)
                self._reap()
            if self._channel in ready:
                order = _receive(self._channel)
                if order is None:
                    self._end()
                self._obey(order, bell, ringer)

    def _obey(self, order: dict[str, Any], *mine: socket.socket) -> None:
        if "kill" in order:
            for pid, number in self._jobs.items():
                if number == order["kill"]:
                    os.kill(pid, signal.SIGKILL)
            return
        pid = os.fork()
        if pid == 0:
            for end in (self._channel, *mine):
                end.close()
            self._become(order)
        self._jobs[pid] = order["start"]
        self._say({"job": order["start"], "pid": pid})

    def _become(self, order: dict[str, Any]) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent(self._pid)
            os.environ.update(order["environment"])
            status = self._run(order["argv"])
        except BaseException:  # noqa: BLE001 - the job loop: whatever a job does, only its own process ends
            _log.exception("the job's process failed")
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._jobs.pop(pid)
            self._say({"job": number, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, word: dict[str, int]) -> None:
        try:
            self._channel.send(json.dumps(word).encode())
        except OSError:
            self._end()

    def _end(self) -> NoReturn:
        for pid in self._jobs:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _receive(channel: socket.socket) -> dict[str, Any] | None:
    try:
        data = channel.recv(_LARGEST_MESSAGE)
    except OSError:
        return None
    return dict(json.loads(data)) if data else None

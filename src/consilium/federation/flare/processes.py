"""Supervision: keeps one engine process running, and takes all of it down.

Hub and node each own one FLARE process. It runs in a process group of its own
with a pipe to its supervisor; when the supervisor is gone, however it went,
the pipe closes and the process ends with its whole group.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROXIED = "--proxied"
"""Last word of the client's command when its standard input begins with its proxy."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STABLE_AFTER_S = 60.0
_LARGEST_LOG = 1_000_000

PORT_TAKEN = 98
"""Exit status of the server's process when somebody else listens on the engine's port."""

_log = logging.getLogger(__name__)


def server_command(kit: Path) -> tuple[str, ...]:
    """Give the command that runs the hub's FLARE server from its kit.

    Discloses
    ---------
    Nothing.
    """
    return (sys.executable, "-m", "consilium.federation.flare.server_main", str(kit))


def client_command(kit: Path, *, proxied: bool = False) -> tuple[str, ...]:
    """Give the command that runs a hospital's FLARE client from its kit.

    If it is `proxied`, its standard input begins with one line: the proxy's URL.

    Discloses
    ---------
    Nothing.
    """
    command = (sys.executable, "-m", "consilium.federation.flare.client_main", str(kit))
    return (*command, PROXIED) if proxied else command


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildState:
    """How a supervised process stands, for status pages.

    `since_s` counts seconds since it started, or since it ended; `exit_status`
    is that of the last end, negative for a signal.
    """

    name: str
    running: bool
    pid: int | None
    restarts: int
    since_s: float
    exit_status: int | None


class SupervisedChild:
    """Runs a command, and again when it ends: after 1, 2, 4, ... 30 seconds.

    Parameters
    ----------
    name : str
        What status pages call it.
    command : sequence of str
        Program and arguments.
    folder : Path
        Working folder; its output goes to `console.log` there.
    told : bytes
        What it reads first from its standard input, at each start. Secrets go this
        way, because others can see a command line, and every child an environment.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, told: bytes = b""
    ) -> None:
        self._name = name
        self._command = tuple(command)
        self._folder = folder
        self._told = told
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._restarts = 0
        self._changed = time.monotonic()
        self._exit_status: int | None = None

    def start(self) -> None:
        """Start the process and watch over it; nothing if that is done already."""
        if self._thread is None and self._launch():
            self._thread = threading.Thread(target=self._watch, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End the process and its group, and do not start it again."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout_s)
            _kill_group(process.pid)
        if self._thread is not None:
            self._thread.join()

    @property
    def state(self) -> ChildState:
        """Tell how the process stands."""
        with self._lock:
            running = self._process is not None and self._process.returncode is None
            return ChildState(
                name=self._name,
                running=running,
                pid=self._process.pid if running and self._process else None,
                restarts=self._restarts,
                since_s=time.monotonic() - self._changed,
                exit_status=self._exit_status,
            )

    def _launch(self) -> bool:
        log = self._folder / "console.log"
        fresh = not log.exists() or log.stat().st_size > _LARGEST_LOG
        with self._lock, log.open("wb" if fresh else "ab") as output:
            if self._stopping.is_set():
                return False
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment() | {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"},
            )
            if self._told and self._process.stdin is not None:
                # A process that has ended already reads nothing; `_watch` sees that.
                with suppress(BrokenPipeError):
                    self._process.stdin.write(self._told)
                    self._process.stdin.flush()
            self._changed = time.monotonic()
        return True

    def _watch(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            ran_s = self._wait()
            if ran_s > _STABLE_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                if not self._launch():
                    return
                self._restarts += 1
            except OSError:  # no memory, no disk: try again like after any other end
                _log.exception("%s could not be started", self._name)

    def _wait(self) -> float:
        process = self._process
        if process is None:
            return 0.0
        status = process.wait()
        _kill_group(process.pid)
        if process.stdin is not None:
            process.stdin.close()
        with self._lock:
            ran_s, self._changed = time.monotonic() - self._changed, time.monotonic()
            self._exit_status = status
        return ran_s


def _environment() -> dict[str, str]:
    """Give our environment without the proxies in it, which may hold a password.

    The engine's library would follow them; it is told of a proxy only by `told`.
    """
    return {name: value for name, value in os.environ.items() if not _is_proxy(name)}


def _is_proxy(name: str) -> bool:
    return name.lower().endswith("_proxy")


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)

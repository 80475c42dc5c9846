"""A home has one owner at a time: the lock, and the way a process ends.

Two processes writing one database is how evidence would be lost, so whoever
serves a folder locks it. The lock goes with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import psutil

from consilium.kernel.errors import StateError

DIE_WITH = "CONSILIUM_DIE_WITH"
"""Environment variable that names a process; when it is gone, ours ends too."""
_LOOK_S = 0.5


@contextmanager
def own_home(home: Path) -> Iterator[None]:
    """Hold a folder's lock.

    Raises
    ------
    StateError
        `ledger.home_taken` when another process serves this folder,
        `ledger.cannot_write` when this user may not.
    """
    with _open_lock(home) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError("ledger.home_taken", home=str(home)) from error
        yield


def stop_on_signals(environment: Mapping[str, str]) -> threading.Event:
    """Return an event that is set when this process should end.

    It is set by SIGTERM and SIGINT, and when the process that `DIE_WITH` names
    has gone. Call it from the main thread.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    patron = environment.get(DIE_WITH, "")
    if patron.isdecimal():
        threading.Thread(
            target=_watch, args=(int(patron), stop), name="patron", daemon=True
        ).start()
    return stop


def _open_lock(home: Path) -> TextIO:
    try:
        (home / "run").mkdir(mode=0o700, exist_ok=True)
        return (home / "run" / "lock").open("w")
    except OSError as error:
        reason = error.strerror or "refused"
        raise StateError("ledger.cannot_write", place=str(home), reason=reason) from error


def _watch(patron: int, stop: threading.Event) -> None:
    try:
        process = psutil.Process(patron)
        while _is_alive(process):
            if stop.wait(_LOOK_S):
                return
    except psutil.Error:
        pass
    stop.set()


def _is_alive(process: psutil.Process) -> bool:
    # `is_running` knows a process again by the kernel's own count of time; `create_time`
    # would move whenever somebody sets the machine's clock.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE

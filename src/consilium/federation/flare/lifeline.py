"""Ties processes together, so that none outlives the one it serves.

Two ties to the parent, because each covers what the other cannot. The kernel's
own (`die_with_parent`) needs no cooperation, but hangs on the *thread* that made
the process, so it fits only children of single-threaded parents. The pipe
(`end_with_stream`) holds for any parent: it closes when the parent is gone,
however it went. A third (`end_with_child`) ends an engine that has lost what it
cannot work without.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from contextlib import suppress
from typing import NoReturn

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends.

    Call it in the child right after the fork. `parent` is the parent's process
    number as the parent knew it: if it is gone already, this process ends here.

    Discloses
    ---------
    Nothing.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def end_with_stream(descriptor: int) -> threading.Thread:
    """End this process and its whole group as soon as a pipe's other end closes.

    The supervisor holds the other end and never writes, so the read returns
    only when the supervisor is gone.

    Discloses
    ---------
    Nothing.
    """
    thread = threading.Thread(
        target=_wait_for_end, args=(descriptor,), name="lifeline", daemon=True
    )
    thread.start()
    return thread


def end_with_child(child: int) -> threading.Thread:
    """End this process and its whole group as soon as a child of it has ended.

    An engine whose helper was killed would take jobs for ever and start none;
    so it ends too, and its supervisor starts both anew.

    Discloses
    ---------
    Nothing.
    """
    thread = threading.Thread(target=_wait_for_child, args=(child,), name="helper", daemon=True)
    thread.start()
    return thread


def _wait_for_end(descriptor: int) -> None:
    while os.read(descriptor, 64):
        pass
    _end_group()


def _wait_for_child(child: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
    _end_group()


def _end_group() -> NoReturn:
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)

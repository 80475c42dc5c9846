"""Running commands as anyone would type them, and ending what they started.

Whatever happens, nothing that was started here is left behind; processes are
ended by their numbers, and only those that are ours.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
_LAST_LINES = 25
PATIENCE_S = 60.0
"""How long a command may take to clean up when it is ended early."""
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error|errors|xfailed|deselected)\b")


class FailedError(RuntimeError):
    """Something that was to be measured did not run; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended."""

    status: int
    text: str
    seconds: float

    def last_json(self) -> dict[str, Any]:
        """Read the last line as one JSON object.

        Raises
        ------
        FailedError
            When it is none.
        """
        lines = [line for line in self.text.splitlines() if line.strip()]
        try:
            return dict(json.loads(lines[-1]))
        except (IndexError, ValueError) as error:
            raise FailedError(f"no JSON in the last line of:\n{last_lines(self.text)}") from error


def run(
    command: Sequence[str],
    *,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 1800.0,
    strict: bool = True,
) -> Done:
    """Run a command and wait for its end.

    Parameters
    ----------
    environment : mapping, optional
        Added to this process's own.
    strict : bool
        Whether a status other than 0 is a failure.

    Raises
    ------
    FailedError
        When it does not end in time or, if strict, with a bad status.
    """
    began = time.monotonic()
    with subprocess.Popen(
        list(command),
        cwd=folder,
        env=os.environ | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a Ctrl-C reaches us alone, and we end it in good order
    ) as process:
        try:
            text, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise FailedError(f"{' '.join(command)}: not over after {timeout_s:.0f} s") from error
        finally:
            stop([process], patience_s=PATIENCE_S)
    done = Done(status=process.returncode, text=text, seconds=time.monotonic() - began)
    if strict and done.status:
        raise FailedError(f"{' '.join(command)}: status {done.status}\n{last_lines(done.text)}")
    return done


def python(*arguments: str) -> list[str]:
    """Return a command for this Python."""
    return [sys.executable, *arguments]


def tool(name: str) -> str:
    """Return a program of this virtual environment."""
    return str(Path(sys.executable).with_name(name))


def last_lines(text: str) -> str:
    """Return the end of a longer text."""
    return "\n".join(text.splitlines()[-_LAST_LINES:])


def pytest_counts(text: str) -> dict[str, int]:
    """Read the counts from pytest's last summary line; empty when there is none."""
    for line in reversed(text.splitlines()):
        found = {
            word.rstrip("s") if word == "errors" else word: int(n)
            for n, word in _COUNT.findall(line)
        }
        if found and " in " in line:
            return found
    return {}


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started, as far as they live."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def stop(
    processes: Iterable[psutil.Process | subprocess.Popen[Any]], *, patience_s: float = 3.0
) -> None:
    """End processes that we started, and then whatever they started.

    Each is asked first, so that it can end its own in good order.
    """
    numbers = [each.pid for each in processes if is_running(each)]
    roots = [process for number in numbers for process in family(number)[:1]]
    rest = [process for number in numbers for process in family(number)[1:]]
    for group, sign in (
        (roots, signal.SIGTERM),
        (rest, signal.SIGTERM),
        (roots + rest, signal.SIGKILL),
    ):
        for process in group:
            try:
                process.send_signal(sign)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(group, timeout=patience_s)


def is_running(process: psutil.Process | subprocess.Popen[Any]) -> bool:
    """Say whether a process runs; one that has ended may have given its number away."""
    return process.is_running() if isinstance(process, psutil.Process) else process.poll() is None


def end_cleanly() -> None:
    """Let SIGTERM end this program as Ctrl-C would, once, so that it cleans up."""

    def leave(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)

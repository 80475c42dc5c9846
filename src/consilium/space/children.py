"""The processes that a space starts, and how every one of them is found again.

Each is started in a process group of its own and carries a mark in its
environment that nothing else carries. A file in the space's home remembers the
mark, the process numbers and their start times, so that a later command stops
exactly these processes and what they started, and never a stranger that was
given a recycled number.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from consilium.kernel.errors import PeerError
from consilium.ledger.files import write_atomic
from consilium.ledger.lifetime import DIE_WITH

MARK = "CONSILIUM_SPACE_MARK"
"""Environment variable that names the run a process belongs to."""
REGISTER = "processes.json"
PROGRAM = (sys.executable, "-m", "consilium")
PATIENCE_S = 10.0
LOG_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One started process; `started` is its start in seconds since 1970."""

    name: str
    pid: int
    started: float

    def find(self) -> psutil.Process | None:
        """Return the living process, or None if it ended or its number was given away."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class Children:
    """All processes of one space home.

    Parameters
    ----------
    home : Path
        Folder of the space; holds the register and `logs/`.
    mark : str
        What their environment carries.
    die_with : int, optional
        Process that they end with; None for a space that outlives its launcher.
    program : sequence of str
        What every child runs; its own arguments follow.
    patience_s : float
        How long a process may take to end by itself before it is killed.
    """

    def __init__(
        self,
        home: Path,
        *,
        mark: str,
        die_with: int | None = None,
        program: Sequence[str] = PROGRAM,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.home = home
        self.mark = mark
        self._die_with = die_with
        self._program = program
        self._patience_s = patience_s
        self._children: list[Child] = []

    @classmethod
    def read(cls, home: Path) -> Children | None:
        """Read the register of a home; None when there is none."""
        try:
            record = json.loads((home / REGISTER).read_bytes())
            found = cls(home, mark=str(record["mark"]))
            found._children = [Child(**each) for each in record["processes"]]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError):
            # A register cut short by a full disk still must not block `down`.
            return None
        return found

    def alive(self) -> list[Child]:
        """List the processes that run."""
        return [child for child in self._children if child.find() is not None]

    def log_of(self, name: str) -> Path:
        """Return where a process writes its output."""
        return self.home / "logs" / f"{name}.log"

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start the program with these arguments and put it into the register."""
        self.log_of(name).parent.mkdir(parents=True, exist_ok=True)
        self._save()
        child = self._spawn(name, [*self._program, *arguments])
        self._children.append(child)
        self._save()
        return child

    def check(self, child: Child) -> None:
        """Make sure that a process still runs.

        Raises
        ------
        PeerError
            `space.process_died`, with the last lines of its log as detail.
        """
        if child.find() is not None:
            return
        log = self.log_of(child.name)
        raise PeerError(
            "space.process_died",
            name=child.name,
            exit=_exit_code(child.pid),
            log=str(log),
            detail=last_lines(log),
        )

    def stop(self) -> int:
        """End every process, the last started first; return how many were running.

        Each is asked to end (SIGTERM) and given time; what then still runs, and
        whatever else carries the mark, is killed.
        """
        running = self.alive()
        hubs = running[:1] if running and running[0] is self._children[0] else []
        for group in ([child for child in running if child not in hubs], hubs):
            self._end([process for child in group if (process := child.find())])
        strays = list(_marked(self.mark))
        for process in strays:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(strays, timeout=self._patience_s)
        self._children.clear()
        (self.home / REGISTER).unlink(missing_ok=True)
        return len(running)

    def _end(self, processes: list[psutil.Process]) -> None:
        """Ask processes to end, and kill those that do not."""
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(processes, timeout=self._patience_s)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=self._patience_s)

    def _spawn(self, name: str, command: list[str]) -> Child:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = str(self.log_of(name))
        pid = os.posix_spawn(
            command[0],
            command,
            self._environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
        )
        return Child(name=name, pid=pid, started=psutil.Process(pid).create_time())

    def _environment(self) -> dict[str, str]:
        ours = {MARK: self.mark, "PYTHONUNBUFFERED": "1"}
        if self._die_with is not None:
            ours[DIE_WITH] = str(self._die_with)
        inherited = {key: value for key, value in os.environ.items() if key != DIE_WITH}
        return inherited | ours

    def _save(self) -> None:
        record = {"mark": self.mark, "processes": [asdict(child) for child in self._children]}
        write_atomic(self.home / REGISTER, json.dumps(record, indent=1).encode())


def last_lines(path: Path) -> str:
    """Return the end of a log; empty when there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES:])


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(MARK) == mark
        except (psutil.Error, OSError):
            continue
        if ours and process.pid != os.getpid():
            yield process


def _exit_code(pid: int) -> int | None:
    try:
        return psutil.Process(pid).wait(timeout=0)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        return None

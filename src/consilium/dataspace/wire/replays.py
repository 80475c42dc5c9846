"""Tokens that were taken already, kept for as long as they would still be good.

Whoever carries messages can keep one and bring it again. Each token is taken
once, also by the process that comes after a crash: what was taken stands in a
file, one line each. A line is written before the request is handled; the disk
is asked once a second to make it durable against a loss of power.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import BinaryIO

from consilium.kernel.canonical import digest_of
from consilium.ledger.files import write_atomic

_SYNC_S = 1.0
_NAME = 40
"""Hexadecimal digits that stand for sender and token together."""


class ReplayGuard:
    """Remembers tokens until they expire, so that none is taken twice.

    Parameters
    ----------
    file : Path, optional
        Keeps them across restarts; without it they are forgotten with the
        process, as in a rehearsal.
    room : int, optional
        How many it holds at most; when all are alive, no further one is taken.
    now : int, optional
        Seconds since 1970; what had expired by then is not read from the file.
    """

    def __init__(self, file: Path | None = None, *, room: int = 100_000, now: int = 0) -> None:
        self._seen: dict[str, int] = {}
        self._room = room
        self._lock = threading.Lock()
        self._path = file
        self._file: BinaryIO | None = None
        self._lines = 0
        self._synced = 0.0
        if file is not None:
            self._seen = _read(file, now=now)
            self._write_anew(file)

    def claim(self, issuer: str, token_id: str, *, expires: int, now: int) -> bool:
        """Take a token's identifier; False if it was taken before, or too many are alive."""
        name = digest_of(f"{issuer}\n{token_id}".encode()).removeprefix("sha256:")[:_NAME]
        with self._lock:
            if len(self._seen) >= self._room:
                self._seen = {one: end for one, end in self._seen.items() if end >= now}
            if name in self._seen or len(self._seen) >= self._room:
                return False
            self._seen[name] = expires
            self._keep(name, expires)
            return True

    def _keep(self, name: str, expires: int) -> None:
        if self._file is None or self._path is None:
            return
        if self._lines >= 2 * self._room:
            self._write_anew(self._path)
            return
        line = f"{expires} {name}\n".encode()
        if self._file.write(line) != len(line):
            self._write_anew(self._path)
        self._lines += 1
        if time.monotonic() - self._synced > _SYNC_S:
            os.fdatasync(self._file.fileno())
            self._synced = time.monotonic()

    def _write_anew(self, path: Path) -> None:
        """Write only what is remembered now, and go on behind it."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = (f"{expires} {name}\n" for name, expires in self._seen.items())
        write_atomic(path, "".join(lines).encode())
        if self._file is not None:
            self._file.close()
        self._file = path.open("ab", buffering=0)
        self._lines = len(self._seen)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(path: Path, *, now: int) -> dict[str, int]:
    """Read what is still alive; a line that a crash cut short names no token that was handled."""
    found: dict[str, int] = {}
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        expires, _, name = line.decode("ascii", "replace").partition(" ")
        if expires.isdigit() and len(name) == _NAME and int(expires) >= now:
            found[name] = int(expires)
    return found

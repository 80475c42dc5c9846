"""DuckDB, bounded: the one file that knows it.

It reads only inside the intake's own folder and the one source, loads no
extension, stays within its memory limit, and its messages, which may quote a
row, are never passed on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError, StateError
from consilium.readers.records import Progress

WATCH_S = 0.5


class BoundedDuckDB:
    """A DuckDB database on disk that dies with its folder.

    Parameters
    ----------
    folder : Path
        Private; emptied by the caller afterwards.
    source : Path
        The one file outside the folder that may be read.
    memory_mb : int
        DuckDB's memory limit.
    progress : callable
        Told of long queries.
    """

    def __init__(self, folder: Path, *, source: Path, memory_mb: int, progress: Progress) -> None:
        self._progress = progress
        self._database = duckdb.connect(
            str(folder / "staged.db"),
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": min(4, os.cpu_count() or 1),
                "temp_directory": str(folder / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self._database.execute(f"SET allowed_directories = [{quote_text(str(folder))}]")
        self._database.execute(f"SET allowed_paths = [{quote_text(str(source.resolve()))}]")
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET enable_progress_bar = true")
        self._database.execute("SET enable_progress_bar_print = false")
        self._database.execute("SET lock_configuration = true")

    def close(self) -> None:
        """Let go of memory; the files go with the folder."""
        self._database.close()

    def run(self, query: str, *, step: str, code: str, **facts: object) -> None:
        """Run a long query; tell of `step`, and raise `code` when the data are at fault."""
        with _shielded(code, **facts), self._watched(step):
            self._database.execute(query)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a short answer."""
        with _shielded("readers.broken_table"):
            rows: list[tuple[Any, ...]] = self._database.execute(query).fetchall()
            return rows

    def describe(self, query: str, *, code: str, **facts: object) -> dict[str, str]:
        """Return a query's columns with their types."""
        with _shielded(code, **facts):
            found = self._database.execute(f"DESCRIBE {query}").fetchall()
        return {str(row[0]): str(row[1]) for row in found}

    def columns(self, query: str) -> dict[str, npt.NDArray[Any]]:
        """Return an answer as arrays by column; what stands where NULL was is undefined."""
        with _shielded("readers.broken_table"):
            found = self._database.execute(query).fetchnumpy()
        return {name: np.ma.getdata(column) for name, column in found.items()}

    @contextmanager
    def _watched(self, step: str) -> Iterator[None]:
        """Tell twice a second how far a long query is."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(WATCH_S):
                self._progress(step, max(0.0, min(1.0, self._database.query_progress() / 100)))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def quote_text(value: str) -> str:
    """Write an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _shielded(code: str, **facts: object) -> Iterator[None]:
    """Turn DuckDB's errors, whose messages may quote rows, into ours.

    `from None` keeps those messages out of tracebacks too.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise StateError("readers.no_room", detail=type(error).__name__) from None
    except (duckdb.DataError, duckdb.OperationalError, duckdb.InvalidInputException) as error:
        raise InputError(code, detail=type(error).__name__, **facts) from None
    except duckdb.Error as error:
        raise StateError("readers.intake_failed", kind=type(error).__name__) from None

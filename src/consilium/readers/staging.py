"""DuckDB at work: the source as a typed table on disk, counted, then given out in order.

The one place that knows DuckDB. It reads only inside the intake's own folder,
loads no extension, stays within its memory limit, and its messages, which may
quote a row, are never passed on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError, StateError
from consilium.readers.arrays import Chunk
from consilium.readers.expressions import STATES, quote_name, quote_text, staged_query
from consilium.readers.records import Counts
from consilium.readers.schema import Schema
from consilium.readers.sources import Progress

CELLS = 4_000_000
"""Cells given out at once: 32 MB."""

BROKEN_LIMIT = 100_000
WATCH_S = 0.5
FATES = ("complete", "no_label", "no_patient", "no_value")

NUMBERING = """
    CREATE TABLE numbered AS
    WITH firsts AS (
        SELECT patient, min(rowid) AS first, count(*) AS n
        FROM staged WHERE fate = 'complete' GROUP BY patient
    ), numbers AS (
        SELECT patient, first, n, row_number() OVER (ORDER BY first) - 1 AS number FROM firsts
    )
    SELECT staged.rowid AS place, number, n > 1 AS repeated, staged.rowid = first AS is_first
    FROM staged JOIN numbers USING (patient) WHERE fate = 'complete' ORDER BY place
"""
"""Numbers patients in the order of their first row; DuckDB spills where memory ends."""

_FLOATS = ("FLOAT", "DOUBLE")


class Staging:
    """A source as a table of values and states, in the intake's own folder.

    Parameters
    ----------
    folder : Path
        Private, emptied by the caller afterwards.
    source : Path
        The one file outside the folder that may be read.
    memory_mb : int
        DuckDB's memory limit.
    progress : callable
        Called with a step's name and its share done.
    """

    def __init__(self, folder: Path, *, source: Path, memory_mb: int, progress: Progress) -> None:
        self._progress = progress
        self._name = source.name
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
        """Let go of the table; the files go with the folder."""
        self._database.close()

    def parquet_columns(self, path: Path) -> dict[str, str]:
        """Return a Parquet file's columns with their types.

        Raises
        ------
        InputError
            `readers.bad_parquet`.
        """
        with _shielded("readers.bad_parquet", file=self._name):
            found = self._database.execute(
                f"DESCRIBE SELECT * FROM read_parquet({quote_text(str(path))})"  # noqa: S608 (quoted)
            ).fetchall()
        return {str(row[0]): str(row[1]) for row in found}

    def load_csv(self, path: Path, schema: Schema, columns: list[str]) -> int:
        """Stage a UTF-8 text table; return how many lines did not fit its columns."""
        named = {f"c{place}": "VARCHAR" for place in range(len(columns))}
        table = (
            f"read_csv({quote_text(str(path))}, auto_detect=false, "
            f"header={str(schema.source.header).lower()}, "
            f"delim={quote_text(schema.source.delimiter)}, quote='\"', escape='\"', "
            f"columns={named!r}, store_rejects=true, rejects_limit={BROKEN_LIMIT})"
        )
        cells = {name: f"c{place}" for place, name in enumerate(columns)}
        with _shielded("readers.broken_table"):
            self._stage(schema, table, cells)
            rejected = self._database.execute(
                "SELECT count(DISTINCT (scan_id, line)) FROM reject_errors"
            )
            return _one(rejected)

    def load_parquet(self, path: Path, schema: Schema, kinds: Mapping[str, str]) -> None:
        """Stage a Parquet file, each cell as text, NaN as missing."""
        cells = {
            name: f"CAST(nullif({quote_name(name)}, 'nan') AS VARCHAR)"
            if kind in _FLOATS
            else f"CAST({quote_name(name)} AS VARCHAR)"
            for name, kind in kinds.items()
        }
        with _shielded("readers.bad_parquet", file=self._name):
            self._stage(schema, f"read_parquet({quote_text(str(path))})", cells)

    def count(self, schema: Schema, *, broken: int) -> Counts:
        """Count what the table holds."""
        with self._watched("counting"):
            whole = self._count_rows(schema)
        patients = self._count_patients() if schema.patient else (whole["complete"], 0, 0)
        distinct = self._database.execute(
            "SELECT count(*) FROM (SELECT whole FROM staged GROUP BY whole)"
        )
        names = [one.name for one in schema.features]
        return Counts(
            rows=whole["n"] + broken,
            broken=broken,
            complete=whole["complete"],
            no_label=whole["no_label"],
            no_patient=whole["no_patient"],
            no_value=whole["no_value"],
            positives=whole["positives"],
            states={
                field.name: {state: whole[f"s{place}_{state}"] for state in STATES}
                for place, field in enumerate(schema.fields)
            },
            constant=tuple(name for place, name in enumerate(names) if whole[f"k{place}"] == 1),
            distinct_rows=_one(distinct) + broken,
            patients=patients[0],
            repeated_patients=patients[1],
            rows_of_repeated=patients[2],
        )

    def chunks(self, schema: Schema, *, rows: int) -> Iterator[Chunk]:
        """Give out the complete rows in the source's order, a chunk at a time."""
        width = len(schema.features)
        step = max(1, CELLS // width)
        values = ", ".join(f"v{place}" for place in range(width))
        for start in range(0, rows, step):
            within = f"rowid >= {start} AND rowid < {start + step}"
            cases = f"SELECT {values}, y FROM staged WHERE fate = 'complete' AND {within}"  # noqa: S608 (own names)
            found = self._fetch(f"{cases} ORDER BY rowid")
            x = np.stack([found[f"v{place}"] for place in range(width)], axis=1)
            group = None
            if schema.patient:
                within = within.replace("rowid", "place")
                numbers = f"SELECT number FROM numbered WHERE {within} ORDER BY place"  # noqa: S608 (own names)
                group = self._fetch(numbers)["number"].astype(np.int64)
            yield Chunk(x=x, y=found["y"].astype(np.int8), group=group)

    def _fetch(self, query: str) -> dict[str, npt.NDArray[Any]]:
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

    def _stage(self, schema: Schema, table: str, cells: Mapping[str, str]) -> None:
        query = staged_query(schema, table, cells)
        with self._watched("reading"):
            self._database.execute(f"CREATE TABLE staged AS {query}")
        if schema.patient:
            self._database.execute(NUMBERING)

    def _count_rows(self, schema: Schema) -> dict[str, int]:
        asked = ["count(*) AS n", "count(*) FILTER (fate = 'complete' AND y = 1) AS positives"]
        asked += [f"count(*) FILTER (fate = '{fate}') AS {fate}" for fate in FATES]
        asked += [
            f"count(*) FILTER (s{place} = {state}) AS s{place}_{name}"
            for place in range(len(schema.fields))
            for name, state in STATES.items()
        ]
        for place in range(len(schema.features)):
            of = f"v{place}) FILTER (fate = 'complete'"
            asked.append(f"CAST(min({of}) = max({of}) AS INTEGER) AS k{place}")
        found = self._database.execute(f"SELECT {', '.join(asked)} FROM staged")  # noqa: S608 (own names)
        names = [str(column[0]) for column in found.description]
        row = found.fetchone()
        return dict(zip(names, (int(one or 0) for one in row or ()), strict=True))

    def _count_patients(self) -> tuple[int, int, int]:
        found = self._database.execute("""
            SELECT count(*) FILTER (is_first), count(*) FILTER (is_first AND repeated),
                   count(*) FILTER (repeated)
            FROM numbered
        """).fetchone()
        every, repeated, rows = found or (0, 0, 0)
        return int(every), int(repeated), int(rows)


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


def _one(found: duckdb.DuckDBPyConnection) -> int:
    row = found.fetchone()
    return int(row[0]) if row else 0

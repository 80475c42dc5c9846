"""The source as typed tables on disk, counted, then given out in order.

A table takes a limited number of fields, because planning a query costs more
than its square; a wide source is read several times, and the tables are joined
by position. Row order is the source's throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from consilium.kernel.errors import InputError, StateError
from consilium.readers.arrays import Chunk
from consilium.readers.duck import BoundedDuckDB, quote_name, quote_text
from consilium.readers.expressions import COMPLETE, FATES, STATES, fates_query, staged_query
from consilium.readers.records import Counts
from consilium.readers.schema import Schema

FIELDS_AT_ONCE = 40
CELLS = 4_000_000
"""Cells given out at once: 32 MB."""

BROKEN_LIMIT = 100_000

NUMBERING = """
    CREATE TABLE numbered AS
    WITH firsts AS (
        SELECT patient, min(rowid) AS first, count(*) AS n
        FROM fates WHERE fate = 0 GROUP BY patient
    ), numbers AS (
        SELECT patient, first, n, row_number() OVER (ORDER BY first) - 1 AS number FROM firsts
    )
    SELECT fates.rowid AS place, number, n > 1 AS repeated, fates.rowid = first AS is_first
    FROM fates JOIN numbers USING (patient) WHERE fate = 0 ORDER BY place
"""
"""Numbers patients in the order of their first row; DuckDB spills where memory ends."""

_FLOATS = ("FLOAT", "DOUBLE")


class Staging:
    """A source as tables of values and states.

    Parameters
    ----------
    duck : BoundedDuckDB
        Where they are kept.
    schema : Schema
    fields_at_once : int, optional
        Fields of one table, at least 1.
    """

    def __init__(
        self, duck: BoundedDuckDB, schema: Schema, *, fields_at_once: int = FIELDS_AT_ONCE
    ) -> None:
        self._duck = duck
        self._schema = schema
        # The label comes first: the first table decides on it.
        order = sorted(range(len(schema.fields)), key=self._is_not_label)
        self._batches = [
            order[start : start + fields_at_once] for start in range(0, len(order), fields_at_once)
        ]
        names = [field.name for field in schema.fields]
        self._features = [names.index(one.name) for one in schema.features]

    def close(self) -> None:
        """Let go of memory."""
        self._duck.close()

    def load_csv(self, path: Path, columns: list[str]) -> int:
        """Stage a UTF-8 text table; return how many lines did not fit its columns.

        Raises
        ------
        InputError
            `readers.broken_quote`, `readers.broken_table`.
        """
        layout = self._schema.source
        named = {f"c{place}": "VARCHAR" for place in range(len(columns))}
        table = (
            f"read_csv({quote_text(str(path))}, auto_detect=false, "
            f"header={str(layout.header).lower()}, delim={quote_text(layout.delimiter)}, "
            f"quote='\"', escape='\"', columns={named!r}, "
            f"store_rejects=true, rejects_limit={BROKEN_LIMIT})"
        )
        cells = {name: f"c{place}" for place, name in enumerate(columns)}
        self._stage(table, cells, code="readers.broken_table")
        # A quotation mark that never closes swallows all that follows as one cell.
        quotes = "SELECT min(line) FROM reject_errors WHERE error_type = 'UNQUOTED VALUE'"
        line = self._duck.ask(quotes)[0][0]
        if line is not None:
            raise InputError("readers.broken_quote", line=int(line))
        return int(self._duck.ask("SELECT count(DISTINCT line) FROM reject_errors")[0][0])

    def parquet_columns(self, path: Path, *, file: str) -> dict[str, str]:
        """Return a Parquet file's columns with their types.

        Raises
        ------
        InputError
            `readers.bad_parquet`.
        """
        query = f"SELECT * FROM read_parquet({quote_text(str(path))})"  # noqa: S608 (quoted)
        return self._duck.describe(query, code="readers.bad_parquet", file=file)

    def load_parquet(self, path: Path, kinds: Mapping[str, str], *, file: str) -> None:
        """Stage a Parquet file, each cell as text, NaN as missing."""
        cells = {
            name: f"CAST(nullif({quote_name(name)}, 'nan') AS VARCHAR)"
            if kind in _FLOATS
            else f"CAST({quote_name(name)} AS VARCHAR)"
            for name, kind in kinds.items()
        }
        table = f"read_parquet({quote_text(str(path))})"
        self._stage(table, cells, code="readers.bad_parquet", file=file)

    def count(self, *, broken: int) -> Counts:
        """Count what the tables hold."""
        fates = dict(self._duck.ask("SELECT fate, count(*) FROM fates GROUP BY fate"))
        positives = self._duck.ask("SELECT count(*) FROM fates WHERE fate = 0 AND y = 1")
        distinct = self._duck.ask("SELECT count(*) FROM (SELECT whole FROM fates GROUP BY whole)")
        complete = int(fates.get(COMPLETE, 0))
        patients = [(complete, 0, 0)]
        if self._schema.patient:
            patients = self._duck.ask(
                "SELECT count(*) FILTER (is_first), count(*) FILTER (is_first AND repeated), "
                "count(*) FILTER (repeated) FROM numbered"
            )
        return Counts(
            rows=sum(fates.values()) + broken,
            broken=broken,
            complete=complete,
            no_label=int(fates.get(FATES["no_label"], 0)),
            no_patient=int(fates.get(FATES["no_patient"], 0)),
            no_value=int(fates.get(FATES["no_value"], 0)),
            positives=int(positives[0][0]),
            states=self._count_states(),
            distinct_rows=int(distinct[0][0]) + broken,
            patients=int(patients[0][0]),
            repeated_patients=int(patients[0][1]),
            rows_of_repeated=int(patients[0][2]),
        )

    def chunks(self, *, rows: int) -> Iterator[Chunk]:
        """Give out the complete rows in the source's order, a chunk at a time."""
        step = max(1, CELLS // len(self._features))
        for start in range(0, rows, step):
            within = f"WHERE rowid >= {start} AND rowid < {start + step} ORDER BY rowid"
            fates = self._duck.columns(f"SELECT fate, y FROM fates {within}")  # noqa: S608 (own names)
            kept = fates["fate"] == COMPLETE
            x = np.empty((int(kept.sum()), len(self._features)))
            for batch, places in enumerate(self._batches):
                wanted = [place for place in places if place in self._features]
                if wanted:
                    names = ", ".join(
                        f"coalesce(v{place}, 'nan'::DOUBLE) AS v{place}" for place in wanted
                    )
                    query = f"SELECT {names} FROM staged_{batch} {within}"  # noqa: S608 (own names)
                    found = self._duck.columns(query)
                    for place in wanted:
                        x[:, self._features.index(place)] = found[f"v{place}"][kept]
            group = None
            if self._schema.patient:
                query = f"SELECT number FROM numbered {within.replace('rowid', 'place')}"  # noqa: S608 (own names)
                group = self._duck.columns(query)["number"].astype(np.int64)
            yield Chunk(x=x, y=fates["y"][kept].astype(np.int8), group=group)

    def _stage(self, table: str, cells: Mapping[str, str], *, code: str, **facts: object) -> None:
        """Write the typed tables, each row's fate, and the patients' numbers."""
        for batch, places in enumerate(self._batches):
            query = staged_query(self._schema, places, table=table, cells=cells, first=batch == 0)
            create = f"CREATE TABLE staged_{batch} AS {query}"
            self._duck.run(create, step="reading", code=code, **facts)
        tables = [f"staged_{batch}" for batch in range(len(self._batches))]
        sizes = {self._duck.ask(f"SELECT count(*) FROM {one}")[0][0] for one in tables}  # noqa: S608 (own names)
        if len(sizes) > 1:  # tables are joined by position, so they must be alike
            raise StateError("readers.intake_failed", kind="position")
        self._duck.run(
            f"CREATE TABLE fates AS {fates_query(tables)}", step="counting", code=code, **facts
        )
        if self._schema.patient:
            self._duck.run(NUMBERING, step="counting", code=code, **facts)

    def _count_states(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for batch, places in enumerate(self._batches):
            asked = [
                f"count(*) FILTER (s{place} = {state})"
                for place in places
                for state in STATES.values()
            ]
            counts = iter(self._duck.ask(f"SELECT {', '.join(asked)} FROM staged_{batch}")[0])  # noqa: S608 (own names)
            for place in places:
                found[self._schema.fields[place].name] = {
                    name: int(next(counts)) for name in STATES
                }
        return found

    def _is_not_label(self, place: int) -> bool:
        return self._schema.fields[place].name != self._schema.label.field

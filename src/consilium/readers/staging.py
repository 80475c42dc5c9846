"""The source as typed tables on disk, counted, then given out in order.

A table takes a limited number of fields, because planning a query costs more
than its square; a wide source is read several times, and the tables are joined
by position. Row order is the source's throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError, StateError
from consilium.readers.arrays import Chunk
from consilium.readers.duck import BoundedDuckDB, quote_name, quote_text
from consilium.readers.expressions import COMPLETE, FATES, STATES, fates_query, staged_query
from consilium.readers.records import Counts, SourceLayout
from consilium.readers.schema import Schema

FIELDS_AT_ONCE = 40
CELLS = 4_000_000
"""Cells given out at once: 32 MB."""

ROWS_OF_TEXT = 10_000
"""Rows whose pictures' paths are held at once."""

BROKEN_LIMIT = 100_000

LABEL_DTYPES: Mapping[str, type[np.generic]] = {"number": np.float64, "classes": np.int16}
"""How labels are held while they are read, by kind; int8 for all others."""

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

_BROKEN = "readers.broken_table"
_FLOATS = ("FLOAT", "DOUBLE")


class Staging:
    """A source as tables of values and states.

    Parameters
    ----------
    duck : BoundedDuckDB
        Where they are kept.
    schema : Schema
    fields_at_once : int, optional
        Fields of one table, at least 2: the label and its time stand in the first.
    """

    def __init__(
        self, duck: BoundedDuckDB, schema: Schema, *, fields_at_once: int = FIELDS_AT_ONCE
    ) -> None:
        self._duck = duck
        self._schema = schema
        # The label comes first, then its time: the first table decides on them.
        order = sorted(range(len(schema.fields)), key=self._rank)
        self._batches = [
            order[start : start + fields_at_once] for start in range(0, len(order), fields_at_once)
        ]
        self._places = {field.name: place for place, field in enumerate(schema.fields)}
        self._columns = [self._places[one.name] for one in schema.columns]

    def close(self) -> None:
        """Let go of memory."""
        self._duck.close()

    def load_csv(
        self, path: Path, columns: list[str], *, layout: SourceLayout | None = None
    ) -> int:
        """Stage a UTF-8 text table; return how many lines did not fit its columns.

        `layout` is the schema's unless the table is one of our own.

        Raises
        ------
        InputError
            `readers.broken_quote`, `readers.broken_table`.
        """
        layout = layout or self._schema.source
        named = {f"c{place}": "VARCHAR" for place in range(len(columns))}
        table = (
            f"read_csv({quote_text(str(path))}, auto_detect=false, "
            f"header={str(layout.header).lower()}, delim={quote_text(layout.delimiter)}, "
            f"quote='\"', escape='\"', columns={named!r}, "
            f"store_rejects=true, rejects_limit={BROKEN_LIMIT})"
        )
        cells = {name: f"c{place}" for place, name in enumerate(columns)}
        self._stage(table, cells, code=_BROKEN)
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
            no_image=int(fates.get(FATES["no_image"], 0)),
            positives=int(positives[0][0]),
            states=self._count_states(),
            distinct_rows=int(distinct[0][0]) + broken,
            patients=int(patients[0][0]),
            repeated_patients=int(patients[0][1]),
            rows_of_repeated=int(patients[0][2]),
        )

    def chunks(self, *, rows: int) -> Iterator[Chunk]:
        """Give out the complete rows in the source's order, a chunk at a time."""
        schema, label = self._schema, LABEL_DTYPES.get(self._schema.label.kind, np.int8)
        step = max(1, CELLS // max(len(self._columns), 1))
        for start in range(0, rows, step):
            within = f"WHERE rowid >= {start} AND rowid < {start + step} ORDER BY rowid"
            fates = self._duck.columns(f"SELECT fate, y FROM fates {within}")  # noqa: S608 (own names)
            kept = fates["fate"] == COMPLETE
            found = {place: values[kept] for place, values in self._numbers(within).items()}
            group = None
            if schema.patient:
                query = f"SELECT number FROM numbered {within.replace('rowid', 'place')}"  # noqa: S608 (own names)
                group = self._duck.columns(query)["number"].astype(np.int64)
            x = np.empty((int(kept.sum()), len(self._columns)))
            for column, place in enumerate(self._columns):
                x[:, column] = found[place]
            yield Chunk(
                x=x,
                y=fates["y"][kept].astype(label),
                group=group,
                **{
                    part: found[self._places[name]]
                    for part, name in (
                        ("time", schema.label.time),
                        ("given", schema.split.column),
                        ("order", schema.split.order),
                    )
                    if name
                },
            )

    def cells(self, *, rows: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Give out, of each complete row, its place and the cells that lead to its pictures."""
        wanted = [self._places[one.name] for one in self._schema.pictures]
        for start in range(0, rows, ROWS_OF_TEXT):
            within = f"WHERE rowid >= {start} AND rowid < {start + ROWS_OF_TEXT} ORDER BY rowid"
            fates = self._duck.columns(f"SELECT fate FROM fates {within}")["fate"]  # noqa: S608 (own names)
            texts: dict[int, Sequence[object]] = {}
            for batch, places in enumerate(self._batches):
                here = [place for place in places if place in wanted]
                if here:
                    names = ", ".join(f"v{place}" for place in here)
                    query = f"SELECT {names} FROM staged_{batch} {within}"  # noqa: S608 (own names)
                    texts |= dict(zip(here, zip(*self._duck.ask(query), strict=True), strict=True))
            for row in np.flatnonzero(fates == COMPLETE).tolist():
                yield start + row, tuple(str(texts[place][row]) for place in wanted)

    def lose(self, places: Sequence[int]) -> None:
        """Leave out complete rows whose images cannot be read; number the patients anew."""
        if not places:
            return
        self._duck.run("CREATE TABLE lost (place BIGINT)", step="counting", code=_BROKEN)
        for start in range(0, len(places), ROWS_OF_TEXT):
            values = ", ".join(f"({place})" for place in places[start : start + ROWS_OF_TEXT])
            insert = f"INSERT INTO lost VALUES {values}"  # noqa: S608 (whole numbers)
            self._duck.run(insert, step="counting", code=_BROKEN)
        fate = f"CASE WHEN lost.place IS NULL THEN fate ELSE {FATES['no_image']} END"
        query = (
            f"CREATE TABLE settled AS SELECT CAST({fate} AS UTINYINT) AS fate, y, patient, whole "  # noqa: S608 (own names)
            "FROM fates LEFT JOIN lost ON fates.rowid = lost.place ORDER BY fates.rowid"
        )
        for step in (query, "DROP TABLE fates", "ALTER TABLE settled RENAME TO fates"):
            self._duck.run(step, step="counting", code=_BROKEN)
        if self._schema.patient:
            self._duck.run("DROP TABLE numbered", step="counting", code=_BROKEN)
            self._duck.run(NUMBERING, step="counting", code=_BROKEN)

    def _numbers(self, within: str) -> dict[int, npt.NDArray[np.float64]]:
        """Return some rows' numbers and categories by the field's place; NaN where none is."""
        needed = {self._places[name] for name in self._schema.needed}
        found: dict[int, npt.NDArray[np.float64]] = {}
        for batch, places in enumerate(self._batches):
            wanted = [place for place in places if place in {*self._columns, *needed}]
            if wanted:
                names = ", ".join(
                    f"coalesce(v{place}, 'nan'::DOUBLE) AS v{place}" for place in wanted
                )
                query = f"SELECT {names} FROM staged_{batch} {within}"  # noqa: S608 (own names)
                answer = self._duck.columns(query)
                found |= {place: answer[f"v{place}"] for place in wanted}
        return found

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

    def _rank(self, place: int) -> int:
        name, label = self._schema.fields[place].name, self._schema.label
        return (label.field, label.time).index(name) if name in (label.field, label.time) else 2

"""SQL that turns a source's cells into values, states and each row's fate.

Every cell arrives as text. The value is a number, a category's index or
nothing; the state says why it is nothing. Cells are only ever counted by
state, so no message can repeat one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consilium.readers.parts import comparable
from consilium.readers.records import Field, Label
from consilium.readers.schema import Schema

FINE, MISSING, UNPARSEABLE, OUTSIDE, UNKNOWN = range(5)
"""States of a cell. `OUTSIDE` keeps its value unless the field says otherwise."""

STATES = {
    "missing": MISSING,
    "unparseable": UNPARSEABLE,
    "out_of_range": OUTSIDE,
    "unknown_category": UNKNOWN,
}

BLANKS = " \t\r\n\u00a0\u3000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """SQL expressions over one column's trimmed text `text`."""

    value: str
    state: str


def quote_text(value: str) -> str:
    """Write an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def staged_query(schema: Schema, table: str, cells: Mapping[str, str]) -> str:
    """Write the query of the staged table.

    Its columns are `s<place>`, the state of each field; `v<place>`, the value
    of each feature; `y`, the label; `patient` and `whole`, hashes of patient id
    and row; and `fate`: `complete`, or the first reason why the row is left out.

    Parameters
    ----------
    schema : Schema
    table : str
        SQL of the source.
    cells : mapping of str to str
        SQL of a column's cell as text, by the column's name.
    """
    marks = schema.source.missing_marks
    fields = list(enumerate(schema.fields))
    every = [(f"{place}", cells[field.source]) for place, field in fields]
    every.append(("id", cells[schema.patient] if schema.patient else "'-'"))
    columns = [
        (place, _column(field, f"t{place}", number=f"n{place}", marks=marks))
        for place, field in fields
    ]
    # Each step stands in a query of its own, so that nothing is worked out twice.
    steps = [
        [f"{cell} AS c{place}" for place, cell in every],
        [f"{_bare(f'c{place}')} AS b{place}" for place, _ in every],
        [f"{_present(f'b{place}', marks)} AS t{place}" for place, _ in every],
        ["*", *(f"{_as_number(f't{place}')} AS n{place}" for place, _ in fields)],
        [
            *(f"CAST({one.state} AS UTINYINT) AS s{place}" for place, one in columns),
            *(f"{one.value} AS f{place}" for place, one in columns),
            f"hash({', '.join(f't{place}' for place, _ in every)}) AS whole",
            "tid",
        ],
        _chosen(schema),
    ]
    query = table
    for step in steps[:-1]:
        query = f"(SELECT {', '.join(step)} FROM {query})"  # noqa: S608 (literals are quoted)
    return f"SELECT {', '.join(steps[-1])} FROM {query}"  # noqa: S608 (literals are quoted)


def _chosen(schema: Schema) -> list[str]:
    names = [field.name for field in schema.fields]
    features = [f"f{names.index(one.name)}" for one in schema.features]
    label = names.index(schema.label.field)
    rule = _positive(schema.label, schema.fields[label], f"f{label}")
    lost = " OR ".join(f"{one} IS NULL" for one in features)
    return [
        *(f"s{place}" for place in range(len(names))),
        *(f"{one} AS v{place}" for place, one in enumerate(features)),
        f"CAST({rule} AS UTINYINT) AS y",
        "hash(tid) AS patient",
        "whole",
        f"CASE WHEN ({rule}) IS NULL THEN 'no_label' WHEN tid IS NULL THEN 'no_patient' "
        f"WHEN {lost} THEN 'no_value' ELSE 'complete' END AS fate",
    ]


def _bare(cell: str) -> str:
    """Return the cell's text without blanks around it.

    Trimming wide blanks is slow, and what reads as a number has none.
    """
    wide = f"trim({cell}, {quote_text(BLANKS)})"
    return f"CASE WHEN TRY_CAST({cell} AS DOUBLE) IS NULL THEN {wide} ELSE trim({cell}) END"


def _present(text: str, marks: tuple[str, ...]) -> str:
    """Return the text, or NULL when it is empty or a mark of a missing value."""
    known = ", ".join(quote_text(mark) for mark in ("", *(one.strip(BLANKS) for one in marks)))
    return f"CASE WHEN {text} IN ({known}) THEN NULL ELSE {text} END"


def _as_number(text: str) -> str:
    """Read a text as a number; NULL when it is none."""
    # DuckDB reads 1_000 as a number; no hospital's export means that.
    return f"CASE WHEN contains({text}, '_') THEN NULL ELSE TRY_CAST({text} AS DOUBLE) END"


def _column(field: Field, text: str, *, number: str, marks: tuple[str, ...]) -> Column:
    """Write value and state of a field's cell, given its text and that text as a number."""
    if field.kind == "number":
        return _number(field, text, number=number, marks=marks)
    if field.kind == "category":
        return _category(field, text, number=number)
    return Column(value=text, state=f"CASE WHEN {text} IS NULL THEN {MISSING} ELSE {FINE} END")


def _positive(label: Label, field: Field, value: str) -> str:
    """Write the label's rule over its field's value: TRUE, FALSE or NULL."""
    if field.kind == "number":
        operands = [repr(one) for one in label.values]
    elif field.kind == "category":
        operands = [str(field.categories.index(str(one))) for one in label.values]
    else:
        operands = [quote_text(str(one)) for one in label.values]
    if label.comparison == "in":
        return f"{value} IN ({', '.join(operands)})"
    return f"{value} {'=' if label.comparison == '==' else label.comparison} {operands[0]}"


def _number(field: Field, text: str, *, number: str, marks: tuple[str, ...]) -> Column:
    missing = [f"{text} IS NULL", f"isnan({number})"]
    # A mark such as -9 is also meant where the file writes -9.0.
    numeric = [repr(one) for one in map(comparable, marks) if isinstance(one, float)]
    if numeric:
        missing.append(f"{number} IN ({', '.join(numeric)})")
    bad = f"{number} IS NULL OR isinf({number})"
    outside = "FALSE"
    if field.range:
        outside = f"{number} NOT BETWEEN {field.range[0]!r} AND {field.range[1]!r}"
    lost = [*missing, bad, *([outside] if field.outside == "missing" else [])]
    return Column(
        value=f"CASE WHEN {' OR '.join(lost)} THEN NULL ELSE {number} END",
        state=(
            f"CASE WHEN {' OR '.join(missing)} THEN {MISSING} "
            f"WHEN {bad} THEN {UNPARSEABLE} WHEN {outside} THEN {OUTSIDE} ELSE {FINE} END"
        ),
    )


def _category(field: Field, text: str, *, number: str) -> Column:
    exact, numeric = [], []
    for place, category in enumerate(field.categories):
        exact.append(f"WHEN {quote_text(category.strip(BLANKS))} THEN {place}")
        as_number = comparable(category)
        if isinstance(as_number, float):
            numeric.append(f"WHEN {as_number!r} THEN {place}")
    other = f"CASE {number} {' '.join(numeric)} END" if numeric else "NULL"
    value = f"CASE {text} {' '.join(exact)} ELSE {other} END"
    return Column(
        value=f"CAST({value} AS DOUBLE)",
        state=(
            f"CASE WHEN {text} IS NULL THEN {MISSING} "
            f"WHEN ({value}) IS NULL THEN {UNKNOWN} ELSE {FINE} END"
        ),
    )

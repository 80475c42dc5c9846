"""SQL that turns a source's cells into values, states and each row's fate.

Every cell arrives as text. The value is a number, a category's index or
nothing; the state says why it is nothing. Cells are only ever counted by
state, so no message can repeat one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from consilium.readers.duck import quote_text
from consilium.readers.labels import RULED
from consilium.readers.parts import comparable
from consilium.readers.records import TENSORS, Field, Label
from consilium.readers.schema import Schema

FINE, MISSING, UNPARSEABLE, OUTSIDE, UNKNOWN = range(5)
"""States of a cell. `OUTSIDE` keeps its value unless the field says otherwise."""

STATES = {
    "missing": MISSING,
    "unparseable": UNPARSEABLE,
    "out_of_range": OUTSIDE,
    "unknown_category": UNKNOWN,
}

COMPLETE = 0
FATES = {"no_label": 1, "no_patient": 2, "no_value": 3, "no_image": 4}
"""What becomes of a row: complete, or the first reason why it is left out.

Whether an image can be read is known last, so `no_image` is written later.
"""

_LABEL_TYPES = {"number": "DOUBLE", "classes": "USMALLINT"}

BLANKS = " \t\r\n\u00a0\u3000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """SQL expressions over one column's trimmed text `text`."""

    value: str
    state: str


def staged_query(
    schema: Schema,
    places: list[int],
    *,
    table: str,
    cells: Mapping[str, str],
    first: bool,
) -> str:
    """Write the query of one staged table.

    Its columns are `s<place>` and `v<place>`, state and value of each field;
    `lost`, whether a feature that must have one has no value; `whole`, a hash of the row's texts;
    and in the first table `y`, the label, and `patient`, a hash of the id.

    Parameters
    ----------
    schema : Schema
    places : list of int
        Which fields the table takes; the first one takes the label.
    table : str
        SQL of the source.
    cells : mapping of str to str
        SQL of a column's cell as text, by the column's name.
    first : bool
        Whether this is the first table.
    """
    marks = schema.source.missing_marks
    every = [(f"{place}", cells[schema.fields[place].source]) for place in places]
    if first:
        every.append(("id", cells[schema.patient] if schema.patient else "'-'"))
    who = _patient(schema)
    columns = {
        place: _column(schema.fields[place], f"t{place}", number=f"n{place}", marks=marks)
        for place in places
    }
    # Each step stands in a query of its own, so that nothing is worked out twice.
    steps = [
        [f"{cell} AS c{place}" for place, cell in every],
        [f"{_bare(f'c{place}')} AS b{place}" for place, _ in every],
        [f"{_present(f'b{place}', marks)} AS t{place}" for place, _ in every],
        ["*", *(f"{_as_number(f't{place}')} AS n{place}" for place in places)],
        [
            *(f"CAST({one.state} AS UTINYINT) AS s{place}" for place, one in columns.items()),
            *(f"{one.value} AS v{place}" for place, one in columns.items()),
            f"hash({', '.join(f't{place}' for place, _ in every)}) AS whole",
            *(
                [f"CASE WHEN {who} IS NULL THEN NULL ELSE hash({who}) END AS patient"]
                if first
                else []
            ),
        ],
        _kept(schema, places, first=first),
    ]
    query = table
    for step in steps[:-1]:
        query = f"(SELECT {', '.join(step)} FROM {query})"  # noqa: S608 (literals are quoted)
    return f"SELECT {', '.join(steps[-1])} FROM {query}"  # noqa: S608 (literals are quoted)


def _patient(schema: Schema) -> str:
    """Write what of the id's text is the patient; NULL where the pattern finds nothing."""
    if not schema.patient_pattern:
        return "tid"
    pattern, group = quote_text(schema.patient_pattern), re.compile(schema.patient_pattern).groups
    return f"nullif(regexp_extract(tid, {pattern}, {group}), '')"


def fates_query(tables: list[str]) -> str:
    """Write the query that joins the staged tables by position and decides on each row."""
    lost = " OR ".join(f"{one}.lost" for one in tables)
    whole = ", ".join(f"{one}.whole" for one in tables)
    return (
        f"SELECT CAST(CASE WHEN y IS NULL THEN {FATES['no_label']} "  # noqa: S608 (own names)
        f"WHEN patient IS NULL THEN {FATES['no_patient']} "
        f"WHEN {lost} THEN {FATES['no_value']} ELSE {COMPLETE} END AS UTINYINT) AS fate, "
        f"y, patient, hash({whole}) AS whole FROM {' POSITIONAL JOIN '.join(tables)}"
    )


def _kept(schema: Schema, places: list[int], *, first: bool) -> list[str]:
    features = {one.name: one for one in schema.features}
    wanted = {*features, *schema.needed, *(one.name for one in schema.pictures)}
    named = [(place, schema.fields[place]) for place in places]
    # A gap in a column can be kept; without its image, or its side of the split, a row is none.
    needed = [
        f"v{place}"
        for place, one in named
        if (one.name in features and (schema.missing != "keep" or one.kind in TENSORS))
        or one.name in (schema.split.column, schema.split.order)
    ]
    kept = [
        *(f"s{place}" for place in places),
        *(f"v{place}" for place, one in named if one.name in wanted),
        f"{' OR '.join(f'{one} IS NULL' for one in needed) or 'FALSE'} AS lost",
        "whole",
    ]
    if first:
        kept += [f"CAST({_target(schema, places)} AS {_label_type(schema.label)}) AS y", "patient"]
    return kept


def _target(schema: Schema, places: list[int]) -> str:
    """Write what the label is: 0 or 1, a class's index, a number; NULL where it is not known."""
    label, value = schema.label, f"v{places[0]}"
    if label.kind == "mask":
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE 0 END"
    if label.kind not in RULED:
        return value
    rule = _positive(label, schema.fields[places[0]], value)
    if label.kind == "binary":
        return rule
    time = f"v{next(place for place in places if schema.fields[place].name == label.time)}"
    return f"CASE WHEN {time} >= 0 THEN {rule} ELSE NULL END"


def _label_type(label: Label) -> str:
    return _LABEL_TYPES.get(label.kind, "UTINYINT")


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

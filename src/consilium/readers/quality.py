"""The quality report: what the steward learns about a source before anyone else does.

It holds counts and column names, never a value. Counts below ten are for the
hospital's own eyes; `public_part` is what a catalogue may show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consilium.kernel.errors import InputError, texts
from consilium.readers.labels import RULED
from consilium.readers.picture_report import public_pictures
from consilium.readers.records import Counts, Field
from consilium.readers.schema import Schema
from consilium.readers.sources import Scan, name_some
from consilium.readers.split import DRAWN_BY_CLASS

MOSTLY = 0.5
"""Above this share of bad cells a column is wrong, not merely untidy."""

BROKEN_SHARE = 0.01
"""Above this share of lines that do not fit, the file is refused."""

LEAST_ROWS = 10
"""Fewest complete rows of a dataset."""

SMALLEST_COUNT = 10
"""Smaller counts do not leave the hospital."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the file's columns compare with the schema's: names on one side only."""

    unexpected: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What the array file holds: rows on both sides by class, and dead columns.

    `train` and `held_out` count rows by class (negative and positive; censored
    and event; `rows` where there are no classes); `constant` names features
    with one value in all rows; `straddling` counts patients on both sides;
    `pictures` is `picture_report.describe_pictures`'s.
    """

    train: Mapping[str, int]
    held_out: Mapping[str, int]
    stratified: bool
    constant: tuple[str, ...]
    straddling: int = 0
    pictures: Mapping[str, Any] = field(default_factory=dict)


def compare_columns(found: Sequence[str], schema: Schema) -> Columns:
    """Compare columns with the schema; refuse a file that lacks what is needed.

    Raises
    ------
    InputError
        `readers.label_missing`, `readers.wrong_columns`.
    """
    needed = [one.source for one in schema.fields] + ([schema.patient] if schema.patient else [])
    known = {*needed, *schema.drop}
    missing = sorted(set(needed) - set(found))
    unexpected = tuple(name for name in found if name not in known)
    label = schema.get_field(schema.label.field).source
    if missing == [label]:
        raise InputError("readers.label_missing", column=label)
    if missing:
        raise InputError(
            "readers.wrong_columns",
            missing=name_some(missing),
            unexpected=name_some(unexpected) or "-",
        )
    absent = tuple(name for name in schema.drop if name not in found)
    return Columns(unexpected=unexpected, absent=absent)


def check_counts(counts: Counts, schema: Schema, *, file: str) -> None:
    """Refuse a table that cannot be what the schema says.

    1. no rows; 2. broken lines; 3. columns of another type; 4. missing values
    where none may be; 5. too few complete rows.

    Raises
    ------
    InputError
        `readers.empty_file`, `readers.broken_lines`, `readers.wrong_types`,
        `readers.unknown_categories`, `readers.missing_refused` or
        `readers.too_few_rows`.
    """
    # 1.
    if not counts.rows:
        raise InputError("readers.empty_file", file=file)
    # 2.
    if counts.broken > BROKEN_SHARE * counts.rows:
        raise InputError("readers.broken_lines", count=counts.broken, rows=counts.rows)
    # 3.
    for state, code in (
        ("unparseable", "readers.wrong_types"),
        ("unknown_category", "readers.unknown_categories"),
    ):
        wrong = _mostly(counts, schema.fields, state)
        if wrong:
            raise InputError(code, columns=_with_counts(counts, wrong, state))
    # 4.
    lost = counts.no_label + counts.no_patient + counts.no_value
    if schema.missing == "refuse" and lost:
        raise InputError(
            "readers.missing_refused",
            count=lost,
            columns=_with_counts(counts, _having(counts, schema.fields, "missing"), "missing"),
        )
    # 5.
    if counts.complete < LEAST_ROWS:
        raise InputError("readers.too_few_rows", rows=counts.complete, least=LEAST_ROWS)


def make_report(
    schema: Schema, *, scan: Scan, columns: Columns, counts: Counts, sides: Sides
) -> dict[str, Any]:
    """Write the report as plain JSON.

    Returns
    -------
    dict
        `source`, `rows` (read, complete, dropped by reason), `fields` (counts
        by field), `duplicates`, `patients`, `classes` (by part), `split`,
        `drift` (column names), `warnings` (code and both sentences); with
        pictures also `images`.
    """
    further = {"images": dict(sides.pictures)} if sides.pictures else {}
    outside = _mostly(counts, schema.fields, "out_of_range")
    return {
        "version": 1,
        "source": {
            "kind": scan.kind,
            "encoding": scan.encoding,
            "bytes": scan.size,
            "fingerprint": scan.fingerprint,
        },
        "rows": {
            "read": counts.rows,
            "complete": counts.complete,
            "dropped": {
                "broken_line": counts.broken,
                "no_label": counts.no_label,
                "no_patient": counts.no_patient,
                "missing_value": counts.no_value,
                **({"unfit_image": counts.no_image} if sides.pictures else {}),
            },
        },
        "fields": {
            one.name: {"kind": one.kind, **_states(one, counts, sides)} for one in schema.fields
        },
        "duplicates": {
            "rows": counts.rows - counts.distinct_rows,
            "patients_with_several_rows": counts.repeated_patients,
            "rows_of_these_patients": counts.rows_of_repeated,
        },
        "patients": counts.patients,
        "classes": _classes(schema, sides),
        "split": _split(schema, sides),
        "drift": {
            "unexpected_columns": list(columns.unexpected),
            "absent_columns": list(columns.absent),
            "constant": list(sides.constant),
            "mostly_outside": [one.name for one in outside],
        },
        **further,
        "warnings": _warnings(schema, scan=scan, columns=columns, counts=counts, sides=sides),
    }


def public_part(report: Mapping[str, Any], *, smallest: int = SMALLEST_COUNT) -> dict[str, Any]:
    """Return what of a report a catalogue may show.

    Counts below `smallest` become null, and so does what would let them be
    worked out: a class count is shown only if all classes reach `smallest`.
    Shares of missing cells are rounded to tenths. Duplicates, dropped rows,
    unexpected column names and warnings stay at the hospital.

    Parameters
    ----------
    report : mapping
        As `make_report` gave it.
    smallest : int, optional
        Smallest count shown.
    """
    rows, classes = report["rows"], report["classes"]
    both = {name: count + classes["held_out"][name] for name, count in classes["train"].items()}
    shown = all(count >= smallest for count in both.values())
    images = public_pictures(report.get("images", {}), smallest=smallest)
    return {
        "rows": rows["complete"] if rows["complete"] >= smallest else None,
        "patients": report["patients"] if report["patients"] >= smallest else None,
        "classes": {name: count if shown else None for name, count in both.items()},
        "fields": {
            name: {
                "kind": field["kind"],
                "missing_share": round(field["missing"] / max(rows["read"], 1), 1),
            }
            for name, field in report["fields"].items()
        },
        **({"images": images} if images else {}),
    }


def _states(one: Field, counts: Counts, sides: Sides) -> Mapping[str, int]:
    """Return a field's counts; pictures that cannot be used count as unreadable."""
    states = counts.states[one.name]
    if one.name not in sides.pictures:
        return states
    return {**states, "unparseable": sum(sides.pictures[one.name]["unfit"].values())}


def _classes(schema: Schema, sides: Sides) -> dict[str, Any]:
    kind = schema.label.kind
    told = {"kind": kind} if kind != "binary" else {}
    named = {"positive": schema.label.positive} if kind in RULED else {}
    return {**told, **named, "train": dict(sides.train), "held_out": dict(sides.held_out)}


def _split(schema: Schema, sides: Sides) -> dict[str, Any]:
    split, by = schema.split, "patient" if schema.patient else "row"
    if split.column or split.order:
        by = "column" if split.column else "order"
    told = {"patients_on_both_sides": sides.straddling} if sides.straddling else {}
    return {"by": by, "stratified": sides.stratified, **told}


def _warnings(
    schema: Schema, *, scan: Scan, columns: Columns, counts: Counts, sides: Sides
) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []

    def warn(word: str, applies: object, **facts: object) -> None:
        if applies:
            found.append(_sentence(f"readers.warn_{word}", facts))

    def warn_cells(word: str, fields: Sequence[Field], state: str) -> None:
        warn(word, fields, columns=_with_counts(counts, fields, state))

    lost = counts.rows - counts.complete
    outside = _mostly(counts, schema.fields, "out_of_range")
    untidy = [one for one in _having(counts, schema.fields, "out_of_range") if one not in outside]
    warn("encoding_guessed", scan.guessed, encoding=scan.encoding)
    warn("unexpected_columns", columns.unexpected, columns=name_some(columns.unexpected))
    warn("broken_lines", counts.broken, count=counts.broken)
    warn("rows_dropped", lost, count=lost, rows=counts.rows)
    warn_cells("missing", _having(counts, schema.fields, "missing"), "missing")
    warn_cells("unparseable", _having(counts, schema.fields, "unparseable"), "unparseable")
    warn_cells(
        "unknown_category", _having(counts, schema.fields, "unknown_category"), "unknown_category"
    )
    warn_cells("out_of_range", untidy, "out_of_range")
    warn_cells("mostly_outside", outside, "out_of_range")
    warn("constant", sides.constant, columns=name_some(sides.constant))
    repeated = counts.rows - counts.distinct_rows
    warn("duplicate_rows", repeated, count=repeated)
    held_out = sum(sides.held_out.values())
    alike = [_is_one_class(schema, one) for one in (_together(sides), sides.held_out)]
    warn("one_class", alike[0], rows=counts.complete)
    warn("one_class_held_out", alike[1] and not alike[0], rows=held_out)
    word = "patients_in_time" if schema.split.order else "patients_astride"
    warn(word, sides.straddling, count=sides.straddling)
    return found + _picture_warnings(sides)


def _picture_warnings(sides: Sides) -> list[dict[str, str]]:
    found = []
    for name, one in sides.pictures.items():
        unfit = sum(one["unfit"].values())
        same, near = (one.get(key, {"all": 0, "held_out": 0}) for key in ("copies", "near_copies"))
        leak = max(same["held_out"], near["held_out"])
        for word, count in (
            ("unfit_images", unfit),
            ("copied_images", max(same["all"], near["all"])),
            ("leaking_images", leak),
        ):
            if count:
                found.append(_sentence(f"readers.warn_{word}", {"field": name, "count": count}))
    return found


def _together(sides: Sides) -> dict[str, int]:
    return {name: count + sides.held_out[name] for name, count in sides.train.items()}


def _is_one_class(schema: Schema, counts: Mapping[str, int]) -> bool:
    """Say whether rows that could belong to several classes belong to one."""
    if schema.label.kind not in DRAWN_BY_CLASS:
        return False
    return sum(count > 0 for count in counts.values()) <= 1


def _sentence(code: str, facts: Mapping[str, object]) -> dict[str, str]:
    entry = texts()[code]
    return {"code": code} | {one: str(entry[one]).format(**facts) for one in ("en", "zh")}


def _having(counts: Counts, fields: Sequence[Field], state: str) -> list[Field]:
    return [one for one in fields if counts.states[one.name][state]]


def _mostly(counts: Counts, fields: Sequence[Field], state: str) -> list[Field]:
    """Return fields in which this state fills most of the cells that are not missing."""
    staged = counts.rows - counts.broken
    return [
        one
        for one in fields
        if counts.states[one.name][state]
        > MOSTLY * max(staged - counts.states[one.name]["missing"], 0)
    ]


def _with_counts(counts: Counts, fields: Sequence[Field], state: str) -> str:
    return name_some([f"{one.source} ({counts.states[one.name][state]})" for one in fields])

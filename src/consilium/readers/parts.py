"""The parts of a schema, each read from its table and checked by itself.

What needs several parts at once (names that must lead somewhere, a rule that
must fit its field) is checked in `readers.schema`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from consilium.kernel.tables import Section, is_number
from consilium.readers.keys import bad, read_distinct, read_share, read_span, read_word
from consilium.readers.records import COMPARISONS, Field, Label, SourceLayout, Split

KINDS = ("number", "category", "text")
ENCODINGS = ("auto", "utf-8", "gbk", "gb18030")

_DELIMITER = re.compile(r"[\t !#-~]")
_RULE = re.compile(r"(>=|<=|==|>|<|in\b)\s*(.+)", re.DOTALL)


def read_source(keys: Section) -> SourceLayout:
    """Read `[source]`: how the file is written."""
    layout = SourceLayout(
        header=keys.flag("header", default=True),
        names=read_distinct(keys, "names"),
        delimiter=keys.text("delimiter", default=","),
        encoding=keys.choice("encoding", ENCODINGS, default="auto"),
        missing_marks=read_distinct(keys, "missing_marks"),
    )
    keys.end()
    if not _DELIMITER.fullmatch(layout.delimiter):
        raise bad(keys, "delimiter", '"," | ";" | "\\t" | "|"')
    if layout.header == bool(layout.names):
        raise bad(keys, "names", 'header = true | header = false, names = ["...", "..."]')
    return layout


def read_field(keys: Section) -> Field:
    """Read one of `[[fields]]`."""
    name = read_word(keys, "name")
    field = Field(
        name=name,
        kind=keys.choice("kind", KINDS),
        unit=keys.text("unit", default=""),
        range=read_span(keys, "range"),
        outside=keys.choice("outside", ("keep", "missing"), default="keep"),
        categories=read_distinct(keys, "categories"),
        code=keys.text("code", default=""),
        source=keys.text("source", default=name),
    )
    keys.end()
    if (field.kind == "category") != (len(field.categories) > 0):
        raise bad(keys, "categories", 'kind = "category", categories = ["...", "..."]')
    if len({comparable(one) for one in field.categories}) != len(field.categories):
        raise bad(keys, "categories", '"1" != "1.0"')
    if field.range and field.kind != "number":
        raise bad(keys, "range", 'kind = "number"')
    if field.outside == "missing" and not field.range:
        raise bad(keys, "outside", "range = [low, high]")
    return field


def read_label(keys: Section) -> Label:
    """Read `[label]`: which cases are positive."""
    rule = read_word(keys, "rule")
    found = _RULE.fullmatch(rule.strip())
    comparison, operand = found.groups() if found else ("", "")
    try:
        value = json.loads(operand)
    except (ValueError, RecursionError):
        value = None
    values = value if isinstance(value, list) and comparison == "in" else [value]
    known = comparison in COMPARISONS or (comparison == "in" and isinstance(value, list))
    if not known or not values or not all(_is_plain(one) for one in values):
        raise bad(keys, "rule", '"> 0" | \'== "GBM"\' | \'in ["a", "b"]\'')
    label = Label(
        field=read_word(keys, "field"),
        comparison=comparison,
        values=tuple(one if isinstance(one, str) else float(one) for one in values),
        positive=keys.text("positive", default="positive"),
    )
    keys.end()
    return label


def read_split(keys: Section) -> Split:
    """Read `[split]`: which patients are held out."""
    train_size, held_out = read_share(keys, "train_size"), read_share(keys, "held_out")
    split = Split(
        train_size=0.66 if train_size is None and held_out is None else train_size,
        held_out=held_out,
        seed=keys.whole("seed", low=0, high=2**32 - 1, default=43),
        stratify=keys.flag("stratify", default=True),
    )
    keys.end()
    if train_size is not None and held_out is not None:
        raise bad(keys, "held_out", "train_size | held_out")
    return split


def write_rule(label: Label) -> str:
    """Write a label's rule as its schema has it: `> 0`, `== "GBM"`, `in ["a"]`."""
    values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in label.values]
    operand = values if label.comparison == "in" else values[0]
    return f"{label.comparison} {json.dumps(operand, ensure_ascii=False)}"


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """Turn tuples into lists and leave out what is not there."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in record.items()
        if value is not None
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, str) or is_number(value)


def comparable(category: str) -> float | str:
    """Return what a category is compared by: its number if it has one."""
    try:
        number = float(category)
    except ValueError:
        return category.strip()
    return number if math.isfinite(number) else category.strip()

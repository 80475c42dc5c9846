"""A schema's `[label]`: what is to be learned, read and checked by itself."""

from __future__ import annotations

import json
import re
from typing import Any

from consilium.kernel.tables import Section, is_number
from consilium.readers.keys import bad, read_distinct, read_word
from consilium.readers.records import COMPARISONS, TARGETS, Label

RULED = ("binary", "survival")
"""Kinds of label that a rule decides."""

_RULE = re.compile(r"(>=|<=|==|>|<|in\b)\s*(.+)", re.DOTALL)


def read_label(keys: Section) -> Label:
    """Read `[label]`; each kind knows its own keys."""
    kind = keys.choice("kind", TARGETS, default="binary")
    comparison, values = _read_rule(keys) if kind in RULED else ("", ())
    label = Label(
        kind=kind,
        field=read_word(keys, "field"),
        comparison=comparison,
        values=values,
        positive=keys.text("positive", default="positive") if kind in RULED else "positive",
        classes=read_distinct(keys, "classes") if kind == "classes" else (),
        time=read_word(keys, "time") if kind == "survival" else "",
        threshold=keys.number("threshold", low=0, high=65_535, default=0.0)
        if kind == "mask"
        else 0.0,
    )
    keys.end()
    return label


def write_label(label: Label) -> dict[str, Any]:
    """Write a label as its schema has it; `kind` stands there unless it is `binary`."""
    record: dict[str, Any] = {} if label.kind == "binary" else {"kind": label.kind}
    record["field"] = label.field
    if label.kind in RULED:
        record |= {"rule": write_rule(label), "positive": label.positive}
    if label.kind == "classes":
        record["classes"] = list(label.classes)
    if label.kind == "survival":
        record["time"] = label.time
    if label.kind == "mask":
        record["threshold"] = label.threshold
    return record


def write_rule(label: Label) -> str:
    """Write a label's rule as its schema has it: `> 0`, `== "GBM"`, `in ["a"]`."""
    values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in label.values]
    operand = values if label.comparison == "in" else values[0]
    return f"{label.comparison} {json.dumps(operand, ensure_ascii=False)}"


def _read_rule(keys: Section) -> tuple[str, tuple[float | str, ...]]:
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
    return comparison, tuple(one if isinstance(one, str) else float(one) for one in values)


def _is_plain(value: object) -> bool:
    return isinstance(value, str) or is_number(value)

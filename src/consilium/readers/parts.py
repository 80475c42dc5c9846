"""A schema's `[source]` and `[split]`, each read from its table and checked by itself.

What needs several parts at once (names that must lead somewhere, a rule that
must fit its field) is checked in `readers.schema`.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from consilium.kernel.tables import Section
from consilium.readers.keys import bad, plain, read_distinct, read_share
from consilium.readers.records import SourceLayout, Split

ENCODINGS = ("auto", "utf-8", "gbk", "gb18030")
PART = "{part}"
"""In the name of a member: stands for each word of `parts`; alone, for the word itself."""

_DELIMITER = re.compile(r"[\t !#-~]")
_ONLY_IF_GIVEN = ("images", "parts", "column", "held_out_in", "order")
"""Keys that a record has only where they say something, as in schemas before there were such."""


def read_source(keys: Section) -> SourceLayout:
    """Read `[source]`: how the file is written."""
    layout = SourceLayout(
        header=keys.flag("header", default=True),
        names=read_distinct(keys, "names"),
        delimiter=keys.text("delimiter", default=","),
        encoding=keys.choice("encoding", ENCODINGS, default="auto"),
        missing_marks=read_distinct(keys, "missing_marks"),
        images=keys.text("images", default=""),
        parts=read_distinct(keys, "parts"),
    )
    keys.end()
    if not _DELIMITER.fullmatch(layout.delimiter):
        raise bad(keys, "delimiter", '"," | ";" | "\\t" | "|"')
    if layout.header == bool(layout.names):
        raise bad(keys, "names", 'header = true | header = false, names = ["...", "..."]')
    folder = PurePosixPath(layout.images)
    if folder.is_absolute() or ".." in folder.parts or "\\" in layout.images:
        raise bad(keys, "images", '"images" | "images/fundus"')
    return layout


def read_split(keys: Section) -> Split:
    """Read `[split]`: which patients are held out."""
    train_size, held_out = read_share(keys, "train_size"), read_share(keys, "held_out")
    split = Split(
        train_size=0.66 if train_size is None and held_out is None else train_size,
        held_out=held_out,
        seed=keys.whole("seed", low=0, high=2**32 - 1, default=43),
        stratify=keys.flag("stratify", default=True),
        column=keys.text("column", default=""),
        held_out_in=read_distinct(keys, "held_out_in"),
        order=keys.text("order", default=""),
    )
    keys.end()
    if train_size is not None and held_out is not None:
        raise bad(keys, "held_out", "train_size | held_out")
    if split.column and split.order:
        raise bad(keys, "order", "column | order")
    if bool(split.column) != bool(split.held_out_in):
        raise bad(keys, "held_out_in", 'column = "...", held_out_in = ["..."]')
    return split


def write_part(part: SourceLayout | Split) -> dict[str, Any]:
    """Write `[source]` or `[split]` as the schema has it."""
    record = plain(asdict(part))
    return {key: value for key, value in record.items() if value or key not in _ONLY_IF_GIVEN}


def comparable(category: str) -> float | str:
    """Return what a category is compared by: its number if it has one."""
    try:
        number = float(category)
    except ValueError:
        return category.strip()
    return number if math.isfinite(number) else category.strip()

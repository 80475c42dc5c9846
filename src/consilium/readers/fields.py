"""One of a schema's `[[fields]]`: read from its table, and written as it was.

Each kind knows its own keys, so that a shape on a number or a range on an
image is refused like any other misspelling.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from consilium.kernel.tables import Section
from consilium.readers.keys import bad, plain, read_distinct, read_span, read_word
from consilium.readers.parts import comparable
from consilium.readers.records import KINDS, TABLE, TENSORS, Field

INTERPOLATIONS = ("nearest", "area", "bilinear", "bicubic")
FITS = ("pad", "stretch")
DEPTHS = (8, 16)
LONGEST = 16_384
"""Greatest side of an image after reading; a signal may be 64 times as long."""

_IMAGE_SHAPE = "[height, width, 1 | 3]"
_SIGNAL_SHAPE = "[length, channels]"
_COMMON = ("name", "kind", "code", "source", "modality", "shape", "fit")
_OWN = {"image": ("depth", "interpolation"), "signal": ("unit",)}
_TENSOR_ONLY = ("modality", "shape", "depth", "fit", "interpolation")


def read_field(keys: Section) -> Field:
    """Read one of `[[fields]]`."""
    name = read_word(keys, "name")
    kind = keys.choice("kind", KINDS)
    field = _read_tensor(keys, name, kind) if kind in TENSORS else _read_column(keys, name, kind)
    keys.end()
    return field


def write_field(field: Field) -> dict[str, Any]:
    """Write a field as its schema has it.

    A column's record has a modality only where it is not `table`: schemas of
    columns alone keep the fingerprint that they had before there were others.
    """
    record = plain(asdict(field))
    if field.kind in TENSORS:
        return {key: record[key] for key in (*_COMMON, *_OWN[field.kind])}
    kept = {key: value for key, value in record.items() if key not in _TENSOR_ONLY}
    return kept if field.modality == TABLE else kept | {"modality": field.modality}


def _read_column(keys: Section, name: str, kind: str) -> Field:
    field = Field(
        name=name,
        kind=kind,
        unit=keys.text("unit", default=""),
        range=read_span(keys, "range"),
        outside=keys.choice("outside", ("keep", "missing"), default="keep"),
        categories=read_distinct(keys, "categories"),
        code=keys.text("code", default=""),
        source=keys.text("source", default=name),
        modality=TABLE if kind == "text" else keys.line("modality", default=TABLE),
    )
    if (field.kind == "category") != (len(field.categories) > 0):
        raise bad(keys, "categories", 'kind = "category", categories = ["...", "..."]')
    if len({comparable(one) for one in field.categories}) != len(field.categories):
        raise bad(keys, "categories", '"1" != "1.0"')
    if field.range and field.kind != "number":
        raise bad(keys, "range", 'kind = "number"')
    if field.outside == "missing" and not field.range:
        raise bad(keys, "outside", "range = [low, high]")
    return field


def _read_tensor(keys: Section, name: str, kind: str) -> Field:
    is_image = kind == "image"
    depth = keys.whole("depth", default=8) if is_image else 8
    if depth not in DEPTHS:
        raise bad(keys, "depth", "8 | 16")
    return Field(
        name=name,
        kind=kind,
        unit="" if is_image else keys.text("unit", default=""),
        code=keys.text("code", default=""),
        source=keys.text("source", default=name),
        modality=keys.line("modality", default=name),
        shape=_read_shape(keys, is_image=is_image),
        depth=depth,
        fit=keys.choice("fit", FITS, default="pad"),
        interpolation=keys.choice("interpolation", INTERPOLATIONS, default="bilinear")
        if is_image
        else "bilinear",
    )


def _read_shape(keys: Section, *, is_image: bool) -> tuple[int, ...]:
    allowed = _IMAGE_SHAPE if is_image else _SIGNAL_SHAPE
    value = keys.take("shape")
    if not isinstance(value, list | tuple) or len(value) != (3 if is_image else 2):
        raise bad(keys, "shape", allowed)
    if not all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in value):
        raise bad(keys, "shape", allowed)
    *sides, channels = value
    if max(sides) > (LONGEST if is_image else 64 * LONGEST) or channels > 1024:
        raise bad(keys, "shape", f"{allowed}, <= {LONGEST}")
    if is_image and channels not in (1, 3):
        raise bad(keys, "shape", allowed)
    return tuple(value)

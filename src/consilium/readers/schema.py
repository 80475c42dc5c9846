"""The schema: what the columns of a source mean, in the steward's own words.

It is written once in TOML beside the data, checked strictly, and travels as
JSON with the dataset. Recipes learn from it which column of the arrays is what.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from consilium.kernel.canonical import Digest, Json, digest_json
from consilium.kernel.errors import InputError, NotFoundError
from consilium.kernel.tables import Section
from consilium.readers.fields import read_field, write_field
from consilium.readers.keys import bad, open_schema, read_distinct, read_pattern
from consilium.readers.labels import RULED, read_label, write_label
from consilium.readers.parts import read_source, read_split, write_part
from consilium.readers.records import TENSORS, Feature, Field, Label, SourceLayout, Split, Target

_LABEL_KINDS = {"classes": "category", "number": "number", "mask": "image"}
"""Which kind of field each kind of label without a rule stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Names, types, units and codes of a dataset, and how to read it.

    Make one with `from_toml` or `from_record`, which check it; the plain
    constructor does not.

    Attributes
    ----------
    fields : tuple of Field
        Every column that is read, label included.
    label : Label
        What is to be learned of a case.
    source : SourceLayout
        How the file is written.
    drop : tuple of str
        Columns of the file that are known and left alone.
    missing : str
        What rows with a missing feature do: `drop` themselves, stay with a gap
        (`keep`), or `refuse` the file.
    patient : str
        Column with the patient id; empty when each row is a patient of its own.
    patient_pattern : str
        Regular expression of what in that column is the patient: its one group,
        or all that it matches.
    split : Split
        Which patients are held out.
    order : tuple of str
        Names of all features in the order of the arrays' columns, images and
        signals after them; empty means the order of `fields`.
    title : str
        For people.
    """

    fields: tuple[Field, ...]
    label: Label
    source: SourceLayout = field(default_factory=SourceLayout)
    drop: tuple[str, ...] = ()
    missing: str = "drop"
    patient: str = ""
    patient_pattern: str = ""
    split: Split = field(default_factory=Split)
    order: tuple[str, ...] = ()
    title: str = ""

    @classmethod
    def from_toml(cls, text: str, *, file: str = "schema") -> Schema:
        """Read and check a schema.

        Parameters
        ----------
        text : str
            TOML. The page `docs/schema.md` lists its keys.
        file : str, optional
            What errors call it.

        Raises
        ------
        InputError
            `readers.schema_unreadable`, `readers.schema_unknown_key`,
            `readers.schema_missing_key` or `readers.schema_bad_value`, each
            naming file, key and remedy.
        """
        try:
            table = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError("readers.schema_unreadable", file=file, detail=str(error)) from error
        return cls.from_record(table, file=file)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, file: str = "schema") -> Schema:
        """Read and check what `as_record` gave. Raises as `from_toml` does."""
        keys = open_schema(record, file=file)
        schema = cls(
            title=keys.text("title", default=""),
            source=read_source(keys.section("source", optional=True)),
            missing=keys.choice("missing", ("drop", "keep", "refuse"), default="drop"),
            drop=read_distinct(keys, "drop"),
            patient=keys.text("patient", default=""),
            patient_pattern=read_pattern(keys, "patient_pattern"),
            order=read_distinct(keys, "order"),
            fields=tuple(read_field(one) for one in keys.sections("fields")),
            label=read_label(keys.section("label")),
            split=read_split(keys.section("split", optional=True)),
        )
        keys.end()
        _check_names(schema, keys)
        _check_label(schema, keys)
        _check_split(schema, keys)
        return schema

    def as_record(self) -> dict[str, Any]:
        """Give the schema as plain JSON, in the shape of its TOML."""
        pattern = {"patient_pattern": self.patient_pattern} if self.patient_pattern else {}
        return pattern | {
            "title": self.title,
            "source": write_part(self.source),
            "missing": self.missing,
            "drop": list(self.drop),
            "patient": self.patient,
            "order": list(self.order),
            "fields": [write_field(one) for one in self.fields],
            "label": write_label(self.label),
            "split": write_part(self.split),
        }

    @property
    def digest(self) -> Digest:
        """Fingerprint of the schema's canonical JSON."""
        record: Json = self.as_record()
        return digest_json(record)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What a study may take: the columns of `x` in order, then images and signals.

        The label, the patient id, text, and what only the split or the label's
        time needs are none.
        """
        apart = {self.label.field, *self.needed}
        found = {
            one.name: Feature(
                name=one.name,
                kind=one.kind,
                unit=one.unit,
                categories=one.categories,
                modality=one.modality,
                shape=one.shape,
            )
            for one in self.fields
            if one.kind != "text" and one.name not in apart and one.source != self.patient
        }
        ordered = [found[name] for name in self.order or found]
        return tuple(sorted(ordered, key=lambda one: one.kind in TENSORS))

    @property
    def columns(self) -> tuple[Feature, ...]:
        """The columns of `x` in order: numbers and categories."""
        return tuple(one for one in self.features if one.kind not in TENSORS)

    @property
    def tensors(self) -> tuple[Field, ...]:
        """Images and signals with a member of their own in the array file, in order."""
        return tuple(self.get_field(one.name) for one in self.features if one.kind in TENSORS)

    @property
    def pictures(self) -> tuple[Field, ...]:
        """All fields whose cells lead to a picture or signal: the tensors, then the mask."""
        mask = [self.get_field(self.label.field)] if self.label.kind == "mask" else []
        return (*self.tensors, *mask)

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of fields that each case must have and that are neither feature nor label."""
        named = (self.label.time, self.split.column, self.split.order)
        return tuple(name for name in named if name)

    @property
    def target(self) -> Target:
        """What is learned, as a study and a recipe need to know it."""
        label = self.label
        if label.kind == "classes":
            classes = label.classes or self.get_field(label.field).categories
            return Target(kind=label.kind, classes=classes)
        measured = {"number": label.field, "survival": label.time}.get(label.kind, "")
        unit = self.get_field(measured).unit if measured else ""
        return Target(kind=label.kind, unit=unit)

    def get_field(self, name: str) -> Field:
        """Return the field of that name.

        Raises
        ------
        NotFoundError
            `readers.no_field`.
        """
        for one in self.fields:
            if one.name == name:
                return one
        raise NotFoundError("readers.no_field", field=name)


def load_schema(path: Path) -> Schema:
    """Read a schema from a TOML file.

    Raises
    ------
    InputError
        `readers.schema_no_file`, or as `Schema.from_toml` does.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError("readers.schema_no_file", file=path.name) from error
    except UnicodeDecodeError as error:
        raise InputError("readers.schema_unreadable", file=path.name, detail="not UTF-8") from error
    return Schema.from_toml(text.removeprefix("\ufeff"), file=path.name)


def _check_names(schema: Schema, keys: Section) -> None:
    """Check that columns are named once and that every name leads somewhere."""
    names = [one.name for one in schema.fields]
    sources = [one.source for one in schema.fields]
    for key, words in (("name", names), ("source", sources)):
        if len(set(words)) != len(words):
            raise bad(keys, f"fields.{key}", "x != y")
    if schema.patient_pattern and not schema.patient:
        raise bad(keys, "patient_pattern", 'patient = "..."')
    if set(schema.drop) & {*sources, schema.patient}:
        raise bad(keys, "drop", "drop != fields, patient")
    for one in schema.fields:
        if one.source == schema.patient and one.kind != "text":
            raise bad(keys, "patient", 'kind = "text"')
    wanted = {*sources, schema.patient} - {""}
    if schema.source.names and not wanted <= set(schema.source.names):
        raise bad(keys, "source.names", ", ".join(sorted(wanted - set(schema.source.names))))
    features = {one.name for one in replace(schema, order=()).features}
    if not features:
        raise bad(keys, "fields", 'kind = "number" | "category" | "image" | "signal"')
    if schema.order and set(schema.order) != features:
        raise bad(keys, "order", ", ".join(sorted(features)))


def _check_label(schema: Schema, keys: Section) -> None:
    """Check that the label's field can tell what the label asks of it."""
    label = schema.label
    asked = _find(schema, label.field)
    if asked is None:
        raise bad(keys, "label.field", " | ".join(one.name for one in schema.fields))
    if asked.source == schema.patient:
        raise bad(keys, "label.field", "label != patient")
    if label.kind in RULED:
        _check_rule(label, asked, keys)
    elif asked.kind != _LABEL_KINDS[label.kind]:
        raise bad(keys, "label.field", f'kind = "{_LABEL_KINDS[label.kind]}"')
    if label.kind == "classes":
        _check_classes(label, asked, keys)
    if label.kind == "survival":
        time = _find(schema, label.time)
        if time is None or time.kind != "number" or time is asked:
            raise bad(keys, "label.time", 'kind = "number"')
    if label.kind == "mask":
        _check_mask(schema, asked, keys)


def _check_rule(label: Label, asked: Field, keys: Section) -> None:
    if asked.kind in TENSORS:
        raise bad(keys, "label.field", 'kind = "number" | "category" | "text"')
    if asked.kind == "number":
        if not all(isinstance(value, float) for value in label.values):
            raise bad(keys, "label.rule", "> 0 | == 1 | in [1, 2]")
        return
    if label.comparison not in ("==", "in") or any(isinstance(v, float) for v in label.values):
        raise bad(keys, "label.rule", '== "..." | in ["...", "..."]')
    if asked.kind == "category" and not set(label.values) <= set(asked.categories):
        raise bad(keys, "label.rule", " | ".join(f'"{one}"' for one in asked.categories))


def _check_classes(label: Label, asked: Field, keys: Section) -> None:
    if len(asked.categories) < 2:
        raise bad(keys, "label.field", 'categories = ["...", "..."]')
    if label.classes and len(label.classes) != len(asked.categories):
        raise bad(keys, "label.classes", f"[{', '.join(asked.categories)}]")


def _check_mask(schema: Schema, mask: Field, keys: Section) -> None:
    """Check that a mask has one channel and lies on an image of the same size."""
    if mask.shape[-1] != 1:
        raise bad(keys, "label.field", "shape = [height, width, 1]")
    images = [one for one in schema.tensors if one.kind == "image"]
    if not any((one.shape[:2], one.fit) == (mask.shape[:2], mask.fit) for one in images):
        allowed = " | ".join(f'{list(one.shape[:2])}, fit = "{one.fit}"' for one in images)
        raise bad(keys, "label.field", allowed or 'kind = "image"')


def _check_split(schema: Schema, keys: Section) -> None:
    """Check that a given split or an order can be read from a field of its own."""
    split, label = schema.split, schema.label
    for key, name, kind in (
        ("split.column", split.column, "category"),
        ("split.order", split.order, "number"),
    ):
        found = _find(schema, name) if name else None
        if name and (found is None or found.kind != kind or name in (label.field, label.time)):
            raise bad(keys, key, f'kind = "{kind}"')
    if split.column:
        known = set(schema.get_field(split.column).categories)
        if not set(split.held_out_in) < known:
            raise bad(keys, "split.held_out_in", " | ".join(f'"{one}"' for one in sorted(known)))


def _find(schema: Schema, name: str) -> Field | None:
    return next((one for one in schema.fields if one.name == name), None)

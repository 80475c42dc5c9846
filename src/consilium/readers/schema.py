"""The schema: what the columns of a source mean, in the steward's own words.

It is written once in TOML beside the data, checked strictly, and travels as
JSON with the dataset. Recipes learn from it which column of the arrays is what.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from consilium.kernel.canonical import Digest, Json, digest_json
from consilium.kernel.errors import InputError, NotFoundError
from consilium.kernel.tables import Section
from consilium.readers.keys import bad, open_schema, read_distinct
from consilium.readers.parts import (
    plain,
    read_field,
    read_label,
    read_source,
    read_split,
    write_rule,
)
from consilium.readers.records import Feature, Field, Label, SourceLayout, Split


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
        The rule that makes a case positive.
    source : SourceLayout
        How the file is written.
    drop : tuple of str
        Columns of the file that are known and left alone.
    missing : str
        What rows with a missing feature do: `drop` themselves, stay with a gap
        (`keep`), or `refuse` the file.
    patient : str
        Column with the patient id; empty when each row is a patient of its own.
    split : Split
        Which patients are held out.
    order : tuple of str
        Names of all features in the order of the arrays' columns; empty means
        the order of `fields`.
    title : str
        For people.
    """

    fields: tuple[Field, ...]
    label: Label
    source: SourceLayout = field(default_factory=SourceLayout)
    drop: tuple[str, ...] = ()
    missing: str = "drop"
    patient: str = ""
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
            order=read_distinct(keys, "order"),
            fields=tuple(read_field(one) for one in keys.sections("fields")),
            label=read_label(keys.section("label")),
            split=read_split(keys.section("split", optional=True)),
        )
        keys.end()
        _check_names(schema, keys)
        _check_label(schema, keys)
        return schema

    def as_record(self) -> dict[str, Any]:
        """Give the schema as plain JSON, in the shape of its TOML."""
        label = self.label
        return {
            "title": self.title,
            "source": plain(asdict(self.source)),
            "missing": self.missing,
            "drop": list(self.drop),
            "patient": self.patient,
            "order": list(self.order),
            "fields": [plain(asdict(one)) for one in self.fields],
            "label": {
                "field": label.field,
                "rule": write_rule(label),
                "positive": label.positive,
            },
            "split": plain(asdict(self.split)),
        }

    @property
    def digest(self) -> Digest:
        """Fingerprint of the schema's canonical JSON."""
        record: Json = self.as_record()
        return digest_json(record)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns of `x` in order: no label, no patient id, no text."""
        found = {
            one.name: Feature(
                name=one.name, kind=one.kind, unit=one.unit, categories=one.categories
            )
            for one in self.fields
            if one.kind != "text" and one.name != self.label.field and one.source != self.patient
        }
        return tuple(found[name] for name in self.order or found)

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
        raise bad(keys, "fields", 'kind = "number" | "category"')
    if schema.order and set(schema.order) != features:
        raise bad(keys, "order", ", ".join(sorted(features)))


def _check_label(schema: Schema, keys: Section) -> None:
    """Check that the rule can be asked of the label's field."""
    label = schema.label
    asked = next((one for one in schema.fields if one.name == label.field), None)
    if asked is None:
        raise bad(keys, "label.field", " | ".join(one.name for one in schema.fields))
    if asked.source == schema.patient:
        raise bad(keys, "label.field", "label != patient")
    if asked.kind == "number":
        if not all(isinstance(value, float) for value in label.values):
            raise bad(keys, "label.rule", "> 0 | == 1 | in [1, 2]")
        return
    if label.comparison not in ("==", "in") or any(isinstance(v, float) for v in label.values):
        raise bad(keys, "label.rule", '== "..." | in ["...", "..."]')
    if asked.kind == "category" and not set(label.values) <= set(asked.categories):
        raise bad(keys, "label.rule", " | ".join(f'"{one}"' for one in asked.categories))

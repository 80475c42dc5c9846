"""Records of the readers' room: what a schema says, and what an intake gives back.

All are inert. `readers.schema` makes the first kind from TOML or JSON and
checks it; `readers.intake` makes the second.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consilium.kernel.canonical import Digest

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
"""The comparisons that a label rule knows, besides `in`."""

KINDS = ("number", "category", "text", "image", "signal")
"""What a field can be. Text never enters the array file."""

TENSORS = ("image", "signal")
"""Kinds that have a member of their own in the array file."""

TABLE = "table"
"""The modality of numbers and categories that name no other."""

TARGETS = ("binary", "classes", "number", "survival", "mask")
"""What can be learned: see `Label`."""

Progress = Callable[[str, float], None]
"""Called with a step's name and its share done, within [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLayout:
    """How the file is written, before any meaning.

    `names` are the column names of a file without a header. `delimiter` is one
    character. `encoding` is `utf-8`, `gbk`, `gb18030` or `auto`. An empty cell
    is always missing; `missing_marks` name what else is. `images` is the folder
    of the image files, seen from the table's own. `parts` are words that stand
    for `{part}` in the members' names of an array file in several parts.
    """

    header: bool = True
    names: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "auto"
    missing_marks: tuple[str, ...] = ()
    images: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column, image or signal that the dataset has.

    Attributes
    ----------
    name : str
        What the space calls it, alike at every hospital.
    kind : str
        One of `KINDS`. Text never enters the arrays.
    unit : str
        UCUM where possible, `mm[Hg]`; empty when there is none.
    range : pair of float, optional
        Least and greatest plausible number, both included.
    outside : str
        What a number outside the range becomes: `keep` or `missing`.
    categories : tuple of str
        In the order of their index in the arrays. `1` also matches `1.0`.
    code : str
        `system:code` of a terminology, such as `LOINC:8480-6`.
    source : str
        Name of the column in the file. For an image or signal, the column that
        holds the path of its file; in an array file the member's name.
    modality : str
        What kind of examination it comes from; fields of one modality are
        there or lacking together. `table` unless told; an image's or signal's
        own name unless told.
    shape : tuple of int
        Of an image: height, width, channels (1 or 3) in picture elements; of a
        signal: length, channels. Empty for all others.
    depth : int
        Bits of an image's channel: 8 or 16.
    fit : str
        How an image or signal of another size comes to its shape: `pad` keeps
        its proportions and fills up with zeros, `stretch` does not.
    interpolation : str
        Of an image: `nearest`, `area`, `bilinear` or `bicubic`.
    """

    name: str
    kind: str
    unit: str = ""
    range: tuple[float, float] | None = None
    outside: str = "keep"
    categories: tuple[str, ...] = ()
    code: str = ""
    source: str = ""
    modality: str = TABLE
    shape: tuple[int, ...] = ()
    depth: int = 8
    fit: str = "pad"
    interpolation: str = "bilinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a study may take: a column of `x`, or an image or signal, as recipes need to know it.

    `shape` is empty for columns; see `Field`.
    """

    name: str
    kind: str
    unit: str = ""
    categories: tuple[str, ...] = ()
    modality: str = TABLE
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is learned: one of `TARGETS`, the names of its classes, the unit of its number."""

    kind: str = "binary"
    classes: tuple[str, ...] = ()
    unit: str = ""

    def as_record(self) -> dict[str, Any]:
        """Give the target as plain JSON."""
        return {"kind": self.kind, "classes": list(self.classes), "unit": self.unit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is to be learned of a case.

    Attributes
    ----------
    field : str
        Name of the field that tells it.
    comparison, values
        The rule of `binary` and `survival`: one of `COMPARISONS` or `in`, and
        one value, or several for `in`: numbers for a number field, else text.
    positive : str
        Name of the positive class, or of the event.
    kind : str
        `binary`: whether the rule holds. `classes`: which category the field
        has. `number`: the field's number. `survival`: whether the event came
        (the rule) and when (`time`). `mask`: where a picture is marked.
    classes : tuple of str
        Names of the classes in the order of the field's categories.
    time : str
        Name of the number field with the time to the event or to the last visit.
    threshold : float
        Above this grey value a mask is marked.
    """

    field: str
    comparison: str = ""
    values: tuple[float | str, ...] = ()
    positive: str = "positive"
    kind: str = "binary"
    classes: tuple[str, ...] = ()
    time: str = ""
    threshold: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which patients are held out, once and for all.

    Exactly one of the two shares is given, each within (0, 1): `train_size`
    rounds the training part down, `held_out` rounds the held-out part up, as
    scikit-learn does. `stratify` keeps the classes' shares alike on both sides;
    a class with at most two members goes with the largest one.

    Instead of a draw, `column` names a category field that tells the split, and
    `held_out_in` its categories that are held out. `order` names a number
    field: the last share of each patient's rows in its order is held out, so
    that patients stand on both sides.
    """

    train_size: float | None = 0.66
    held_out: float | None = None
    seed: int = 43
    stratify: bool = True
    column: str = ""
    held_out_in: tuple[str, ...] = ()
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """All that is known of a source's cells, as counts.

    `rows` were read, `broken` of them did not fit the columns, and the others
    are `complete` or lack label, patient id or a value. `states` maps a field's
    name to its counts of `missing`, `unparseable`, `out_of_range` and
    `unknown_category`. `no_image` rows would be complete if all their images
    and signals could be read.
    """

    rows: int
    broken: int
    complete: int
    no_label: int
    no_patient: int
    no_value: int
    positives: int
    states: Mapping[str, Mapping[str, int]]
    distinct_rows: int
    patients: int
    repeated_patients: int
    rows_of_repeated: int
    no_image: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRequest:
    """What to read, how, and where to put the array file.

    `schema` is TOML text; `schema_name` is what errors call it. `memory_mb`
    bounds the reader's own memory, not the whole process.
    """

    source: Path
    schema: str
    out: Path
    schema_name: str = "schema"
    memory_mb: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeResult:
    """What an intake leaves behind: one array file and what is known of it.

    `fingerprint` is of the source's bytes, those of its image files included;
    `arrays_digest` is of the array file's bytes;
    `schema` and `quality` are plain JSON records. `n_train` and `n_test` count
    rows, `n_patients` distinct patients (rows where there is no patient id).
    """

    arrays: Path
    arrays_digest: Digest
    fingerprint: Digest
    schema: dict[str, Any]
    quality: dict[str, Any] = field(default_factory=dict)
    n_train: int
    n_test: int
    n_patients: int

    def as_record(self) -> dict[str, Any]:
        """Give the JSON form that crosses from the intake process to the node."""
        return {
            "arrays": str(self.arrays),
            "arrays_digest": self.arrays_digest,
            "fingerprint": self.fingerprint,
            "schema": self.schema,
            "quality": self.quality,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "n_patients": self.n_patients,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> IntakeResult:
        """Read what `as_record` gave."""
        facts = dict(record)
        return cls(arrays=Path(facts.pop("arrays")), **facts)

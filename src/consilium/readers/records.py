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

Progress = Callable[[str, float], None]
"""Called with a step's name and its share done, within [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLayout:
    """How the file is written, before any meaning.

    `names` are the column names of a file without a header. `delimiter` is one
    character. `encoding` is `utf-8`, `gbk`, `gb18030` or `auto`. An empty cell
    is always missing; `missing_marks` name what else is.
    """

    header: bool = True
    names: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "auto"
    missing_marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column that the dataset has.

    Attributes
    ----------
    name : str
        What the space calls it, alike at every hospital.
    kind : str
        `number`, `category` or `text`. Text never enters the arrays.
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
        Name of the column in the file.
    """

    name: str
    kind: str
    unit: str = ""
    range: tuple[float, float] | None = None
    outside: str = "keep"
    categories: tuple[str, ...] = ()
    code: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of `x` in the array file, as recipes need to know it."""

    name: str
    kind: str
    unit: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Which cases are positive.

    `comparison` is one of `COMPARISONS` or `in`; `values` holds one value, or
    several for `in`: numbers for a number field, else text. `positive` is the
    name of the positive class.
    """

    field: str
    comparison: str
    values: tuple[float | str, ...]
    positive: str = "positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which patients are held out, once and for all.

    Exactly one of the two shares is given, each within (0, 1): `train_size`
    rounds the training part down, `held_out` rounds the held-out part up, as
    scikit-learn does. `stratify` keeps the classes' shares alike on both sides
    when each class has more than two members.
    """

    train_size: float | None = 0.66
    held_out: float | None = None
    seed: int = 43
    stratify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """All that is known of a source's cells, as counts.

    `rows` were read, `broken` of them did not fit the columns, and the others
    are `complete` or lack label, patient id or a value. `states` maps a field's
    name to its counts of `missing`, `unparseable`, `out_of_range` and
    `unknown_category`.
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

    `fingerprint` is of the source's bytes, `arrays_digest` of the array file's;
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

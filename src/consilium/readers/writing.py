"""From staged cases to the array file, and what is known of its two sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.readers.album import Album
from consilium.readers.arrays import Chunk, write_arrays
from consilium.readers.picture_report import describe_pictures
from consilium.readers.quality import Sides
from consilium.readers.records import Counts, Progress
from consilium.readers.schema import Schema
from consilium.readers.split import HELD_OUT, TRAIN, Rows, divide_rows
from consilium.readers.staging import Staging

CLASSES: Mapping[str, tuple[str, ...]] = {
    "binary": ("negative", "positive"),
    "survival": ("censored", "event"),
}
"""What the classes of a rule are called in a report."""


def write_cases(
    target: Path,
    schema: Schema,
    counts: Counts,
    *,
    staging: Staging,
    album: Album | None,
    progress: Progress,
) -> Sides:
    """Write the array file and tell how the split fell.

    Parameters
    ----------
    target : Path
        Appears complete or not at all.
    schema : Schema
    counts : Counts
        `complete` rows are written.
    staging : Staging
        Closed as soon as its rows are out: its memory is wanted for the split.
    album : Album or None
        The same rows' pictures.
    progress : callable
        Told of `writing` and `comparing`.
    """
    names = [one.name for one in schema.columns]
    told: list[Sides] = []
    least, most = np.full(len(names), np.inf), np.full(len(names), -np.inf)

    def chunks() -> Iterator[Chunk]:
        done = 0
        for chunk in staging.chunks(rows=counts.rows - counts.broken):
            np.fmin(least, np.fmin.reduce(chunk.x, axis=0, initial=np.inf), out=least)
            np.fmax(most, np.fmax.reduce(chunk.x, axis=0, initial=-np.inf), out=most)
            yield chunk
            done += chunk.y.size
            progress("writing", done / counts.complete)
        staging.close()

    def divide(rows: Rows) -> npt.NDArray[np.int8]:
        part, stratified = divide_rows(rows, schema)
        told.append(
            Sides(
                train=_count(schema, rows.y[part == TRAIN]),
                held_out=_count(schema, rows.y[part == HELD_OUT]),
                stratified=stratified,
                constant=tuple(names[place] for place in np.flatnonzero(least == most)),
                straddling=_straddling(rows, part),
                pictures=describe_pictures(schema, album, part, progress=progress),
            )
        )
        return part

    write_arrays(
        target,
        chunks(),
        shape=(counts.complete, len(names)),
        divide=divide,
        tensors=album.tensors() if album else (),
    )
    return told[0]


def _count(schema: Schema, y: npt.NDArray[Any]) -> dict[str, int]:
    """Count one side's rows by class; where there is none, all together."""
    names = schema.target.classes or CLASSES.get(schema.label.kind, ())
    if not names:
        return {"rows": int(y.size)}
    counts = np.bincount(y, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _straddling(rows: Rows, part: npt.NDArray[np.int8]) -> int:
    """Count patients with rows on both sides, which a drawn split never has."""
    if rows.group is None:
        return 0
    train, held_out = (rows.group[part == side] for side in (TRAIN, HELD_OUT))
    return int(np.intersect1d(train, held_out).size)

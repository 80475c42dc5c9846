"""The pictures and signals of a source: read once, one case at a time, kept on disk until written.

A case whose picture cannot be used is left out like one without a value. What
stays in memory of a picture is a few figures; its elements lie in the intake's
own folder and go from there into the array file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from consilium.kernel.canonical import Digest
from consilium.kernel.errors import InputError
from consilium.readers.arrays import Tensor
from consilium.readers.pictures import resize_inner
from consilium.readers.pixels import (
    Pixels,
    UnfitError,
    difference_hash,
    dtype_of,
    fill_up,
    fit_signal,
    grey_of,
    inner_size,
)
from consilium.readers.records import Field, Progress
from consilium.readers.schema import Schema

COPIED_AT_ONCE = 4 << 20

MASK = "mask"


class PictureSource(Protocol):
    """Where the pictures of a source are: an image folder, or an array file."""

    def read(self, cell: str, field: Field, *, row: int) -> tuple[Pixels, bytes]:
        """Read one picture or signal; return its elements, and a SHA-256."""
        ...


@dataclass(slots=True, kw_only=True)
class Kept:
    """What is remembered of a field's pictures, one entry for each case that stays.

    `digests` of 32 bytes, `hashes` (four words), `brightness` (share of full
    white), `sides` (longer side in picture elements, before resizing) and
    `marked` (share of a mask). `unfit` counts by reason what could not be used.
    """

    unfit: Counter[str] = field(default_factory=Counter)
    digests: list[bytes] = field(default_factory=list)
    hashes: list[np.ndarray] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)
    marked: list[float] = field(default_factory=list)


class Album:
    """Reads the pictures of all complete cases, and gives them out as tensors.

    Parameters
    ----------
    schema : Schema
    source : PictureSource
    work : Path
        The intake's own folder.
    """

    def __init__(self, schema: Schema, source: PictureSource, *, work: Path) -> None:
        self._source = source
        self._fields = schema.pictures
        self._mask = schema.label.field if schema.label.kind == "mask" else ""
        self._threshold = schema.label.threshold
        self._work = work
        self._hasher = hashlib.sha256()
        self.kept = {one.name: Kept() for one in self._fields}
        self.lost: list[int] = []
        self.cases = 0

    def collect(
        self, cells: Iterable[tuple[int, tuple[str, ...]]], *, total: int, progress: Progress
    ) -> None:
        """Read every case's pictures.

        Parameters
        ----------
        cells : iterable
            Place of each case, from 0, and its cells in the order of the fields.
        total : int
            How many there are.
        progress : callable
            Told of the step `images`.

        Raises
        ------
        InputError
            `readers.path_leaves`, `readers.doubled_images`, naming the row.
        """
        seen: set[int] = set()
        features = len(self._fields) - bool(self._mask)
        with ExitStack() as stack:
            files = [
                stack.enter_context(self._place(number).open("wb"))
                for number in range(len(self._fields))
            ]
            for done, (place, case) in enumerate(cells, start=1):
                key = hash(case[:features])
                if key in seen:
                    raise InputError("readers.doubled_images", row=place + 1)
                seen.add(key)
                self._take(place, case, files)
                progress("images", done / max(total, 1))

    def fingerprint(self, table: Digest) -> Digest:
        """Return the fingerprint of a table together with the pictures that were read."""
        whole = hashlib.sha256(f"{table}\n".encode() + self._hasher.digest())
        return Digest(f"sha256:{whole.hexdigest()}")

    def tensors(self) -> list[Tensor]:
        """Return the array file's further members."""
        found = []
        for number, one in enumerate(self._fields):
            is_mask = one.name == self._mask
            found.append(
                Tensor(
                    name=MASK if is_mask else f"field.{one.name}",
                    dtype=np.dtype("u1") if is_mask else dtype_of(one),
                    shape=(self.cases, *(one.shape[:2] if is_mask else one.shape)),
                    pieces=partial(_pieces, self._place(number)),
                )
            )
        return found

    def _place(self, number: int) -> Path:
        return self._work / f"field-{number}.raw"

    def _take(self, place: int, case: tuple[str, ...], files: Sequence[IO[bytes]]) -> None:
        """Read one case; it stays only if all of its pictures can be used."""
        read: dict[str, tuple[Pixels, bytes]] = {}
        for one, cell in zip(self._fields, case, strict=True):
            try:
                pixels, digest = self._source.read(cell, one, row=place + 1)
                self._hasher.update(digest)
                if one.kind == "signal":
                    pixels = fit_signal(pixels, one)
                if one.name == self._mask:
                    self._check_size(one, pixels, read)
                read[one.name] = pixels, digest
            except UnfitError as error:
                self.kept[one.name].unfit[error.reason] += 1
        if len(read) < len(self._fields):
            self.lost.append(place)
            return
        self.cases += 1
        for one, file in zip(self._fields, files, strict=True):
            file.write(np.ascontiguousarray(self._keep(one, *read[one.name])).data)

    def _check_size(
        self, mask: Field, pixels: Pixels, read: dict[str, tuple[Pixels, bytes]]
    ) -> None:
        """Refuse a mask that would lie beside its image after both are resized."""
        size = inner_size((pixels.shape[0], pixels.shape[1]), mask)
        images = [one for one in self._fields if one.name in read and one.kind == "image"]
        alike = [one for one in images if (one.shape[:2], one.fit) == (mask.shape[:2], mask.fit)]
        sizes = [inner_size(read[one.name][0].shape[:2], one) for one in alike]
        if sizes and size not in sizes:
            raise UnfitError("other_size")

    def _keep(self, one: Field, pixels: Pixels, digest: bytes) -> Pixels:
        """Remember a picture's figures; return its elements as they are written."""
        kept = self.kept[one.name]
        kept.digests.append(digest)
        if one.kind == "signal":
            return pixels
        kept.sides.append(max(pixels.shape[:2]))
        inner = resize_inner(pixels, one)
        whole = fill_up(inner, one)
        if one.name == self._mask:
            marked = (whole[:, :, 0] > self._threshold).astype(np.uint8)
            kept.marked.append(float(marked.mean()))
            return marked
        grey = grey_of(inner)
        kept.hashes.append(difference_hash(grey))
        kept.brightness.append(float(grey.mean()) / (255 if one.depth == 8 else 65_535))
        return whole


def _pieces(path: Path) -> Iterator[memoryview]:
    with path.open("rb") as file:
        while piece := file.read(COPIED_AT_ONCE):
            yield memoryview(piece)

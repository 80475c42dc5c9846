"""Array files as sources: their plain members become a table, their pictures a stream.

An `.npz` holds one member for each field. Members of one number or text for
each row are written as a table of our own, which then goes the way of every
table; pictures and signals are read row by row when their turn comes.
"""

from __future__ import annotations

import csv
import hashlib
import os
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from consilium.kernel.errors import InputError, StateError
from consilium.readers.npy import Member, read_head, read_rows
from consilium.readers.parts import PART
from consilium.readers.pixels import Pixels, UnfitError
from consilium.readers.records import TENSORS, Field
from consilium.readers.schema import Schema
from consilium.readers.sources import name_some

ROWS_AT_ONCE = 10_000
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What a damaged, encrypted or strangely packed archive raises."""


class ArrayFile:
    """An opened `.npz`, by the schema's sources.

    Parameters
    ----------
    path : Path
    schema : Schema

    Raises
    ------
    InputError
        `readers.bad_npz` for what is no archive of arrays.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._file = path.name
        self._parts = schema.source.parts or ("",)
        self._fields = {one.source: one for one in schema.fields}
        self._stack = ExitStack()
        self._pictures: dict[str, PictureMember] = {}
        try:
            self._archive = self._stack.enter_context(zipfile.ZipFile(path))
        except (OSError, *_BROKEN) as error:
            raise InputError("readers.bad_npz", file=self._file) from error
        self.members = [
            one.removesuffix(".npy") for one in self._archive.namelist() if one.endswith(".npy")
        ]

    def close(self) -> None:
        """Close the archive."""
        for one in self._pictures.values():
            one.close()
        self._stack.close()

    def columns(self, wanted: list[str]) -> list[str]:
        """Return the sources that are there, and members that no source names."""
        there = [one for one in wanted if set(self._names(one)) <= set(self.members)]
        used = {name for one in wanted for name in self._names(one)}
        return there + [one for one in self.members if one not in used]

    def write_table(self, target: Path, wanted: list[str]) -> list[str]:
        """Write the plain members as UTF-8 CSV, a picture's cell being its row's number.

        Returns
        -------
        list of str
            The table's columns: `wanted`.

        Raises
        ------
        InputError
            `readers.bad_npz`, `readers.bad_member`, `readers.uneven_members`.
        """
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            table = csv.writer(out, lineterminator="\n")
            table.writerow(wanted)
            row = 0
            for part in self._parts:
                for cells in self._rows_of(part, wanted):
                    table.writerow(str(row) if cell is None else cell for cell in cells)
                    row += 1
        return wanted

    def check(self, fields: tuple[Field, ...]) -> None:
        """Open the members of images, masks and signals.

        Raises
        ------
        InputError
            As `PictureMember` does.
        """
        self._pictures = {one.name: PictureMember(self, one) for one in fields}

    def read(self, cell: str, field: Field, *, row: int) -> tuple[Pixels, bytes]:
        """Read the elements of one row, and the SHA-256 of them; rows come in rising order.

        Raises
        ------
        UnfitError
            When they cannot be used.
        """
        return self._pictures[field.name].read(int(cell), row=row)

    def heads(self, source: str) -> list[Member]:
        """Return the heads of a source's members, one for each part."""
        found = []
        for name in self._names(source):
            with self._opened(name) as (_, head):
                found.append(head)
        return found

    def stream(self, source: str) -> Generator[Pixels, None, None]:
        """Give out all rows of a source's members, one at a time."""
        for name in self._names(source):
            with self._opened(name) as (file, head):
                try:
                    for rows in read_rows(file, head, at_once=1):
                        yield rows[0]
                except _BROKEN as error:
                    raise self.broken() from error

    def broken(self) -> InputError:
        """Make the error of an archive that cannot be read."""
        return InputError("readers.bad_npz", file=self._file)

    def _names(self, source: str) -> list[str]:
        """Return the members that a source names; the parts' own words are none."""
        if PART not in source or self._parts == ("",):
            return [source]
        return [] if source == PART else [source.replace(PART, part) for part in self._parts]

    def _rows_of(self, part: str, wanted: list[str]) -> Iterator[tuple[str | None, ...]]:
        """Give out one part's rows as texts; None where a picture stands."""
        with ExitStack() as stack:
            columns: dict[str, Iterator[list[str | None]]] = {}
            rows: dict[str, int] = {}
            for source in (one for one in wanted if one != PART or not part):
                name = source.replace(PART, part) if part else source
                file, head = stack.enter_context(self._opened(name))
                field = self._fields.get(source)
                is_picture = field is not None and field.kind in TENSORS
                if not is_picture and head.shape[1:] not in ((), (1,)):
                    raise InputError("readers.bad_member", member=name[:80])
                rows[name] = head.rows
                columns[source] = _blank(head) if is_picture else self._texts(file, head)
            if len(set(rows.values())) != 1:
                told = name_some([f"{name} ({n})" for name, n in rows.items()])
                raise InputError("readers.uneven_members", members=told)
            count = next(iter(rows.values()))
            for start in range(0, count, ROWS_AT_ONCE):
                size = min(ROWS_AT_ONCE, count - start)
                taken: Mapping[str, list[str | None]] = {k: next(v) for k, v in columns.items()}
                yield from zip(*(taken.get(one, [part] * size) for one in wanted), strict=True)

    def _texts(self, file: Any, head: Member) -> Iterator[list[str | None]]:
        try:
            for rows in read_rows(file, head, at_once=ROWS_AT_ONCE):
                yield [_text_of(one) for one in rows.reshape(-1).tolist()]
        except _BROKEN as error:
            raise self.broken() from error

    def _opened(self, name: str) -> _Opened:
        return _Opened(self, self._archive, name)


class PictureMember:
    """The pictures or signals of one field, asked for in rising order of their rows.

    Parameters
    ----------
    file : ArrayFile
    field : Field

    Raises
    ------
    InputError
        `readers.bad_picture_member` when element type or channels are not the field's.
    """

    def __init__(self, file: ArrayFile, field: Field) -> None:
        for head in file.heads(field.source):
            if not _is_fit(head, field):
                raise InputError(
                    "readers.bad_picture_member",
                    member=field.source[:80],
                    found=f"{head.dtype.name} {list(head.shape)}",
                    wanted=f"{_wanted(field)} [n, {', '.join(map(str, field.shape))}]",
                )
        self._field = field
        self._rows = file.stream(field.source)
        self._next = 0

    def read(self, place: int, *, row: int) -> tuple[Pixels, bytes]:
        """Return the elements at a place, and the SHA-256 of them; see `ArrayFile.read`."""
        for found in self._rows:
            self._next += 1
            if self._next > place:
                return self._take(found), hashlib.sha256(found.tobytes()).digest()
        raise StateError("readers.intake_failed", kind=f"row {row}")

    def close(self) -> None:
        """Let go of the member."""
        self._rows.close()

    def _take(self, found: Pixels) -> Pixels:
        if self._field.kind == "signal":
            return found.astype(np.float64)
        if found.ndim == 2:
            found = found[:, :, None]
        top = 255 if self._field.depth == 8 else 65_535
        if found.dtype.kind in "iu" and (int(found.min()) < 0 or int(found.max()) > top):
            raise UnfitError("wrong_depth")
        return found.astype(np.uint8 if self._field.depth == 8 else np.uint16)


class _Opened:
    """A member while it is read: its file, standing at the first row, and its head."""

    def __init__(self, owner: ArrayFile, archive: zipfile.ZipFile, name: str) -> None:
        self._owner, self._archive, self._name = owner, archive, name
        self._stack = ExitStack()

    def __enter__(self) -> tuple[Any, Member]:
        try:
            file = self._stack.enter_context(self._archive.open(f"{self._name}.npy"))
            head = read_head(file)
        except (OSError, KeyError, *_BROKEN) as error:
            self._stack.close()
            raise self._owner.broken() from error
        if head is None:
            self._stack.close()
            raise InputError("readers.bad_member", member=self._name[:80])
        return file, head

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _is_fit(head: Member, field: Field) -> bool:
    """Say whether a member can hold a field's pictures; masks may be of any whole numbers."""
    inner = len(field.shape)
    channels = head.shape[inner] if len(head.shape) == inner + 1 else 1
    if len(head.shape) not in (inner, inner + 1) or channels != field.shape[-1]:
        return False
    if 0 in head.shape[1:] or (field.depth == 16 and head.dtype == np.uint8):
        return False
    return head.dtype.kind in ("iuf" if field.kind == "signal" else "biu")


def _wanted(field: Field) -> str:
    return "float" if field.kind == "signal" else f"uint{field.depth}"


def _blank(head: Member) -> Iterator[list[str | None]]:
    for start in range(0, head.rows, ROWS_AT_ONCE):
        yield [None] * min(ROWS_AT_ONCE, head.rows - start)


def _text_of(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float):
        return "" if value != value else repr(value)
    return str(int(value)) if isinstance(value, bool) else str(value)

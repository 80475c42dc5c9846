"""Files of pictures and signals below one folder, opened only if they really lie there.

The paths come from a table that anyone may have written, so each is taken
apart before it is followed: no absolute path, no `..`, no link that leads out,
and nothing but plain files.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from consilium.kernel.errors import InputError, NotFoundError
from consilium.readers.npy import read_head, read_rows
from consilium.readers.pictures import check_pillow, decode
from consilium.readers.pixels import Pixels, UnfitError
from consilium.readers.records import Field

MOST_BYTES = 1 << 28
"""Greatest file of one picture or signal: 256 MB."""


class ImageFolder:
    """The files that the cells of a table name.

    Parameters
    ----------
    source : Path
        The table.
    images : str
        The folder of the files, seen from the table's own.

    Raises
    ------
    NotFoundError
        `readers.no_image_folder`.
    """

    def __init__(self, source: Path, images: str) -> None:
        try:
            self._home = source.resolve().parent
            self._root = (self._home / images).resolve(strict=True)
        except OSError as error:
            raise NotFoundError("readers.no_image_folder", folder=images) from error
        if not self._root.is_dir() or not self._root.is_relative_to(self._home):
            raise NotFoundError("readers.no_image_folder", folder=images)

    def check(self, fields: tuple[Field, ...]) -> None:
        """Refuse at the start what could not be read. Raises `readers.no_imaging`."""
        if any(one.kind == "image" for one in fields):
            check_pillow()

    def read(self, cell: str, field: Field, *, row: int) -> tuple[Pixels, bytes]:
        """Read one file; return its elements, and the SHA-256 of its bytes.

        Raises
        ------
        UnfitError
            When it cannot be used.
        InputError
            `readers.path_leaves`, naming the row: a path that leads out of the
            folder is an attack or a mistake, never a gap.
        """
        try:
            with self._opened(cell, row=row) as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                file.seek(0)
                if field.kind == "signal":
                    return _load_signal(file), digest
                return decode(file, field), digest
        except OSError:
            raise UnfitError("unreadable") from None

    @contextmanager
    def _opened(self, cell: str, *, row: int) -> Iterator[BufferedReader]:
        path = self._find(cell, row=row)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise UnfitError("no_file") from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise UnfitError("no_file")
        with os.fdopen(handle, "rb") as file:
            if os.fstat(handle).st_size > MOST_BYTES:
                raise UnfitError("too_large")
            yield file

    def _find(self, cell: str, *, row: int) -> Path:
        """Return where a cell leads, without links; it lies below the folder."""
        windows = PureWindowsPath(cell)
        inner = PurePosixPath(cell.replace("\\", "/"))
        if windows.drive or windows.root or inner.is_absolute() or ".." in inner.parts:
            raise InputError("readers.path_leaves", row=row)
        if "\0" in cell:
            raise UnfitError("no_file")
        try:
            path = (self._root / inner).resolve(strict=True)
        except (OSError, RuntimeError):
            raise UnfitError("no_file") from None
        if not path.is_relative_to(self._root):
            raise InputError("readers.path_leaves", row=row)
        return path


def _load_signal(file: BufferedReader) -> Pixels:
    """Read a signal from numpy's own file format; its size is known before it is read."""
    head = read_head(file)
    if head is None or head.dtype.kind not in "iuf" or head.rows * head.row_bytes > MOST_BYTES:
        raise UnfitError("unreadable")
    try:
        (found,) = read_rows(file, head, at_once=max(head.rows, 1))
    except (EOFError, ValueError):
        raise UnfitError("unreadable") from None
    return found.astype(np.float64)

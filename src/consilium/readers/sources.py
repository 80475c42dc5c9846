"""Opening a source: what kind of file it is, how it is encoded, what its columns are.

Everything here works on bytes in a stream, so a file of any size passes, and
says only counts, line numbers and column names.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from consilium.kernel.canonical import Digest
from consilium.kernel.errors import InputError, NotFoundError
from consilium.readers.records import Progress, SourceLayout

CHUNK = 4 << 20
HEADER_BYTES = 1 << 20

_ZIP = b"PK\x03\x04"
_FOREIGN = {
    _ZIP: "XLSX/ZIP",
    b"\xd0\xcf\x11\xe0": "XLS",
    b"\x1f\x8b": "GZIP",
    b"SQLite format 3": "SQLite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over the bytes found.

    `kind` is `csv`, `parquet` or `npz`; only `csv` has an `encoding`; `guessed`
    says that the encoding was not told but tried.
    """

    kind: str
    encoding: str
    guessed: bool
    size: int
    fingerprint: Digest


def scan_source(path: Path, layout: SourceLayout, *, progress: Progress) -> Scan:
    """Read a source once: kind, encoding and fingerprint.

    Raises
    ------
    NotFoundError
        `readers.no_file`.
    InputError
        `readers.unreadable_file`, `readers.empty_file`, `readers.not_a_table`,
        `readers.bad_parquet` or `readers.broken_encoding`.
    """
    size, start = _open_start(path)
    if not start.strip(b"\xef\xbb\xbf \t\r\n"):
        raise InputError("readers.empty_file", file=path.name)
    if start.startswith(_ZIP) and _is_array_file(path):
        digest, _ = _read_through(path, (), size=size, progress=progress)
        return Scan(kind="npz", encoding="", guessed=False, size=size, fingerprint=digest)
    for mark, name in _FOREIGN.items():
        if start.startswith(mark):
            raise InputError("readers.not_a_table", file=path.name, kind=name)
    if start.startswith(b"PAR1"):
        digest, _ = _read_through(path, (), size=size, progress=progress)
        return Scan(kind="parquet", encoding="", guessed=False, size=size, fingerprint=digest)
    if path.suffix.lower() in (".parquet", ".pq"):
        raise InputError("readers.bad_parquet", file=path.name)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError("readers.broken_encoding", file=path.name, encoding="UTF-16", line=1)
    return _scan_text(path, layout, size=size, progress=progress)


def transcode(path: Path, target: Path, encoding: str) -> None:
    """Write a text file again in UTF-8, readable by the owner alone."""
    decoder = codecs.getincrementaldecoder(encoding)()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with path.open("rb") as source, os.fdopen(handle, "wb") as out:
        for chunk in iter(lambda: source.read(CHUNK), b""):
            out.write(decoder.decode(chunk).encode("utf-8"))
        out.write(decoder.decode(b"", final=True).encode("utf-8"))


def read_columns(path: Path, layout: SourceLayout, *, expected: tuple[str, ...]) -> list[str]:
    """Return the names of a text table's columns, from its header or its schema.

    A first line that is no header holds a patient's values, so names are given
    back only when at least half of the expected ones stand there.

    Parameters
    ----------
    path : Path
        UTF-8 text.
    layout : SourceLayout
        Says whether there is a header.
    expected : tuple of str
        Column names that the schema speaks of.

    Raises
    ------
    InputError
        `readers.header_mismatch`, `readers.header_unexpected`,
        `readers.doubled_column`.
    """
    first = [one.strip() for one in _first_row(path, layout.delimiter)]
    if not layout.header:
        if set(expected) <= set(first):
            raise InputError("readers.header_unexpected")
        if len(first) != len(layout.names):
            raise InputError("readers.column_count", found=len(first), expected=len(layout.names))
        return list(layout.names)
    if not _hits(first, expected):
        raise InputError(
            "readers.header_mismatch",
            found=len(set(first) & set(expected)),
            expected=len(expected),
            columns=name_some(expected),
        )
    doubled = sorted({one for one in first if first.count(one) > 1} & set(expected))
    if doubled:
        raise InputError("readers.doubled_column", columns=name_some(doubled))
    return first


def name_some(names: list[str] | tuple[str, ...]) -> str:
    """Write column names for a sentence: at most twelve, each cut at forty letters."""
    more = f", ... (+{len(names) - 12})" if len(names) > 12 else ""
    return ", ".join(name[:40] for name in names[:12]) + more


def _is_array_file(path: Path) -> bool:
    """Say whether a ZIP archive holds numpy arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False


def _open_start(path: Path) -> tuple[int, bytes]:
    try:
        with path.open("rb") as source:
            return os.fstat(source.fileno()).st_size, source.read(4096)
    except FileNotFoundError as error:
        raise NotFoundError("readers.no_file", file=path.name) from error
    except OSError as error:
        raise InputError(
            "readers.unreadable_file", file=path.name, reason=os.strerror(error.errno or 0)
        ) from error


def _scan_text(path: Path, layout: SourceLayout, *, size: int, progress: Progress) -> Scan:
    told = layout.encoding
    candidates = ("utf-8", "gb18030") if told == "auto" else (told,)
    digest, failed = _read_through(path, candidates, size=size, progress=progress)
    for encoding in candidates:
        if encoding not in failed:
            guessed = encoding != candidates[0]
            return Scan(
                kind="csv", encoding=encoding, guessed=guessed, size=size, fingerprint=digest
            )
    raise InputError(
        "readers.broken_encoding",
        file=path.name,
        encoding=" / ".join(candidates),
        line=failed[candidates[0]],
    )


def _read_through(
    path: Path, candidates: tuple[str, ...], *, size: int, progress: Progress
) -> tuple[Digest, dict[str, int]]:
    """Fingerprint a file; say at which line each candidate encoding failed."""
    hasher = hashlib.sha256()
    decoders = {name: codecs.getincrementaldecoder(name)() for name in candidates}
    failed: dict[str, int] = {}
    lines = done = 0
    for chunk, last in _chunks(path):
        hasher.update(chunk)
        for name in [one for one in candidates if one not in failed]:
            bad = _first_bad(decoders[name], chunk, last=last)
            if bad is not None:
                failed[name] = lines + 1 + chunk.count(b"\n", 0, bad)
        lines += chunk.count(b"\n")
        done += len(chunk)
        progress("checking", done / max(size, 1))
    return Digest(f"sha256:{hasher.hexdigest()}"), failed


def _chunks(path: Path) -> Iterator[tuple[bytes, bool]]:
    with path.open("rb") as source:
        chunk = source.read(CHUNK)
        while chunk:
            following = source.read(CHUNK)
            yield chunk, not following
            chunk = following


def _first_bad(decoder: codecs.IncrementalDecoder, chunk: bytes, *, last: bool) -> int | None:
    """Return where a chunk cannot be decoded or holds a zero byte; None when it is fine."""
    zero = chunk.find(b"\0")
    if zero >= 0:
        return zero
    try:
        decoder.decode(chunk, final=last)
    except UnicodeDecodeError as error:
        return min(error.start, len(chunk))
    return None


def _first_row(path: Path, delimiter: str) -> list[str]:
    with path.open("rb") as source:
        text = source.read(HEADER_BYTES).decode("utf-8-sig", errors="ignore")
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _hits(found: list[str], expected: tuple[str, ...]) -> bool:
    """Say whether at least half of the expected names stand in this row."""
    return len(set(found) & set(expected)) * 2 >= len(set(expected))

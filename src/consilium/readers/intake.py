"""Intake: a source becomes one array file and one quality report, or one clear error.

It runs in a process of its own (`python -m consilium.readers.intake`), so its
memory goes with it and a crash leaves the node untouched. Nothing is left
behind in the folder but a complete array file.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from consilium.kernel.errors import ConsiliumError, InputError, StateError
from consilium.ledger.files import digest_file
from consilium.readers.album import Album
from consilium.readers.duck import BoundedDuckDB
from consilium.readers.imagefolder import ImageFolder
from consilium.readers.npz import ArrayFile
from consilium.readers.picture_report import check_pictures
from consilium.readers.quality import Columns, check_counts, compare_columns, make_report
from consilium.readers.records import IntakeRequest, IntakeResult, Progress, SourceLayout
from consilium.readers.schema import Schema
from consilium.readers.sources import Scan, read_columns, scan_source, transcode
from consilium.readers.staging import Staging
from consilium.readers.writing import write_cases

ARRAYS = "arrays.npz"
SPARE_MB = 1400
"""What the process may take beyond DuckDB's limit: for labels, numbers and the split."""

_WORK = "intake-"


def take_in(request: IntakeRequest, *, progress: Progress) -> IntakeResult:
    """Read a source, judge it, and write its array file.

    1. the schema; 2. the bytes (kind, encoding, fingerprint); 3. the columns
    and a typed table on disk; 4. the counts; 5. images and signals, where the
    schema has any; 6. the array file with its held-out part; 7. the report.

    Parameters
    ----------
    request : IntakeRequest
        What to read, how, and where to put the array file.
    progress : callable
        Called with a step's name and its share done.

    Raises
    ------
    ConsiliumError
        A code of `readers`; then nothing new stands in the folder.
    """
    source, file = request.source, request.source.name
    # 1.
    schema = Schema.from_toml(request.schema, file=request.schema_name)
    with _workroom(request.out) as work, ExitStack() as stack:
        # 2.
        before = _stamp(source)
        scan = scan_source(source, schema.source, progress=progress)
        arrays = ArrayFile(source, schema) if scan.kind == "npz" else None
        if arrays:
            stack.callback(arrays.close)
        album = _open_album(source, schema, arrays, work=work)
        duck = BoundedDuckDB(work, source=source, memory_mb=request.memory_mb, progress=progress)
        staging = stack.enter_context(closing(Staging(duck, schema)))
        # 3.
        table = _Table(path=source, scan=scan, arrays=arrays)
        columns, broken = _stage(table, schema, staging=staging, work=work)
        # 4.
        counts = staging.count(broken=broken)
        check_counts(counts, schema, file=file)
        # 5.
        if album:
            rows = counts.rows - counts.broken
            album.collect(staging.cells(rows=rows), total=counts.complete, progress=progress)
            check_pictures(schema, album)
            staging.lose(album.lost)
            counts = staging.count(broken=broken)
            check_counts(counts, schema, file=file)
        if _stamp(source) != before:
            raise StateError("readers.source_changed", file=file)
        # 6.
        target = request.out / ARRAYS
        sides = write_cases(target, schema, counts, staging=staging, album=album, progress=progress)
    # 7.
    report = make_report(schema, scan=scan, columns=columns, counts=counts, sides=sides)
    return IntakeResult(
        arrays=target,
        arrays_digest=digest_file(target),
        fingerprint=album.fingerprint(scan.fingerprint)
        if album and not arrays
        else scan.fingerprint,
        schema=schema.as_record(),
        quality=report,
        n_train=sum(sides.train.values()),
        n_test=sum(sides.held_out.values()),
        n_patients=counts.patients,
    )


def main(requests: TextIO, replies: TextIO) -> int:
    """Serve one request: JSON in, JSON lines out.

    The request holds `source`, `schema` (TOML text) and `out`, and may hold
    `schema_name` and `memory_mb`. Lines hold `progress` with `step` and
    `done`; the last one holds `result` or `error`. The return value is the
    exit code, by the error's family.
    """
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o077)

    def say(line: Mapping[str, Any]) -> None:
        replies.write(json.dumps(line, ensure_ascii=False) + "\n")
        replies.flush()

    told: list[tuple[str, float]] = []

    def progress(step: str, done: float) -> None:
        if told[-1:] != [(step, round(done, 2))]:
            told[:] = [(step, round(done, 2))]
            say({"progress": {"step": step, "done": round(done, 2)}})

    try:
        request = _read_request(requests.read())
        _bound_memory(request.memory_mb + SPARE_MB)
        result = take_in(request, progress=progress)
    except ConsiliumError as error:
        say({"error": error.as_record()})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 (this process's request boundary)
        # A foreign message may quote a cell, so only its kind is told.
        failure = StateError("readers.intake_failed", kind=type(error).__name__)
        say({"error": failure.as_record()})
        return failure.exit_code
    say({"result": result.as_record()})
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A source: its path, what its bytes are, and its members if it is an array file."""

    path: Path
    scan: Scan
    arrays: ArrayFile | None


def _open_album(
    source: Path, schema: Schema, arrays: ArrayFile | None, *, work: Path
) -> Album | None:
    """Open the pictures of a source, if its schema has any."""
    if not schema.pictures:
        return None
    if arrays:
        return Album(schema, arrays, work=work)
    folder = ImageFolder(source, schema.source.images)
    folder.check(schema.pictures)
    return Album(schema, folder, work=work)


def _stage(table: _Table, schema: Schema, *, staging: Staging, work: Path) -> tuple[Columns, int]:
    """Stage the source under a name of our own; return columns and broken lines.

    DuckDB would read `*` in a file's name as a pattern and `s3:` as an address.
    """
    source, scan = table.path, table.scan
    wanted = sorted({one.source for one in schema.fields} | ({schema.patient} - {""}))
    if table.arrays:
        columns = compare_columns(table.arrays.columns(wanted), schema)
        table.arrays.check(schema.pictures)
        names = table.arrays.write_table(work / "source.csv", wanted)
        return columns, staging.load_csv(work / "source.csv", names, layout=SourceLayout())
    path = work / f"source.{scan.kind}"
    if scan.kind == "csv" and scan.encoding != "utf-8":
        transcode(source, path, scan.encoding)
    else:
        path.symlink_to(source.resolve())
    if scan.kind == "parquet":
        kinds = staging.parquet_columns(path, file=source.name)
        columns = compare_columns(list(kinds), schema)
        staging.load_parquet(path, kinds, file=source.name)
        return columns, 0
    names = read_columns(path, schema.source, expected=tuple(wanted))
    columns = compare_columns(names, schema)
    return columns, staging.load_csv(path, names)


@contextmanager
def _workroom(out: Path) -> Iterator[Path]:
    """Open a private folder inside `out`; it goes away whatever happens.

    What an intake that was killed here left behind goes away too.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob(f"{_WORK}*"):
            shutil.rmtree(old, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=_WORK, dir=out))
    except OSError as error:
        raise StateError("readers.no_room", detail=os.strerror(error.errno or 0)) from error
    try:
        yield work
    except MemoryError:
        raise StateError("readers.no_room", detail="memory") from None
    except OSError as error:
        raise StateError("readers.no_room", detail=os.strerror(error.errno or 0)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return size and time of a file, to see whether it changed while it was read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _read_request(text: str) -> IntakeRequest:
    try:
        facts = json.loads(text)
        source, out = Path(facts.pop("source")), Path(facts.pop("out"))
        return IntakeRequest(source=source, out=out, **facts)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError("readers.bad_request", detail=type(error).__name__) from error


def _bound_memory(limit_mb: int) -> None:
    """End this process's growth before it ends the machine's other work."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = limit_mb << 20
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _stop(*_: object) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stdout))

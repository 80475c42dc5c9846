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
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import ConsiliumError, InputError, StateError
from consilium.ledger.files import digest_file
from consilium.readers.arrays import Chunk, write_arrays
from consilium.readers.duck import BoundedDuckDB
from consilium.readers.quality import Columns, Sides, check_counts, compare_columns, make_report
from consilium.readers.records import Counts, IntakeRequest, IntakeResult, Progress
from consilium.readers.schema import Schema
from consilium.readers.sources import Scan, read_columns, scan_source, transcode
from consilium.readers.split import Labels, Numbers, hold_out
from consilium.readers.staging import Staging

ARRAYS = "arrays.npz"
SPARE_MB = 1400
"""What the process may take beyond DuckDB's limit: for labels, numbers and the split."""

_WORK = "intake-"


def take_in(request: IntakeRequest, *, progress: Progress) -> IntakeResult:
    """Read a source, judge it, and write its array file.

    1. the schema; 2. the bytes (kind, encoding, fingerprint); 3. the columns
    and a typed table on disk; 4. the counts; 5. the array file with its
    held-out part; 6. the report.

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
    # 1.
    schema = Schema.from_toml(request.schema, file=request.schema_name)
    with _workroom(request.out) as work:
        # 2.
        before = _stamp(request.source)
        scan = scan_source(request.source, schema.source, progress=progress)
        duck = BoundedDuckDB(
            work, source=request.source, memory_mb=request.memory_mb, progress=progress
        )
        with closing(Staging(duck, schema)) as staging:
            # 3.
            columns, broken = _stage(request.source, schema, scan, staging=staging, work=work)
            # 4.
            counts = staging.count(broken=broken)
            check_counts(counts, schema, file=request.source.name)
            if _stamp(request.source) != before:
                raise StateError("readers.source_changed", file=request.source.name)
            # 5.
            target = request.out / ARRAYS
            sides = _write(target, schema, counts, staging=staging, progress=progress)
    # 6.
    report = make_report(schema, scan=scan, columns=columns, counts=counts, sides=sides)
    return IntakeResult(
        arrays=target,
        arrays_digest=digest_file(target),
        fingerprint=scan.fingerprint,
        schema=schema.as_record(),
        quality=report,
        n_train=sum(sides.train),
        n_test=sum(sides.held_out),
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


def _stage(
    source: Path, schema: Schema, scan: Scan, *, staging: Staging, work: Path
) -> tuple[Columns, int]:
    """Stage the source under a name of our own; return columns and broken lines.

    DuckDB would read `*` in a file's name as a pattern and `s3:` as an address.
    """
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
    wanted = {one.source for one in schema.fields} | ({schema.patient} - {""})
    names = read_columns(path, schema.source, expected=tuple(sorted(wanted)))
    columns = compare_columns(names, schema)
    return columns, staging.load_csv(path, names)


def _write(
    target: Path, schema: Schema, counts: Counts, *, staging: Staging, progress: Progress
) -> Sides:
    """Write the array file and tell how the split fell."""
    names = [one.name for one in schema.features]
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
        staging.close()  # its memory is wanted for the split

    def divide(y: Labels, group: Numbers | None) -> npt.NDArray[np.int8]:
        part, stratified = hold_out(y, group, schema.split)
        train, held_out = (np.bincount(y[part == side], minlength=2) for side in (0, 1))
        told.append(
            Sides(
                train=(int(train[0]), int(train[1])),
                held_out=(int(held_out[0]), int(held_out[1])),
                stratified=stratified,
                constant=tuple(names[place] for place in np.flatnonzero(least == most)),
            )
        )
        return part

    write_arrays(target, chunks(), shape=(counts.complete, len(names)), divide=divide)
    return told[0]


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

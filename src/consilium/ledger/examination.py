"""Examining what every home stands on: program, folder, disk, certificates, database, evidence.

Node and hub share these checks. They only look: nothing is migrated, repaired
or kept, and the process that serves the home goes on undisturbed.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path

from cryptography import x509
from sqlalchemy import text

from consilium.kernel.errors import StateError
from consilium.kernel.findings import Finding, report, report_failure, report_skip, report_warning
from consilium.kernel.version import __version__
from consilium.ledger.certificates import renewal_due
from consilium.ledger.engines import open_engines, parse_url
from consilium.ledger.files import write_atomic
from consilium.ledger.keys import PublicKey
from consilium.ledger.migration import find_revision, newest_revision
from consilium.ledger.verification import verify_log

OLDEST_PYTHON = (3, 11)
ENGINE, ENGINE_RELEASE = "nvflare", "2.9"
LOW_BYTES, LEAST_BYTES = 2 << 30, 200 << 20
"""Free space below which a disk is told to be low, and to be full."""
SLOW_S = 0.5
MOST_ENTRIES = 100_000
"""Entries that are verified at once; a longer log is left to `consilium evidence verify`."""

_PROBE = bytes(1 << 16)
_OTHERS = 0o077
_DAY_S = 86_400
_GIB = 1 << 30


def check_program() -> Finding:
    """Look at the interpreter, this release and the engine's."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return report_failure("program", "doctor.old_python", python=python, wanted=wanted)
    try:
        engine = metadata.version(ENGINE)
    except metadata.PackageNotFoundError:
        engine = "–"
    if not engine.startswith(f"{ENGINE_RELEASE}."):
        return report_failure("program", "doctor.no_engine", engine=engine, wanted=ENGINE_RELEASE)
    return report("program", "doctor.program", python=python, release=__version__, engine=engine)


def check_home(home: Path, *, answers: bool) -> Finding:
    """Look at a home's owner, its keys' permissions, and who serves it.

    Parameters
    ----------
    home : Path
        Folder of a node or hub.
    answers : bool
        Whether the process that serves it answered on its socket.
    """
    facts = {"home": str(home)}
    owner = home.stat().st_uid
    if owner != os.getuid():
        names = {"owner": _user(owner), "user": _user(os.getuid())}
        return report_failure("home", "doctor.other_owner", **facts, **names)
    keys = [*home.glob("keys/*.key"), *home.glob("signer/*.key")]
    exposed = [key for key in keys if key.stat().st_mode & _OTHERS]
    if exposed:
        return report_failure("home", "doctor.exposed_key", path=str(exposed[0]))
    if not is_locked(home):
        return report("home", "doctor.home_quiet", **facts)
    if not answers:
        return report_failure("home", "doctor.home_mute", **facts)
    return report("home", "doctor.home", **facts)


def is_locked(home: Path) -> bool:
    """Say whether a process serves this home."""
    try:
        with (home / "run" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def check_disk(home: Path, *, low: int = LOW_BYTES, least: int = LEAST_BYTES) -> Finding:
    """Look at the free space, and write and sync a small file."""
    free = shutil.disk_usage(home).free
    facts = {"place": str(home), "free_gib": round(free / _GIB, 1)}
    if free < least:
        return report_failure("disk", "doctor.disk_full", **facts)
    seconds = _write_probe(home)
    facts["millis"] = round(1000 * seconds)
    if free < low:
        return report_warning("disk", "doctor.disk_low", **facts)
    if seconds > SLOW_S:
        return report_warning("disk", "doctor.disk_slow", **facts)
    return report("disk", "doctor.disk", **facts)


def check_certificates(certificates: Mapping[str, x509.Certificate], *, now: datetime) -> Finding:
    """Look at how long certificates are valid; the one that ends first is told.

    Parameters
    ----------
    certificates : mapping of str to x509.Certificate
        By the name that people know them by; at least one.
    now : datetime
        Aware.
    """
    name, first = min(certificates.items(), key=lambda item: item[1].not_valid_after_utc)
    end = first.not_valid_after_utc
    facts = {
        "name": name,
        "end": f"{end:%Y-%m-%d %H:%M} UTC",
        "days": round((end - now).total_seconds() / _DAY_S, 1),
        "number": len(certificates),
    }
    if now > end:
        return report_failure("certificate", "doctor.certificate_ended", **facts)
    if now < first.not_valid_before_utc:
        return report_failure("certificate", "doctor.certificate_early", **facts)
    # Half of the time that was kept for trying again is over.
    if now > end - (end - renewal_due(first)) / 2:
        return report_warning("certificate", "doctor.certificate_late", **facts)
    return report("certificate", "doctor.certificate", **facts)


def check_database(url: str) -> Finding:
    """Open a database for reading, and compare its tables with this release's.

    Raises
    ------
    InputError, StateError, IntegrityError
        What the database says.
    """
    parsed = parse_url(url)
    path = Path(str(parsed.database))
    if parsed.get_backend_name() == "sqlite" and not path.is_file():
        return report_skip("database", "doctor.nothing_yet", place=str(path))
    engines = open_engines(url, wait_s=5)
    try:
        with engines.begin_read() as connection:
            now, wanted = find_revision(connection), newest_revision(connection)
            known = now is None or now <= wanted
    finally:
        engines.close()
    if not known:
        raise StateError("ledger.newer_schema", now=now, wanted=wanted)
    facts = {"place": engines.place, "now": now, "wanted": wanted}
    if now is None:
        return report_skip("database", "doctor.nothing_yet", place=engines.place)
    if now != wanted:
        return report_warning("database", "doctor.database_behind", **facts)
    return report("database", "doctor.database", **facts)


def check_evidence(url: str, key: PublicKey, *, most: int = MOST_ENTRIES) -> Finding:
    """Verify the evidence log of a database that is there, if it is not too long for a quick look.

    Raises
    ------
    NotFoundError
        `ledger.no_log`.
    """
    entries = _count_entries(url)
    if entries > most:
        return report("evidence", "doctor.evidence_long", entries=entries, most=most)
    verdict = verify_log(url, key=key)
    if not verdict.verified:
        return report_failure(
            "evidence",
            "doctor.evidence_bad",
            entries=verdict.entries,
            seq=verdict.first_bad or "–",
            reason=verdict.reason_code,
        )
    return report("evidence", "doctor.evidence", entries=verdict.entries)


def _count_entries(url: str) -> int:
    engines = open_engines(url, wait_s=5)
    try:
        with engines.begin_read() as connection:
            return int(connection.execute(text("SELECT count(*) FROM evidence")).scalar_one())
    finally:
        engines.close()


def _write_probe(home: Path) -> float:
    place, began = home / ".doctor", time.monotonic()
    try:
        write_atomic(place, _PROBE)
    finally:
        with suppress(OSError):
            place.unlink()
    return time.monotonic() - began


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)

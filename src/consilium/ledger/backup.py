"""Backups of a home while it is served, and the proof that one can be restored.

A backup is one tar file. Its databases are copied by SQLite's own backup, each at
one moment, and before everything else: what a database refers to was written before
it. A list of all files with their SHA-256 stands at the end, so a file that was cut
off is seen. To prove a backup is to restore it into a folder that is thrown away and
to verify the evidence log there, entry by entry.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import (
    ConsiliumError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.ledger.certificates import certificate_key, load_certificate
from consilium.ledger.files import disk_refusals
from consilium.ledger.keys import PublicKey
from consilium.ledger.verification import verify_log

FORMAT = "consilium-backup-1"
FOLDER = "backups"
"""Folder of a home where its backups lie unless the settings name a better one."""
LEFT_OUT = frozenset({"run", "engine", "uploads", FOLDER})
"""Folders that a home makes anew when it is served, and earlier backups."""
_CERTIFICATES = {"node": "keys/participant.crt", "hub": "keys/hub.crt"}
_LIST = "backup.json"
_BESIDE = ("-wal", "-shm", "-journal")
"""Ends of the files that SQLite keeps beside a database; the copy needs none of them."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds, as its proof found it.

    `made` is when, in UTC; `size` its bytes; `entries` and `root` tell how far
    its evidence log goes: hold them against the checkpoint of a later day.
    """

    file: Path
    kind: str
    made: str
    files: int
    size: int
    entries: int
    root: str

    def as_record(self) -> dict[str, Any]:
        """Give the form that programs read."""
        return {name: getattr(self, name) for name in self.__slots__} | {"file": str(self.file)}


def backup_name(home: str, now: datetime) -> str:
    """Name a backup by its home and the second in which it was begun (UTC)."""
    return f"{home}-{now:%Y%m%dT%H%M%SZ}.tar"


def back_up(home: Path, file: Path, *, clock: Clock) -> Backup:
    """Write a home to a file, served or not, and prove the copy.

    Parameters
    ----------
    home : Path
        Folder of a node or hub.
    file : Path
        A tar file that is not there yet. Until it is proved it has another name.

    Raises
    ------
    InputError
        `ledger.no_home`, `ledger.backup_elsewhere` when the database is on a server.
    StateError
        `ledger.backup_exists`, `ledger.disk_full`, `ledger.cannot_write`.
    IntegrityError
        `ledger.backup_damaged`, and what verifying the log says: nothing is kept then.

    Discloses
    ---------
    Everything the home holds, its private keys among it, to whoever can read the file.
    """
    home, kind = home.resolve(), _kind_of(home)
    if file.exists():
        raise StateError("ledger.backup_exists", file=str(file))
    partial = file.with_name(f".{file.name}.part")
    try:
        with disk_refusals(file):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _private(partial) as stream:
                _write(home, kind, stream, beside=file.parent, made=write_time(clock.now()))
            found = prove_backup(partial)
            _give_name(partial, file)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return replace(found, file=file)


def prove_backup(file: Path) -> Backup:
    """Restore a backup beside itself, verify its evidence, and throw the copy away.

    Raises
    ------
    NotFoundError
        `ledger.no_backup`.
    StateError
        `ledger.disk_full`, `ledger.cannot_write`.
    IntegrityError
        `ledger.backup_damaged`, and what verifying the log says.
    """
    with disk_refusals(file), _scratch(file.absolute().parent) as folder:
        return _unpack(file, folder / "home")


def restore_backup(file: Path, home: Path) -> Backup:
    """Make a home from a backup, whole and proved, or not at all.

    Only where the original is gone for good: two processes with one key would
    write two logs under one name.

    Raises
    ------
    NotFoundError
        `ledger.no_backup`.
    StateError
        `ledger.home_in_use` unless `home` is absent or empty, `ledger.disk_full`,
        `ledger.cannot_write`.
    IntegrityError
        As `prove_backup`.
    """
    home = home.absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise StateError("ledger.home_in_use", home=str(home))
    with disk_refusals(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(home.parent) as folder:
            found = _unpack(file, folder / "home")
            with suppress(FileNotFoundError):
                home.rmdir()
            (folder / "home").rename(home)
    return found


def _kind_of(home: Path) -> str:
    for kind in _CERTIFICATES:
        if (home / f"{kind}.toml").is_file():
            if not (home / f"{kind}.db").is_file():
                raise InputError("ledger.backup_elsewhere", home=str(home))
            return kind
    raise InputError("ledger.no_home", home=str(home))


# Writing.


def _write(home: Path, kind: str, stream: BinaryIO, *, beside: Path, made: str) -> None:
    """Write the databases, the other files, and the list of them."""
    digests: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        databases = sorted(path for path in _files(home) if path.suffix == ".db")
        for path in databases:
            with _scratch(beside) as folder:
                copy = folder / path.name
                _copy_database(path, copy)
                digests[_name(path, home)] = _add(tar, copy, _name(path, home))
        for path in _files(home):
            is_database = path.suffix == ".db" or path.name.endswith(
                tuple(f".db{end}" for end in _BESIDE)
            )
            if not is_database:
                with suppress(FileNotFoundError):  # gone since its folder was read
                    digests[_name(path, home)] = _add(tar, path, _name(path, home))
        facts: dict[str, Json] = {
            "format": FORMAT,
            "kind": kind,
            "made": made,
            "files": {**digests},
        }
        text = canonical_bytes(facts)
        tar.addfile(_entry(_LIST, size=len(text), mode=0o600), BytesIO(text))


def _files(home: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(home):
        if Path(folder) == home:
            names[:] = [name for name in names if name not in LEFT_OUT]
        names.sort()
        yield from (path for name in sorted(files) if (path := Path(folder) / name).is_file())


def _name(path: Path, home: Path) -> str:
    return path.relative_to(home).as_posix()


def _copy_database(path: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or "refused"
        if name.startswith("SQLITE_FULL"):
            raise StateError("ledger.disk_full", place=str(copy.parent)) from error
        raise StateError("ledger.cannot_write", place=str(path), reason=name) from error


def _add(tar: tarfile.TarFile, path: Path, name: str) -> str:
    """Add a file; return the SHA-256 of what was added."""
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
        seen = _Seen(stream)
        try:
            tar.addfile(_entry(name, size=status.st_size, mode=status.st_mode & 0o700), seen)
        except tarfile.TarError as error:
            raise StateError("ledger.cannot_write", place=name, reason="changed") from error
        return seen.digest.hexdigest()


def _entry(name: str, *, size: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry


class _Seen:
    """A file whose bytes are digested as they are read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self.digest.update(block)
        return block


def _give_name(partial: Path, file: Path) -> None:
    try:
        os.link(partial, file)
    except FileExistsError as error:
        raise StateError("ledger.backup_exists", file=str(file)) from error


# Reading.


def _unpack(file: Path, home: Path) -> Backup:
    """Restore into a folder that is not there, and verify what lies in it."""
    damaged = IntegrityError("ledger.backup_damaged", file=str(file))
    digests: dict[str, str] = {}
    facts: Json = None
    home.mkdir(mode=0o700)
    try:
        with file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                taken = tar.extractfile(entry)
                if taken is None or not entry.isreg() or not _is_inside(entry.name):
                    raise damaged
                if entry.name == _LIST:
                    facts = read_json(taken.read())
                else:
                    target = home / entry.name
                    digests[entry.name] = _take(taken, target, mode=entry.mode & 0o700)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError("ledger.no_backup", file=str(file)) from error
    except (tarfile.TarError, EOFError, ConsiliumError) as error:
        raise damaged from error
    if (
        not isinstance(facts, dict)
        or facts.get("format") != FORMAT
        or facts.get("files") != digests
    ):
        raise damaged
    kind = str(facts.get("kind"))
    if kind not in _CERTIFICATES:
        raise damaged
    entries, root = _verify(home, kind, damaged)
    return Backup(
        file=file,
        kind=kind,
        made=str(facts.get("made")),
        files=len(digests),
        size=file.stat().st_size,
        entries=entries,
        root=root,
    )


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _take(stream: Any, target: Path, *, mode: int) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = _Seen(stream)
    with target.open("xb") as out:
        os.fchmod(out.fileno(), mode)
        shutil.copyfileobj(seen, out, _BLOCK)
        out.flush()
        os.fsync(out.fileno())
    return seen.digest.hexdigest()


def _verify(home: Path, kind: str, damaged: IntegrityError) -> tuple[int, str]:
    certificate = home / _CERTIFICATES[kind]
    if not certificate.is_file() or not (home / f"{kind}.db").is_file():
        raise damaged
    key = certificate_key(load_certificate(certificate))
    if not isinstance(key, Ed25519PublicKey):
        raise damaged
    verdict = verify_log(home / f"{kind}.db", key=PublicKey(key.public_bytes_raw()))
    if not verdict.verified:
        raise IntegrityError(str(verdict.reason_code), **verdict.facts)
    return verdict.entries, str(verdict.root or "")


# Both.


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that only its owner reads; on the disk when this ends."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make a folder that only its owner reads, gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix=".consilium-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)

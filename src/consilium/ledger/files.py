"""Files that are there whole or not at all, and big things addressed by their digest."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, StateError

_BLOCK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a crash leaves either the old one or the new one.

    The bytes go to a file beside it, are synced, renamed over it, and the
    folder is synced.

    Raises
    ------
    StateError
        `ledger.disk_full` or `ledger.cannot_write`; what stood there stays.
    """
    with _beside(path, mode) as (temporary, descriptor):
        _pour(descriptor, [data], path)
        temporary.replace(path)


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file that must not be there yet, whole or not at all.

    Raises
    ------
    FileExistsError
        If something stands there; it stays as it is.
    StateError
        `ledger.disk_full` or `ledger.cannot_write`.
    """
    with _beside(path, mode) as (temporary, descriptor):
        _pour(descriptor, [data], path)
        os.link(temporary, path)


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file that can be derived again, and its folders: whole, but not waiting for the disk.

    Raises
    ------
    StateError
        `ledger.disk_full` or `ledger.cannot_write`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with disk_refusals(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.chmod(mode)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def disk_refusals(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write a file into ours."""
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error


def digest_file(path: Path) -> Digest:
    """Fingerprint a file of any size as `sha256:<hex>`.

    Raises
    ------
    NotFoundError
        `ledger.no_file`.
    """
    try:
        with path.open("rb") as stream:
            return Digest(f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}")
    except OSError as error:
        raise NotFoundError("ledger.no_file", path=str(path)) from error


class BlobStore:
    """A folder of files named by what they hold.

    Parameters
    ----------
    folder : Path
        Made when the first file is put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> Digest:
        """Keep bytes, and return the digest they are found by.

        Raises
        ------
        StateError
            `ledger.disk_full` or `ledger.cannot_write`.
        """
        digest = digest_of(data)
        place = self._ready(digest)
        if not place.exists():
            write_atomic(place, data, mode=0o400)
        return digest

    def put_file(self, path: Path) -> Digest:
        """Keep a copy of a file of any size; it is read once.

        Raises
        ------
        NotFoundError
            `ledger.no_file`.
        StateError
            `ledger.disk_full` or `ledger.cannot_write`.
        """
        digest = hashlib.sha256()
        _make_folder(self._folder)
        with _beside(self._folder / "incoming", 0o400) as (temporary, descriptor):
            _pour(descriptor, _read_blocks(path, digest.update), self._folder)
            found = Digest(f"sha256:{digest.hexdigest()}")
            place = self._ready(found)
            if not place.exists():
                temporary.replace(place)
                _sync_folder(place.parent)
        return found

    def path(self, digest: Digest) -> Path:
        """Say where the file of a digest is.

        Raises
        ------
        NotFoundError
            `ledger.no_blob`.
        """
        place = self._place(digest)
        if not place.is_file():
            raise NotFoundError("ledger.no_blob", digest=digest)
        return place

    def read(self, digest: Digest) -> bytes:
        """Read a file back, and check that it still is what was put.

        Raises
        ------
        NotFoundError
            `ledger.no_blob`.
        IntegrityError
            `ledger.blob_changed`.
        """
        data = self.path(digest).read_bytes()
        if digest_of(data) != digest:
            raise IntegrityError("ledger.blob_changed", digest=digest)
        return data

    def room(self, name: str) -> BlobStore:
        """Return a store of its own in a folder of this one."""
        return BlobStore(self._folder / name)

    def keep_only(self, digests: Collection[Digest]) -> None:
        """Remove every other file.

        Raises
        ------
        StateError
            `ledger.cannot_write`.
        """
        kept = {self._place(digest) for digest in digests}
        try:
            for place in self._folder.glob("??/*"):
                if place not in kept:
                    place.unlink(missing_ok=True)
        except OSError as error:
            raise _refusal(self._folder, error) from error

    def _place(self, digest: Digest) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InputError("ledger.bad_digest")
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name

    def _ready(self, digest: Digest) -> Path:
        place = self._place(digest)
        _make_folder(place.parent)
        return place


@contextmanager
def _beside(path: Path, mode: int) -> Iterator[tuple[Path, int]]:
    """Give a fresh file beside `path`; afterwards it is gone and the folder synced."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        os.fchmod(descriptor, mode)
        yield temporary, descriptor
    except FileExistsError:
        raise
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(path.parent)


def _pour(descriptor: int, blocks: Iterable[bytes], path: Path) -> None:
    """Write all blocks and wait until the disk holds them."""
    try:
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError as error:
        raise _refusal(path, error) from error


def _read_blocks(path: Path, seen: Callable[[bytes], None]) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                seen(block)
                yield block
    except OSError as error:
        raise NotFoundError("ledger.no_file", path=str(path)) from error


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)
    except OSError as error:
        raise _refusal(folder, error) from error


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refusal(folder, error) from error


def _refusal(path: Path, error: OSError) -> StateError:
    if error.errno in _FULL:
        return StateError("ledger.disk_full", place=str(path))
    return StateError("ledger.cannot_write", place=str(path), reason=error.strerror or "refused")

"""Opening array files: read-only, and only if they are still what was registered."""

from __future__ import annotations

import hashlib
import os
import threading
from io import BufferedReader

from consilium.kernel.canonical import Digest
from consilium.kernel.errors import IntegrityError
from consilium.ledger.files import BlobStore

Stamp = tuple[int, int, int, int]


class ArrayFiles:
    """Array files by digest, each verified once for as long as it is not touched.

    Hashing a large file every round would cost more than the round. A file
    that keeps device, inode, length and time of change is taken to be the one
    that was hashed; the check is made on the open file, not on its path.

    Parameters
    ----------
    blobs : BlobStore
        Where the readers' array files are kept.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._verified: dict[Digest, Stamp] = {}
        self._lock = threading.Lock()

    def open(self, digest: Digest) -> BufferedReader:
        """Open a file for reading; whoever takes it closes it.

        Raises
        ------
        NotFoundError
            `ledger.no_blob`.
        IntegrityError
            `gate.arrays_changed`.

        Discloses
        ---------
        The dataset's arrays, to the caller in this process.
        """
        file = self._blobs.path(digest).open("rb")
        try:
            self._verify(file, digest)
        except BaseException:
            file.close()
            raise
        return file

    def _verify(self, file: BufferedReader, digest: Digest) -> None:
        stamp = _stamp(file)
        with self._lock:
            if self._verified.get(digest) == stamp:
                return
        found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if found != digest or _stamp(file) != stamp:
            raise IntegrityError("gate.arrays_changed", digest=digest)
        file.seek(0)
        with self._lock:
            self._verified[digest] = stamp


def _stamp(file: BufferedReader) -> Stamp:
    status = os.fstat(file.fileno())
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

"""Files that are there whole or not at all."""

import hashlib
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import ConsiliumError, IntegrityError, NotFoundError, StateError
from consilium.ledger.files import BlobStore, digest_file, write_atomic, write_new


@pytest.fixture
def small_disk() -> object:
    """Let no file grow beyond 64 KiB, as if the disk were full there."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    yield None
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_written_over_the_old_one(tmp_path: Path) -> None:
    write_atomic(tmp_path / "state.json", b"old", mode=0o644)
    write_atomic(tmp_path / "state.json", b"new")
    assert (tmp_path / "state.json").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert names(tmp_path) == ["state.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, small_disk: object) -> None:
    write_atomic(tmp_path / "state.json", b"old")
    with pytest.raises(StateError) as refusal:
        write_atomic(tmp_path / "state.json", bytes(1 << 17))
    assert refusal.value.code == "ledger.disk_full"
    assert (tmp_path / "state.json").read_bytes() == b"old"
    assert names(tmp_path) == ["state.json"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="absent") as refusal:
        write_atomic(tmp_path / "absent" / "state.json", b"")
    assert refusal.value.code == "ledger.cannot_write"


def test_a_new_file_is_never_written_over_an_old_one(tmp_path: Path) -> None:
    write_new(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert names(tmp_path) == ["key"]


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"abc")
    assert digest_file(tmp_path / "data") == digest_of(b"abc")
    with pytest.raises(NotFoundError):
        digest_file(tmp_path / "absent")


def put_bytes(store: BlobStore, folder: Path, data: bytes) -> Digest:
    return store.put(data)


def put_file(store: BlobStore, folder: Path, data: bytes) -> Digest:
    (folder / "source").write_bytes(data)
    return store.put_file(folder / "source")


PUTS = pytest.mark.parametrize("put", [put_bytes, put_file])
Put = Callable[[BlobStore, Path, bytes], Digest]


@PUTS
def test_a_blob_is_found_by_its_digest(tmp_path: Path, put: Put) -> None:
    store, data = BlobStore(tmp_path / "blobs"), b"x" * 3_000_000
    digest = put(store, tmp_path, data)
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert put(store, tmp_path, data) == digest
    assert store.read(digest) == data
    assert names(tmp_path / "blobs") == [digest.removeprefix("sha256:")]
    assert stat.S_IMODE(store.path(digest).stat().st_mode) == 0o400


@PUTS
def test_a_full_disk_leaves_no_half_blob(tmp_path: Path, put: Put, small_disk: object) -> None:
    store = BlobStore(tmp_path / "blobs")
    source = tmp_path / "source"
    with source.open("wb") as stream:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        )
        stream.write(bytes(1 << 17))
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (1 << 16, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    with pytest.raises(StateError) as refusal:
        store.put(bytes(1 << 17)) if put is put_bytes else store.put_file(source)
    assert refusal.value.code == "ledger.disk_full"
    assert names(tmp_path / "blobs") == []


def test_a_changed_blob_is_found(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    digest = store.put(b"abc")
    store.path(digest).chmod(0o600)
    store.path(digest).write_bytes(b"abd")
    with pytest.raises(IntegrityError) as refusal:
        store.read(digest)
    assert refusal.value.code == "ledger.blob_changed"


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        (digest_of(b"absent"), "ledger.no_blob"),
        ("sha256:../../etc/passwd", "ledger.bad_digest"),
        ("", "ledger.bad_digest"),
        ("sha256:" + "A" * 64, "ledger.bad_digest"),
    ],
)
def test_a_digest_that_names_nothing_is_refused(tmp_path: Path, digest: Digest, code: str) -> None:
    with pytest.raises(ConsiliumError) as refusal:
        BlobStore(tmp_path).path(digest)
    assert refusal.value.code == code


def test_a_source_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        BlobStore(tmp_path / "blobs").put_file(tmp_path / "absent")
    assert names(tmp_path) == []

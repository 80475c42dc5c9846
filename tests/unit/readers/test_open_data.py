"""Fetching published files: whole, checked, and only what is not there yet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import IntegrityError, NotFoundError, PeerError
from consilium.ledger.files import digest_file
from consilium.readers.open_data import OPEN_DATA, OpenData, fetch, schema_text

FILES = {"a.data": b"1,2\n3,4\n", "b.data": b"5,6\n"}


class Archive(BaseHTTPRequestHandler):
    """A small archive that notes what it was asked for."""

    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.asked.append(name)
        body = self.files.get(name)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def archive() -> Iterator[tuple[type[Archive], OpenData]]:
    handler = type("Handler", (Archive,), {"files": dict(FILES), "asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    data = OpenData(
        base_url=f"http://127.0.0.1:{server.server_port}/set/",
        files={name: digest_of(body) for name, body in FILES.items()},
        credit="nobody",
    )
    yield handler, data
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_are_fetched_and_not_fetched_again(
    archive: tuple[type[Archive], OpenData], tmp_path: Path
) -> None:
    handler, data = archive
    folder = tmp_path / "new" / "folder"
    assert [path.read_bytes() for path in fetch("x", folder, data=data)] == list(FILES.values())
    (folder / "b.data").write_bytes(b"cut of")
    fetch("x", folder, data=data)
    assert handler.asked == ["a.data", "b.data", "b.data"]
    assert sorted(path.name for path in folder.iterdir()) == ["a.data", "b.data"]


def test_a_file_that_is_not_the_published_one_is_not_kept(
    archive: tuple[type[Archive], OpenData], tmp_path: Path
) -> None:
    handler, data = archive
    handler.files["b.data"] = b"<html>log in first</html>"
    with pytest.raises(IntegrityError, match=r"b\.data is not the published file"):
        fetch("x", tmp_path, data=data)
    assert [path.name for path in tmp_path.iterdir()] == ["a.data"]


def test_a_body_without_end_is_cut_off(
    archive: tuple[type[Archive], OpenData], tmp_path: Path
) -> None:
    handler, data = archive
    handler.files["a.data"] = b"x" * (1 << 21)
    with pytest.raises(IntegrityError):
        fetch("x", tmp_path, data=data)


def test_an_archive_that_does_not_answer_is_one_clear_error(
    archive: tuple[type[Archive], OpenData], tmp_path: Path
) -> None:
    handler, data = archive
    del handler.files["a.data"]
    with pytest.raises(
        PeerError, match=r"a\.data could not be fetched from 127\.0\.0\.1"
    ) as caught:
        fetch("x", tmp_path, data=data)
    assert caught.value.code == "readers.not_fetched"
    nobody = OpenData(base_url="http://127.0.0.1:9/", files=data.files, credit="")
    with pytest.raises(PeerError):
        fetch("x", tmp_path, data=nobody)


def test_only_known_sets_can_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Choose among: heart-disease"):
        fetch("moon", tmp_path)
    with pytest.raises(NotFoundError, match="breast-cancer"):
        schema_text("moon")


def test_files_that_are_there_need_no_network(open_data: Path) -> None:
    folder = open_data / "heart_disease"
    known = OPEN_DATA["heart-disease"]
    nowhere = OpenData(base_url="http://127.0.0.1:9/", files=known.files, credit="")
    paths = fetch("heart-disease", folder, data=nowhere)
    assert [digest_file(path) for path in paths] == list(known.files.values())
    assert known.base_url.startswith("https://archive.ics.uci.edu/")

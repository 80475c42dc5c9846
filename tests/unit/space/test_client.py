"""The Python client against a socket that answers as a node does."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from consilium.kernel.errors import NotFoundError, PeerError, StateError
from consilium.space.client import connect
from consilium.space.record import ResultRecord

Answer = tuple[int, Any]
Routes = dict[tuple[str, str], Callable[[Any], Answer]]


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers by a table; keeps what was asked."""

    daemon_threads = True
    routes: Routes
    asked: list[tuple[str, str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *arguments: object) -> None:
        pass

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = json.loads(body) if body else None
        path = self.path.partition("?")[0]
        self.server.asked.append((method, self.path, asked))
        status, record = self.server.routes[(method, path)](asked)
        data = record if isinstance(record, bytes) else json.dumps(record).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "run").mkdir()
    with Server(str(tmp_path / "run" / "api.sock"), Handler) as server:
        server.asked = []
        server.routes = {("GET", "/status"): lambda _: (200, {"ready": True, "space": "s"})}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_nothing_served_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="consilium node serve"):
        connect(tmp_path)


def test_an_error_of_the_node_arrives_as_what_it_was(tmp_path: Path, server: Server) -> None:
    error = NotFoundError("space.no_recipe", recipe="x")
    server.routes[("GET", "/datasets/x")] = lambda _: (404, error.as_record())
    with connect(tmp_path) as node, pytest.raises(NotFoundError) as caught:
        node.datasets.get("x")
    assert caught.value.code == "space.no_recipe"
    assert caught.value.text("zh") == error.text("zh")


def test_an_answer_that_is_no_record_is_refused(tmp_path: Path, server: Server) -> None:
    server.routes[("GET", "/datasets")] = lambda _: (200, b"<html>")
    with connect(tmp_path) as node, pytest.raises(PeerError, match="no record"):
        node.datasets.list()


def test_searching_takes_every_word_and_tells_the_hospital(tmp_path: Path, server: Server) -> None:
    heart = {"name": "heart", "title": "Heart disease", "columns": [{"name": "chol"}]}
    members = [
        {"participant": "did:web:s:west", "title": "西院 West", "datasets": [heart]},
        {"participant": "did:web:s:east", "title": "East", "datasets": [{"name": "eye"}]},
    ]
    server.routes[("GET", "/catalog/members")] = lambda _: (200, members)
    with connect(tmp_path) as node:
        assert [each["hospital"] for each in node.catalog.search("HEART chol")] == ["西院 West"]
        assert node.catalog.search("heart retina") == []
        assert len(node.catalog.search()) == 2


def test_adding_a_dataset_waits_for_its_task(tmp_path: Path, server: Server) -> None:
    reports = iter(
        [
            {"state": "running", "progress": {"done": 0.5}, "result": None, "error": None},
            {"state": "done", "progress": None, "result": {"name": "heart"}, "error": None},
        ]
    )
    server.routes[("POST", "/datasets")] = lambda _: (200, {"id": "t1", "state": "running"})
    server.routes[("GET", "/tasks/t1")] = lambda _: (200, next(reports))
    seen: list[Any] = []
    with connect(tmp_path) as node:
        record = node.datasets.add(
            "heart.csv", schema="heart-disease", name="heart", terms={}, governance={},
            progress=seen.append,
        )  # fmt: skip
    assert record == {"name": "heart"}
    assert len(seen) == 2
    _, _, sent = next(each for each in server.asked if each[0] == "POST")
    assert Path(sent["path"]).is_absolute()
    assert "[[fields]]" in sent["schema"]


def test_a_failed_task_raises_its_own_error(tmp_path: Path, server: Server) -> None:
    error = StateError("space.not_up", home="x").as_record()
    report = {"state": "failed", "progress": None, "result": None, "error": error}
    server.routes[("POST", "/datasets")] = lambda _: (200, {"id": "t1"})
    server.routes[("GET", "/tasks/t1")] = lambda _: (200, report)
    with connect(tmp_path) as node, pytest.raises(StateError, match="No space runs"):
        node.datasets.add("x.csv", schema="heart-disease", name="x", terms={}, governance={})


def test_a_study_returns_the_result_record(
    tmp_path: Path, server: Server, result: dict[str, Any]
) -> None:
    states = iter(["RECRUITING", "RUNNING", "COMPLETED"])
    events = iter([[{"id": 1, "kind": "recruiting", "facts": {}}], [], [{"id": 2, "kind": "x"}]])
    server.routes[("POST", "/studies")] = lambda _: (200, {"study": "u1"})
    server.routes[("GET", "/studies/u1/events")] = lambda _: (
        200,
        {"id": "u1", "state": next(states), "reason": "", "events": next(events)},
    )
    results = iter([(409, StateError("space.not_up", home="x").as_record()), (200, result)])
    server.routes[("GET", "/studies/u1/result")] = lambda _: next(results)
    seen: list[Any] = []
    with connect(tmp_path) as node:
        record = node.studies.run(seen=seen.append, title="T")
    assert isinstance(record, ResultRecord)
    assert record.rounds == 15
    assert [event["id"] for event in seen] == [1, 2]
    assert ("GET", "/studies/u1/events?after=1", None) in server.asked


def test_a_study_that_fails_tells_why_and_who_declined(tmp_path: Path, server: Server) -> None:
    events = [
        {"id": 1, "kind": "declined", "facts": {"participant": "did:web:s:west", "en": "No."}},
        {"id": 2, "kind": "failure", "facts": {"code": "study.x", "en": "Too few.", "zh": "少"}},
    ]
    failed = {"id": "u1", "state": "FAILED", "reason": "study.x", "events": events}
    server.routes[("POST", "/studies")] = lambda _: (200, {"study": "u1"})
    server.routes[("GET", "/studies/u1/events")] = lambda _: (200, failed)
    with connect(tmp_path) as node, pytest.raises(StateError) as caught:
        node.studies.run(title="T")
    assert "Too few." in caught.value.public
    assert "did:web:s:west: No." in caught.value.detail

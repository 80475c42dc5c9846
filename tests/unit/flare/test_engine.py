"""The engine port over the control socket, with a stand-in for the server's process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consilium.federation.flare.attempts import find_attempt
from consilium.federation.flare.engine import FlareEngine
from consilium.federation.flare.jobs import REFUSALS_FILE
from consilium.federation.ports import EngineStatus
from consilium.gate.orders import Order
from consilium.kernel.errors import DeniedError, PeerError
from consilium.kernel.identifiers import participant_id

SPACE = "test.example"
Answer = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Answer], FlareEngine]]:
    listeners: list[socket.socket] = []

    def start(answer: Answer) -> FlareEngine:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                with line, line.makefile("rb") as stream:
                    said = answer(json.loads(stream.readline()))
                    line.sendall(json.dumps(said).encode() + b"\n")

        threading.Thread(target=run, daemon=True).start()
        return FlareEngine(tmp_path, space=SPACE, timeout_s=2.0)

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_submitted_order_lies_in_a_folder_that_is_gone_afterwards(
    serve: Callable[[Answer], FlareEngine], tmp_path: Path, order: Order
) -> None:
    seen: dict[str, bytes] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        folder = Path(request["folder"])
        seen.update({str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.json")})
        return {"job": "job-1"}

    engine = serve(answer)
    assert engine.submit(order, b"start", tmp_path / "attempt-1") == "job-1"
    assert seen["site/config/order.json"] == order.as_json()
    assert find_attempt(tmp_path, order) == tmp_path / "attempt-1"
    assert list((tmp_path / "outbox").iterdir()) == []


def test_without_its_server_the_engine_says_so_and_hangs_on_nothing(
    tmp_path: Path, order: Order
) -> None:
    engine = FlareEngine(tmp_path, space=SPACE, timeout_s=0.5)
    with pytest.raises(PeerError) as refused:
        engine.submit(order, b"", tmp_path / "attempt-1")
    assert refused.value.code == "engine.not_running"
    assert refused.value.retryable
    assert engine.sites() == frozenset()
    assert engine.status("job-1") is EngineStatus.UNKNOWN
    assert engine.refusals("job-1") == {}
    engine.abort("job-1")
    engine.close()


def test_a_server_that_never_answers_is_given_up_after_a_while(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        engine = FlareEngine(tmp_path, space=SPACE, timeout_s=0.2)
        assert engine.sites() == frozenset()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("SUBMITTED", EngineStatus.RUNNING),
        ("DISPATCHED", EngineStatus.RUNNING),
        ("RUNNING", EngineStatus.RUNNING),
        ("FINISHED:COMPLETED", EngineStatus.ENDED),
        ("FINISHED:EXECUTION_EXCEPTION", EngineStatus.ENDED),
        ("FAILED_TO_RUN", EngineStatus.ENDED),
        ("", EngineStatus.UNKNOWN),
    ],
)
def test_flares_status_becomes_one_of_three(
    serve: Callable[[Answer], FlareEngine], said: str, status: EngineStatus
) -> None:
    assert serve(lambda _: {"status": said}).status("job-1") is status


def test_refusals_are_told_by_hospital_in_the_nodes_own_words(
    serve: Callable[[Answer], FlareEngine],
) -> None:
    detail = [
        "server: OK",
        "east: NVFLARE_ERROR: gate.expired: The agreement ended: renew it.",
        "west: OK",
        "north: no reply (deployment timeout)",
        "num_ok_sites 1 < required_min_sites 2",
    ]
    engine = serve(lambda _: {"status": "FAILED_TO_RUN", "detail": detail})
    assert engine.refusals("job-1") == {
        participant_id(SPACE, "east"): "gate.expired: The agreement ended: renew it.",
        participant_id(SPACE, "north"): "no reply (deployment timeout)",
    }


def test_refused_tasks_are_told_too(
    serve: Callable[[Answer], FlareEngine], tmp_path: Path, order: Order
) -> None:
    engine = serve(lambda _: {"job": "job-1", "status": "RUNNING", "detail": []})
    attempt = tmp_path / "attempt-1"
    attempt.mkdir()
    engine.submit(order, b"", attempt)
    line = {"round": 2, "site": "east", "refusal": "gate.revoked: It was revoked."}
    (attempt / REFUSALS_FILE).write_text(json.dumps(line) + "\n")
    assert engine.refusals("job-1") == {
        participant_id(SPACE, "east"): "gate.revoked: It was revoked."
    }


def test_an_error_of_the_servers_process_keeps_its_family(
    serve: Callable[[Answer], FlareEngine], tmp_path: Path, order: Order
) -> None:
    record = DeniedError("engine.may_not_submit", name="x").as_record()
    with pytest.raises(DeniedError) as refused:
        serve(lambda _: {"error": record}).submit(order, b"", tmp_path / "a")
    assert refused.value.code == "engine.may_not_submit"


def test_pruning_deletes_what_has_ended_and_keeps_what_runs(
    serve: Callable[[Answer], FlareEngine], tmp_path: Path, order: Order
) -> None:
    jobs = {"old": "FINISHED:COMPLETED", "new": "RUNNING"}
    deleted = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["call"] == "delete":
            deleted.append(request["job"])
        return {"jobs": jobs, "job": "new"}

    engine = serve(answer)
    engine.submit(order, b"", tmp_path / "a")
    engine.prune()
    assert deleted == ["old"]
    assert find_attempt(tmp_path, order)
    jobs.clear()
    engine.prune()
    assert list((tmp_path / "attempts").iterdir()) == []


def test_hub_and_node_hold_nothing_of_flare_and_its_processes_nothing_of_learning() -> None:
    script = """
import sys
from consilium.federation.flare import engine, jobs, kits, processes
from consilium.node import desk
print("HUB", [name for name in NAMES if name in sys.modules])
from consilium.federation.flare import client_main, server_main
print("ENGINE", [name for name in NAMES if name in sys.modules])
"""
    names = ("nvflare", "grpc", "torch", "sklearn", "scipy", "duckdb", "sqlalchemy", "fastapi")
    said = subprocess.run(
        [sys.executable, "-c", f"NAMES = {names!r}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    assert said == ["HUB []", "ENGINE ['nvflare', 'grpc']"]

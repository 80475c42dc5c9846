"""The hub and a node as the processes they are: their doors, their owners, their end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from consilium.hub.init import init_hub
from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import AdminClient
from consilium.kernel.clock import SystemClock
from consilium.kernel.identifiers import participant_id
from consilium.ledger.lifetime import DIE_WITH
from consilium.node.join import join_hub
from consilium.space.wire import is_served

pytestmark = pytest.mark.scenario

CLOCK = SystemClock()
READY_S = 60.0
"""Far beyond what a start takes on a quiet machine."""


def free_ports(count: int) -> list[int]:
    lines = [socket.socket() for _ in range(count)]
    for line in lines:
        line.bind(("127.0.0.1", 0))
    ports = [int(line.getsockname()[1]) for line in lines]
    for line in lines:
        line.close()
    return ports


def make_hub(home: Path, *, port: int, engine_port: int) -> None:
    init_hub(
        home,
        space="glioma",
        title="胶质瘤空间",
        host="localhost",
        clock=CLOCK,
        others={"hub.port": port, "hub.engine_port": engine_port, "hub.listen": "127.0.0.1"},
    )


def wait_for(holds: Callable[[], object], *, timeout_s: float = READY_S) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.02)


def consilium(*arguments: str, patron: int = 0) -> subprocess.Popen[str]:
    environment = {**os.environ, "LANG": "C.UTF-8"} | ({DIE_WITH: str(patron)} if patron else {})
    return subprocess.Popen(
        [sys.executable, "-m", "consilium", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


class Served:
    """One serving process, asked through its socket."""

    def __init__(self, home: Path, noun: str, *, patron: int) -> None:
        self.home = home
        self.process = consilium(noun, "serve", str(home), patron=patron)
        self.socket = home / "run" / "api.sock"
        try:
            wait_for(lambda: self.answers() or self.process.poll() is not None)
            assert self.process.poll() is None, self.process.communicate()[1]
        except BaseException:
            self.process.kill()
            raise

    def answers(self) -> bool:
        return is_served(self.home) and self.ask("GET", "/status").status_code == 200

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        with httpx.Client(transport=transport, base_url="http://served", timeout=30) as client:
            return client.request(method, path, json=body)

    def family(self) -> list[psutil.Process]:
        try:
            found = psutil.Process(self.process.pid)
            return [found, *found.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def patron() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody whose end is to end the hub."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, patron: subprocess.Popen[bytes]
) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("space") / "hub"
    port, engine_port = free_ports(2)
    make_hub(home, port=port, engine_port=engine_port)
    found = Served(home, "hub", patron=patron.pid)
    yield found
    found.process.terminate()
    found.process.communicate(timeout=30)


def test_the_office_shows_the_hub_as_it_is(hub: Served) -> None:
    status = hub.ask("GET", "/status").json()
    assert (status["space"], status["title"], status["sites"]) == ("glioma", "胶质瘤空间", [])
    assert status["engine"]["restarts"] == 0
    assert hub.ask("GET", "/members").json() == []
    assert hub.ask("GET", "/studies").json() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/witness/did:web:glioma:tiantan", None, 404, "hub.no_checkpoint"),
        ("GET", "/nothing", None, 404, "boundary.no_route"),
        ("POST", "/status", {}, 405, "boundary.no_route"),
    ],
)
def test_the_office_refuses_in_one_form(
    hub: Served, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = hub.ask(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["zh"]


def test_a_home_that_is_served_is_not_served_twice(hub: Served) -> None:
    second = consilium("hub", "serve", str(hub.home))
    _, words = second.communicate(timeout=READY_S)
    assert second.returncode == 5
    assert words.count("\n") == 1
    assert words.startswith("Another process already serves")
    assert hub.answers()


def test_a_taken_port_ends_the_start_in_one_sentence_and_leaves_nobody(
    hub: Served, tmp_path: Path
) -> None:
    settings = (hub.home / "hub.toml").read_text()
    port = int(settings.split("port = ")[1].split("\n")[0])
    make_hub(tmp_path / "other", port=port, engine_port=free_ports(1)[0])
    other = consilium("hub", "serve", str(tmp_path / "other"))
    _, words = other.communicate(timeout=READY_S)
    assert (other.returncode, words.count("\n")) == (5, 1), words
    assert f"Port {port} on 127.0.0.1 is taken" in words
    left = [one for one in psutil.process_iter() if str(tmp_path / "other") in _command(one)]
    assert left == []
    assert not (tmp_path / "other" / "run" / "api.sock").exists()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_a_node_is_told_what_is_missing_before_it_has_joined(tmp_path: Path) -> None:
    process = consilium("node", "serve", str(tmp_path))
    _, words = process.communicate(timeout=READY_S)
    assert (process.returncode, words.count("\n")) == (3, 1), words
    assert "Traceback" not in words


def test_a_node_serves_until_it_is_told_to_stop_and_leaves_nothing(hub: Served) -> None:
    office = AdminClient(hub.home / SIGNER)
    token = str(office.mint("tiantan", title="天坛医院")["token"])
    home = hub.home.parent / "tiantan"
    join_hub(home, token, clock=CLOCK)
    left = home / "intake" / "tmpabc"
    left.mkdir(parents=True)
    node = Served(home, "node", patron=os.getpid())
    family: list[psutil.Process] = []
    try:
        status = node.ask("GET", "/status").json()
        assert status["participant"] == participant_id("glioma", "tiantan")
        assert not left.exists()
        wait_for(lambda: node.ask("GET", "/status").json()["online"])
        (member,) = hub.ask("GET", "/members").json()
        assert (member["name"], member["online"]) == ("tiantan", True)
        (shown,) = node.ask("GET", "/catalog/members").json()
        assert shown["datasets"] == []
        second = consilium("node", "serve", str(home))
        assert second.communicate(timeout=READY_S)[1].startswith("Another process already serves")
        family = node.family()
        assert len(family) > 1
    finally:
        node.process.send_signal(signal.SIGTERM)
        _, words = node.process.communicate(timeout=30)
    assert node.process.returncode == 0, words
    assert "Traceback" not in words
    wait_for(lambda: all(map(is_gone, family)), timeout_s=15)
    assert [path.name for path in (home / "run").iterdir()] == ["lock"]


def test_a_hub_whose_patron_is_killed_ends_with_everything_it_started(
    hub: Served, patron: subprocess.Popen[bytes]
) -> None:
    family = hub.family()
    assert len(family) >= 3  # itself, its signer, its engine
    patron.kill()
    assert hub.process.wait(30) == 0
    wait_for(lambda: all(map(is_gone, family)), timeout_s=15)
    assert [path.name for path in (hub.home / "run").iterdir() if path.suffix == ".sock"] == []

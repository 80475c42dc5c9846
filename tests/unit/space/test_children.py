"""Processes of a space are found again and stopped; nobody else's are."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from consilium.kernel.errors import PeerError
from consilium.space.children import REGISTER, Children

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN)\n"
    "print('up', flush=True); time.sleep(60)",
)
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
    " start_new_session=True)\n"
    "print(p.pid, flush=True); time.sleep(60)",
)


@pytest.fixture
def started() -> Iterator[list[Children]]:
    """Keep what a test starts, and stop what it forgets."""
    kept: list[Children] = []
    yield kept
    for each in kept:
        each.stop()


def wait_for_log(children: Children, name: str) -> str:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        path = children.log_of(name)
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text().strip()
        time.sleep(0.02)
    raise AssertionError("the process said nothing")


def test_a_stopped_space_leaves_no_process_and_no_register(
    tmp_path: Path, started: list[Children]
) -> None:
    children = Children(tmp_path, mark="a", program=SLEEP)
    started.append(children)
    hub, node = children.start("hub", []), children.start("west", [])
    assert {child.name for child in children.alive()} == {"hub", "west"}
    assert children.stop() == 2
    assert hub.find() is None
    assert node.find() is None
    assert not (tmp_path / REGISTER).exists()
    assert children.stop() == 0


def test_a_later_command_stops_what_an_earlier_one_started(
    tmp_path: Path, started: list[Children]
) -> None:
    children = Children(tmp_path, mark="b", program=SLEEP)
    started.append(children)
    child = children.start("hub", [])
    found = Children.read(tmp_path)
    assert found is not None
    assert found.alive() == [child]
    assert found.stop() == 1
    assert child.find() is None


def test_a_process_that_will_not_end_is_killed(tmp_path: Path, started: list[Children]) -> None:
    children = Children(tmp_path, mark="c", program=STUBBORN, patience_s=0.3)
    started.append(children)
    child = children.start("hub", [])
    wait_for_log(children, "hub")
    children.stop()
    assert child.find() is None


def test_what_a_killed_process_had_started_is_found_by_its_mark(
    tmp_path: Path, started: list[Children]
) -> None:
    children = Children(tmp_path, mark=f"mark-{tmp_path.name}-{os.getpid()}", program=PARENT)
    started.append(children)
    child = children.start("hub", [])
    grandchild = psutil.Process(int(wait_for_log(children, "hub")))
    psutil.Process(child.pid).kill()
    children.stop()
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_stranger_with_a_recycled_number_is_left_alone(tmp_path: Path) -> None:
    entry = {"name": "hub", "pid": os.getpid(), "started": 1.0}
    (tmp_path / REGISTER).write_text(json.dumps({"mark": "nobody-has-it", "processes": [entry]}))
    found = Children.read(tmp_path)
    assert found is not None
    assert found.alive() == []
    assert found.stop() == 0


def test_a_home_without_register_or_with_a_broken_one_has_no_processes(tmp_path: Path) -> None:
    assert Children.read(tmp_path) is None
    (tmp_path / REGISTER).write_text('{"mark": ')
    assert Children.read(tmp_path) is None


def test_a_process_that_dies_is_reported_with_its_log(
    tmp_path: Path, started: list[Children]
) -> None:
    program = (sys.executable, "-c", "import sys; print('port 8440 is taken'); sys.exit(5)")
    children = Children(tmp_path, mark="d", program=program)
    started.append(children)
    child = children.start("hub", [])
    wait_for_log(children, "hub")
    psutil.wait_procs([psutil.Process(child.pid)], timeout=30)
    with pytest.raises(PeerError) as caught:
        children.check(child)
    assert caught.value.code == "space.process_died"
    assert "port 8440 is taken" in caught.value.detail
    assert str(children.log_of("hub")) in caught.value.public

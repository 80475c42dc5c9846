"""However a space's launcher goes, nothing of the space stays: no process, no open port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from whole_space import (
    LEAD,
    all_listening_ports,
    check_nothing_left,
    processes_with,
    wait_until,
)

from consilium.kernel.errors import ConsiliumError
from consilium.space.children import REGISTER
from consilium.space.client import connect
from consilium.space.home import hub_home, node_home

pytestmark = pytest.mark.scenario

COMMAND = [sys.executable, "-m", "consilium", "demo"]
INTERRUPTED = 130
STAGE_S = 120.0
END_S = 15.0
JOINING = "Starting the hub: 1/1"
TRAINING = "Negotiating agreements: 8/8"
"""What the demo says when hospitals begin to join, and when training begins."""


@dataclass(frozen=True)
class Demo:
    """A running `consilium demo`, and what its space is known by."""

    process: subprocess.Popen[str]
    home: Path
    mark: str
    ports: list[int]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: sockets have to fit into it."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def start_demo(home: Path, *, until: str) -> Demo:
    """Start the demo as a terminal would, in a group of its own, and wait for a stage."""
    process = subprocess.Popen(
        [*COMMAND, "--home", str(home)],
        cwd=home.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"CONSILIUM_LANG": "en", "LANG": "C", "LC_ALL": "C"},
        text=True,
        process_group=0,
    )
    said: list[str] = []
    for line in process.stderr or ():
        said.append(line)
        if until in line:
            break
    else:
        raise AssertionError(f"the demo ended early: {said}")
    register = json.loads((home / REGISTER).read_bytes())
    hub = tomllib.loads((hub_home(home) / "hub.toml").read_text())["hub"]
    demo = Demo(process, home, register["mark"], [hub["port"], hub["engine_port"]])
    assert len(list(processes_with(demo.mark))) >= 2
    assert hub["port"] in all_listening_ports()
    return demo


@pytest.mark.timeout(STAGE_S)
@pytest.mark.parametrize("stage", [JOINING, TRAINING])
def test_ctrl_c_ends_the_demo_and_everything_it_started(folder: Path, stage: str) -> None:
    demo = start_demo(folder / "demo", until=stage)
    if stage == JOINING:  # to the launcher alone, while its hospitals come up
        wait_until(lambda: serves_a_node(demo), within_s=60, what="the first node")
        demo.process.send_signal(signal.SIGINT)
    else:  # to the whole group, as a terminal does
        os.killpg(demo.process.pid, signal.SIGINT)
    _, rest = demo.process.communicate(timeout=2 * END_S)
    check_nothing_left(demo.mark, demo.ports)
    assert demo.process.returncode == INTERRUPTED
    assert "Stopped at your request" in rest
    assert "Traceback" not in rest
    assert not (demo.home / REGISTER).exists()
    for path in demo.home.rglob("*.sock"):
        with socket.socket(socket.AF_UNIX) as probe, pytest.raises(OSError):
            probe.connect(str(path))
    with pytest.raises(ConsiliumError, match="Nothing answers"):
        connect(node_home(demo.home, LEAD))


def serves_a_node(demo: Demo) -> bool:
    """Say whether one of the demo's hospitals has a process already."""
    with suppress(psutil.Error):
        return any("node" in process.cmdline() for process in processes_with(demo.mark))
    return False


@pytest.mark.timeout(STAGE_S)
def test_a_killed_launcher_takes_everything_it_started_along(folder: Path) -> None:
    demo = start_demo(folder / "demo", until=TRAINING)
    demo.process.kill()
    demo.process.communicate(timeout=END_S)
    wait_until(
        lambda: not list(processes_with(demo.mark)), within_s=END_S, what="the end of every process"
    )
    check_nothing_left(demo.mark, demo.ports)

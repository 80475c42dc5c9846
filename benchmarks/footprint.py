"""The memory of an idle space: hub with its engine server, node with its engine client.

    python -m benchmarks.footprint [--quick] [--json]

Proportional set sizes (PSS): pages that several processes share are counted in
parts. A machine that runs a whole space shares more than a hospital's own, so
the last node, and the hub, are measured once more when nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.commands import FailedError, end_cleanly, family, python, run, stop, tool
from benchmarks.measuring import MB, pss_mb, ratio

HUB = "hub"
SETTLE_S, QUICK_SETTLE_S = 30.0, 5.0
UP_S, STUDY_S = 120.0, 300.0
_SPACE = (tool("consilium"), "space")
_ROLES = {
    "flare.server_main": "engine server",
    "flare.client_main": "engine client",
    "signer": "signer",
    "hub serve": "hub",
    "node serve": "node",
}


def measure(*, settle_s: float) -> dict[str, Any]:
    """Bring a space up, measure it idle, after a study, and each kind of process alone."""
    with tempfile.TemporaryDirectory(prefix="foot-") as name:
        folder, home, file = Path(name), Path(name) / "space", Path(name) / "space.toml"
        run(python("-m", "benchmarks.common_study", str(folder)))
        with _space(file, home):
            time.sleep(settle_s)
            fresh = weigh(_pids(home))
            run([*_SPACE, "run", str(file), "--home", str(home)], folder=folder, timeout_s=STUDY_S)
            time.sleep(settle_s)
            after = weigh(_pids(home))
            parts = {name: breakdown(pid) for name, pid in _pids(home).items()}
            node = _last_node_alone(home, settle_s=settle_s)
        hub = _hub_alone(home / HUB, settle_s=settle_s)
    return {"idle": fresh, "after": after, "alone": {"hub": hub, "node": node}, "parts": parts}


def weigh(pids: dict[str, int]) -> dict[str, float]:
    """Return the hub's family and the greatest node's, in MB."""
    found = {name: pss_mb(family(pid)) for name, pid in pids.items()}
    return {"hub": found.pop(HUB), "node": max(found.values())}


def breakdown(pid: int) -> list[dict[str, Any]]:
    """Tell for each process of a family what it is and what it takes, in MB."""
    found: list[dict[str, Any]] = []
    for process in family(pid):
        facts = process.memory_full_info()
        role = role_of(" ".join(process.cmdline()))
        if found and any(each["role"] == role for each in found):
            role += " (fork)"
        found.append({"role": role, "pss": facts.pss / MB, "uss": facts.uss / MB})
    return found


def role_of(command: str) -> str:
    """Name a process by its command line."""
    return next((role for mark, role in _ROLES.items() if mark in command), "other")


@contextmanager
def _space(file: Path, home: Path) -> Iterator[None]:
    try:
        run([*_SPACE, "up", str(file), "--home", str(home)], timeout_s=UP_S)
        yield
    finally:
        run([*_SPACE, "down", "--home", str(home)], timeout_s=UP_S)


def _pids(home: Path) -> dict[str, int]:
    record = json.loads((home / "processes.json").read_text(encoding="utf-8"))
    return {each["name"]: each["pid"] for each in record["processes"]}


def _last_node_alone(home: Path, *, settle_s: float) -> float:
    """Stop everything but one node, and measure that."""
    pids = _pids(home)
    _, last = [name for name in pids if name != HUB][-2:]
    stop([psutil.Process(pid) for name, pid in pids.items() if name != last], patience_s=10.0)
    time.sleep(settle_s)
    return pss_mb(family(pids[last]))


def _hub_alone(home: Path, *, settle_s: float) -> float:
    """Serve the hub and nothing else, and measure it when its engine is up."""
    hub = subprocess.Popen(
        [tool("consilium"), "hub", "serve", str(home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_socket(hub, home / "run" / "api.sock")
        time.sleep(settle_s)
        return pss_mb(family(hub.pid))
    finally:
        stop([hub], patience_s=10.0)


def _await_socket(process: subprocess.Popen[bytes], path: Path) -> None:
    ends = time.monotonic() + UP_S
    while str(path) not in Path("/proc/net/unix").read_text(encoding="utf-8"):
        if process.poll() is not None or time.monotonic() > ends:
            raise FailedError("the hub did not come up alone")
        time.sleep(0.2)


def main() -> None:
    """Measure and print."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"settle {QUICK_SETTLE_S:.0f} s only")
    parser.add_argument("--json", action="store_true", help="one JSON object as last line")
    given = parser.parse_args()
    facts = measure(settle_s=QUICK_SETTLE_S if given.quick else SETTLE_S)
    for state in ("idle", "after", "alone"):
        hub, node = facts[state]["hub"], facts[state]["node"]
        print(f"{state:<6} hub {hub:.0f} MB, node {node:.0f} MB, ratio {ratio(node, hub):.2f}")
    for name, parts in facts["parts"].items():
        for part in parts:
            print(
                f"{name:<8} {part['role']:<22} PSS {part['pss']:.0f} MB, own {part['uss']:.0f} MB"
            )
    if given.json:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()

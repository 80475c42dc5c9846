"""The plain side: NVIDIA FLARE as shipped, its own FedAvg recipe, real processes.

Provisioned with FLARE's tool, started with the kits' own scripts, defaults
everywhere. Three paths and one port differ: the server's two stores and the
logs stay inside the benchmark's folder, and the sites connect through the
byte counter.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from benchmarks.common_study import CommonStudy
from benchmarks.measuring import Memory, Peak, family, overheads
from benchmarks.outcome import Outcome
from benchmarks.wiretap import Wiretap, free_ports
from consilium.federation.flare.lifeline import die_with_parent

PROJECT = "side_by_side"
SERVER, ADMIN = "localhost", "admin@nvidia.com"
READY_S = 120.0
RUN_S = 600.0
_ROUND = re.compile(r"^(\S+ \S+) .*Round (\d+) started\.")
_OVER = re.compile(r"^(\S+ \S+) .*Finished FedAvg\.")


class Broken(RuntimeError):
    """The plain side did not do what it should; the message says what."""


@dataclass(frozen=True, kw_only=True)
class PlainFlare:
    """A running deployment."""

    study: CommonStudy
    kits: Path
    arrays: Path
    processes: Mapping[str, subprocess.Popen[bytes]]
    job: subprocess.Popen[str]
    tap: Wiretap

    @property
    def server(self) -> int:
        """Process number of the server."""
        return self.processes[SERVER].pid

    @property
    def sites(self) -> list[int]:
        """Process numbers of the sites' clients."""
        return [self.processes[name].pid for name in self.study.names]

    def wait_ready(self) -> None:
        """Wait until every site has registered."""
        ends = time.monotonic() + READY_S
        log = self.kits / SERVER / "log.txt"
        for name in self.study.names:
            while f"client {name}" not in _read(log):
                self._check(log)
                if time.monotonic() > ends:
                    raise Broken(f"{name} did not register within {READY_S:.0f} s: see {log}")
                time.sleep(0.1)
        if not json.loads(_line(self.job.stdout)).get("ready"):
            raise Broken("the submitting process did not start")

    def memory(self) -> Memory:
        """Measure the memory now."""
        return Memory.now(self.server, self.sites)

    def run(self) -> Outcome:
        """Run the study once."""
        for name in self.study.names:
            (self.arrays / name / "work.jsonl").unlink(missing_ok=True)
        before = self.tap.total
        with Peak(self.server, self.sites) as peak:
            _say(self.job.stdin)
            marks = json.loads(_line(self.job.stdout))
        if not str(marks["status"]).endswith("COMPLETED") or not marks["result"]:
            raise Broken(f"the job ended as {marks['status']}")
        result = Path(marks["result"])
        starts, end = read_rounds(_server_log(result, self.kits))
        work = self._work()
        return Outcome(
            wall_s=marks["finished"] - marks["command"],
            first_round_s=starts[min(starts)] - marks["command"],
            last_round_s=marks["finished"] - end,
            overheads_s=overheads(starts, end, work),
            work_s=[max(each) for _, each in sorted(work.items())],
            wire_bytes=self.tap.total - before,
            peak=peak.memory,
            weights=np.load(next(result.rglob("server.npy")), allow_pickle=False).tolist(),
        )

    def _work(self) -> dict[int, list[float]]:
        work: dict[int, list[float]] = {}
        for name in self.study.names:
            for text in (self.arrays / name / "work.jsonl").read_text().splitlines():
                line = json.loads(text)
                work.setdefault(line["round"], []).append(line["ended"] - line["began"])
        return work

    def _check(self, log: Path) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Broken(f"{name} ended with {process.returncode}: see {log}")


@contextmanager
def plain_flare(study: CommonStudy, folder: Path, *, arrays: Path) -> Iterator[PlainFlare]:
    """Provision and start a deployment; stop every process of it at the end.

    The sites are not awaited here, see `PlainFlare.wait_ready`.
    """
    folder.mkdir(parents=True)
    port, admin_port = free_ports(2)
    kits = provision(study, folder, port=port, admin_port=admin_port)
    with Wiretap(port) as tap:
        for name in study.names:
            _replace(kits / name / "startup" / "fed_client.json", f":{port}", f":{tap.port}")
        processes: dict[str, subprocess.Popen[bytes]] = {}
        job: subprocess.Popen[str] | None = None
        try:
            for name in (SERVER, *study.names):
                processes[name] = _start(kits / name, folder)
            job = _start_job(kits / ADMIN, arrays, folder)
            yield PlainFlare(
                study=study, kits=kits, arrays=arrays, processes=processes, job=job, tap=tap
            )
        finally:
            stop([each.pid for each in (job, *processes.values()) if each is not None])


def provision(study: CommonStudy, folder: Path, *, port: int, admin_port: int) -> Path:
    """Make the start-up kits with FLARE's tool; return their folder."""
    names = [f"  - {{name: {name}, type: client, org: bench}}" for name in study.names]
    impl = "nvflare.lighter.impl"
    lines = [
        "api_version: 3",
        f"name: {PROJECT}",
        "participants:",
        f"  - {{name: {SERVER}, type: server, org: bench, fed_learn_port: {port}, "
        f"admin_port: {admin_port}}}",
        *names,
        f"  - {{name: {ADMIN}, type: admin, org: bench, role: project_admin}}",
        "builders:",
        f"  - path: {impl}.workspace.WorkspaceBuilder",
        f"  - {{path: {impl}.static_file.StaticFileBuilder, args: {{config_folder: config}}}}",
        f"  - path: {impl}.cert.CertBuilder",
        f"  - path: {impl}.signature.SignatureBuilder",
    ]
    project = folder / "project.yml"
    project.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [_tool("nvflare"), "provision", "-p", str(project), "-w", str(folder / "kits")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    kits = folder / "kits" / PROJECT / "prod_00"
    if done.returncode or not kits.is_dir():
        raise Broken(f"nvflare provision failed:\n{done.stdout}\n{done.stderr}")
    _replace(kits / SERVER / "local" / "resources.json.default", "/tmp/nvflare", str(folder))
    return kits


def read_rounds(log: str) -> tuple[dict[int, float], float]:
    """Read from the server job's log when each round began, and when the last was over.

    Raises
    ------
    Broken
        When the log does not tell.
    """
    starts: dict[int, float] = {}
    end = 0.0
    for line in log.splitlines():
        if found := _ROUND.match(line):
            starts[int(found[2])] = _moment(found[1])
        elif found := _OVER.match(line):
            end = _moment(found[1])
    if not starts or not end:
        raise Broken("the server's log does not tell when the rounds began")
    return starts, end


def stop(pids: list[int]) -> None:
    """End processes and all that they started, by their numbers."""
    found = [process for pid in pids for process in family(pid)]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in found:
            try:
                process.send_signal(sign)
            except psutil.NoSuchProcess:
                continue
        _, found = psutil.wait_procs(found, timeout=3)


def _start(kit: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = [str(kit / "startup" / "sub_start.sh"), "--once"]
    with (folder / f"{kit.name}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=kit,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(folder),
            preexec_fn=partial(die_with_parent, os.getpid()),
        )


def _start_job(admin: Path, arrays: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("plain_job.py"))]
    with (folder / "job.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--admin", str(admin), "--folder", str(arrays)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(folder),
            preexec_fn=partial(die_with_parent, os.getpid()),
        )


def _environment(folder: Path) -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "TMPDIR": str(folder)}


def _server_log(result: Path, kits: Path) -> str:
    """Find the job's log at the server, wherever this version of FLARE leaves it."""
    places = [*result.rglob("log.txt"), *(kits / SERVER).rglob("log.txt")]
    return "\n".join(_read(place) for place in places if "Finished FedAvg" in _read(place))


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise Broken(f"{path.name} does not hold {old!r}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _say(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.write("run\n")
        stream.flush()


def _line(stream: IO[str] | None) -> str:
    text = stream.readline() if stream is not None else ""
    if not text:
        raise Broken("the submitting process ended")
    return text



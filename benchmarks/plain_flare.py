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
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.commands import FailedError, python, run, stop, tool
from benchmarks.common_study import CommonStudy
from benchmarks.measuring import Memory, Peak, overheads
from benchmarks.outcome import Outcome
from benchmarks.wiretap import Wiretap, free_ports
from consilium.federation.flare.lifeline import die_with_parent

PROJECT = "side_by_side"
SERVER, ADMIN = "localhost", "admin@nvidia.com"
READY_S = 120.0
RUN_S = 600.0
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) - ")
_ROUND = re.compile(r"\bRound (\d+) started\.")
_OVER = re.compile(r"\bFinished FedAvg\.")


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
                    raise FailedError(f"{name} did not register within {READY_S:.0f} s: see {log}")
                time.sleep(0.1)
        if not self._hear(READY_S).get("ready"):
            raise FailedError("the submitting process did not start")

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
            marks = self._hear(RUN_S)
        if not str(marks["status"]).endswith("COMPLETED") or not marks["result"]:
            raise FailedError(f"the job ended as {marks['status']}")
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

    def _hear(self, timeout_s: float) -> dict[str, Any]:
        """Read what the submitting process says; end it when it says nothing for too long."""
        late = threading.Timer(timeout_s, self.job.kill)
        late.start()
        text = self.job.stdout.readline() if self.job.stdout is not None else ""
        late.cancel()
        if not text:
            raise FailedError("the submitting process ended, or took too long")
        return dict(json.loads(text))

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
                raise FailedError(f"{name} ended with {process.returncode}: see {log}")


@contextmanager
def plain_flare(study: CommonStudy, folder: Path, *, arrays: Path) -> Iterator[PlainFlare]:
    """Provision and start a deployment; stop every process of it at the end.

    The sites are not awaited here, see `PlainFlare.wait_ready`.
    """
    folder.mkdir(parents=True)
    port, admin_port = free_ports(2)
    kits = provision(study, folder, port=port, admin_port=admin_port)
    with ExitStack() as stack:
        tap = stack.enter_context(Wiretap(port))
        for name in study.names:
            _replace(kits / name / "startup" / "fed_client.json", f":{port}", f":{tap.port}")
        started: list[subprocess.Popen[Any]] = []
        stack.callback(_close, started)
        for name in (SERVER, *study.names):
            started.append(_start(kits / name, folder))  # noqa: PERF401 - known at once, should the next fail
        processes = dict(zip((SERVER, *study.names), started, strict=True))
        job = _start_job(kits / ADMIN, arrays=arrays, folder=folder)
        started.append(job)
        yield PlainFlare(
            study=study, kits=kits, arrays=arrays, processes=processes, job=job, tap=tap
        )


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
    command = [tool("nvflare"), "provision", "-p", str(project), "-w", str(folder / "kits")]
    done = run(command, folder=folder, timeout_s=READY_S)
    kits = folder / "kits" / PROJECT / "prod_00"
    if not kits.is_dir():
        raise FailedError(f"nvflare provision made no kits:\n{done.text}")
    _replace(kits / SERVER / "local" / "resources.json.default", "/tmp/nvflare", str(folder))
    return kits


def read_rounds(log: str) -> tuple[dict[int, float], float]:
    """Read from the server job's log when each round began, and when the last was over.

    Raises
    ------
    FailedError
        When the log does not tell.
    """
    starts: dict[int, float] = {}
    end, said = 0.0, 0.0
    for line in log.splitlines():
        # FLARE writes these words in a box below the line that carries the time.
        if stamp := _TIME.match(line):
            said = _moment(stamp[1])
        if found := _ROUND.search(line):
            starts[int(found[1])] = said
        elif _OVER.search(line):
            end = said
    if not starts or not end:
        raise FailedError("the server's log does not tell when the rounds began")
    return starts, end


def _start(kit: Path, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{kit.name}.log").open("wb") as log:
        return subprocess.Popen(
            [str(kit / "startup" / "sub_start.sh"), "--once"],
            cwd=kit,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(folder),
            preexec_fn=partial(die_with_parent, os.getpid()),
        )


def _start_job(admin: Path, *, arrays: Path, folder: Path) -> subprocess.Popen[str]:
    command = python(str(Path(__file__).with_name("plain_job.py")))
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


def _close(started: list[subprocess.Popen[Any]]) -> None:
    stop(started)
    for process in started:
        with process:  # closes its pipes
            continue


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
        raise FailedError(f"{path.name} does not hold {old!r}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _say(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.write("run\n")
        stream.flush()

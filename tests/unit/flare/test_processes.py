"""Supervision and the forking helper: nothing outlives what it serves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from consilium.federation.flare.kits import Credentials, EngineAddress, write_server_kit
from consilium.federation.flare.processes import (
    PORT_TAKEN,
    PROXIED,
    SupervisedChild,
    client_command,
    server_command,
)

pytestmark = pytest.mark.slow

LONG_S = 30.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(text))


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., SupervisedChild]]:
    made: list[SupervisedChild] = []

    def make(text: str) -> SupervisedChild:
        child = SupervisedChild("child", script(text), folder=tmp_path)
        made.append(child)
        child.start()
        return child

    yield make
    for child in made:
        child.stop()


SLEEPER = "import time; time.sleep(600)"


def test_a_child_that_ends_is_started_again(supervise: Callable[..., SupervisedChild]) -> None:
    child = supervise(SLEEPER)
    first = child.state.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: child.state.restarts == 1, "a restart")
    wait_until(lambda: child.state.running, "running again")
    assert child.state.exit_status == -signal.SIGKILL
    assert child.state.pid not in (None, first)


def test_a_child_that_keeps_ending_is_started_less_and_less_often(
    supervise: Callable[..., SupervisedChild], tmp_path: Path
) -> None:
    child = supervise("import time; print(time.time())")
    wait_until(lambda: child.state.restarts == 2, "two restarts")
    wait_until(lambda: (tmp_path / "console.log").read_text().count("\n") == 3, "its third line")
    times = [float(line) for line in (tmp_path / "console.log").read_text().split()]
    first, second = times[1] - times[0], times[2] - times[1]
    assert first >= 1.0
    assert second >= 2.0


def test_stop_ends_the_whole_group_and_starts_nothing_again(
    supervise: Callable[..., SupervisedChild], tmp_path: Path
) -> None:
    child = supervise(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(below.pid, flush=True)
        time.sleep(600)
        """
    )
    log = tmp_path / "console.log"
    wait_until(lambda: log.read_text().endswith("\n"), "the process below")
    below, pid = int(log.read_text()), child.state.pid
    assert pid is not None
    child.stop(timeout_s=0.2)
    wait_until(lambda: is_gone(pid) and is_gone(below), "the group's end")
    assert not child.state.running
    assert child.state.restarts == 0


def test_stopping_twice_or_before_the_start_does_no_harm(tmp_path: Path) -> None:
    child = SupervisedChild("child", script(SLEEPER), folder=tmp_path)
    child.stop()
    child.start()
    assert not child.state.running
    child.stop()


KEEPER = """
import sys, time
from pathlib import Path
from consilium.federation.flare.processes import SupervisedChild
child = SupervisedChild("child", sys.argv[2:], folder=Path(sys.argv[1]))
child.start()
time.sleep(600)
"""
KEPT = """
import os, time
from consilium.federation.flare.lifeline import end_with_stream
pid = os.fork()
if pid == 0:
    time.sleep(600)
end_with_stream(0)
print(os.getpid(), pid, flush=True)
time.sleep(600)
"""


def test_a_killed_supervisor_takes_its_child_and_all_below_along(tmp_path: Path) -> None:
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(tmp_path), *script(KEPT)])
    log = tmp_path / "console.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), "the kept processes")
    kept, below = (int(word) for word in log.read_text().split())
    keeper.kill()
    keeper.wait()
    began = time.monotonic()
    wait_until(lambda: is_gone(kept) and is_gone(below), "their end")
    assert time.monotonic() - began < 5


FORKER = """
import json, os, sys, time
from consilium.federation.flare.forker import Forker

def run(argv):
    print(json.dumps([argv, os.environ.get("WORD"), os.getpid(), os.getppid()]), flush=True)
    if argv[0] == "sleep":
        time.sleep(600)
    if argv[0] == "raise":
        raise RuntimeError("a job's own failure")
    return int(argv[1])

forker = Forker(run)
"""


def run_script(text: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", FORKER + textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_each_job_is_a_process_of_its_own_with_its_own_variables_and_status() -> None:
    said = run_script(
        """
        jobs = [forker.start(["end", str(n)], {"WORD": str(n)}) for n in (0, 3)]
        jobs.append(forker.start(["raise"], {}))
        assert all(job.wait(30) for job in jobs)
        print("statuses", [job.status for job in jobs], "WORD" in os.environ)
        assert all(job.pid for job in jobs) and len({job.pid for job in jobs}) == 3
        """
    )
    assert "statuses [0, 3, 1] False" in said
    assert sum('["end", "3"], "3"' in line for line in said) == 1


def test_a_job_can_be_ended_and_the_next_one_still_runs() -> None:
    said = run_script(
        """
        job = forker.start(["sleep"], {})
        while not job.pid:
            time.sleep(0.01)
        assert job.status is None
        job.kill()
        assert job.wait(30)
        later = forker.start(["end", "0"], {})
        assert later.wait(30)
        print("statuses", job.status, later.status)
        """
    )
    assert "statuses -9 0" in said


def test_jobs_end_with_the_helper_and_their_end_is_told() -> None:
    said = run_script(
        """
        import signal
        job = forker.start(["sleep"], {})
        while not job.pid:
            time.sleep(0.01)
        print("job", job.pid)
        os.kill(forker.pid, signal.SIGKILL)
        assert job.wait(30)
        print("status", job.status)
        """
    )
    assert "status -9" in said
    job = next(int(line.split()[1]) for line in said if line.startswith("job "))
    wait_until(lambda: is_gone(job), "the job's end")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_helper_and_jobs_end_with_the_engines_process(how: signal.Signals) -> None:
    engine = subprocess.Popen(
        [
            sys.executable,
            "-c",
            FORKER + 'job = forker.start(["sleep"], {})\ntime.sleep(600)\n',
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    line = engine.stdout.readline()
    job, helper = (int(word.strip(",]")) for word in line.split()[-2:])
    engine.send_signal(how)
    engine.wait()
    wait_until(lambda: is_gone(job) and is_gone(helper), "their end")
    engine.stdout.close()


def test_a_process_with_threads_makes_no_helper() -> None:
    said = run_script(
        """
        import threading
        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
        try:
            Forker(run)
        except Exception as error:
            print(error.code)
        """
    )
    assert "engine.threads_before_fork" in said


def test_a_server_whose_port_is_taken_says_so_at_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        credentials = Credentials(root=b"root", certificate=b"certificate", key=b"key")
        address = EngineAddress(
            host="localhost", port=other.getsockname()[1], project="space", server="engine.space"
        )
        write_server_kit(
            tmp_path / "kit", address=address, credentials=credentials, submitter=tmp_path
        )
        ran = subprocess.run(
            server_command(tmp_path / "kit"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    assert ran.returncode == PORT_TAKEN
    assert "is taken by another process" in ran.stderr


def test_a_secret_reaches_a_child_by_its_input_and_by_no_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "grpc_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "http://north:geheim@proxy:1")
    text = """
        import os, sys
        print(sys.stdin.readline(), [name for name in os.environ if "proxy" in name.lower()])
        os.read(0, 1)
        """
    child = SupervisedChild("child", script(text), folder=tmp_path, told=b"geheim\n")
    child.start()
    log = tmp_path / "console.log"
    try:
        wait_until(lambda: log.read_text().endswith("\n"), "the child's words")
        pid = child.state.pid
        assert pid is not None
        process = psutil.Process(pid)
        assert "geheim" not in f"{process.cmdline()} {process.environ()}"
    finally:
        child.stop()
    assert log.read_text().split() == ["geheim", "[]"]


def test_only_a_proxied_client_expects_a_first_line(tmp_path: Path) -> None:
    assert client_command(tmp_path, proxied=True) == (*client_command(tmp_path), PROXIED)

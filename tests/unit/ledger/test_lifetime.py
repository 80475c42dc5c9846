"""A home has one owner at a time, and a process ends when it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consilium.kernel.errors import StateError
from consilium.ledger.lifetime import DIE_WITH, own_home

HOLD = """
import sys
from pathlib import Path
from consilium.ledger.lifetime import own_home
with own_home(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""
WAIT = """
import os
from consilium.ledger.lifetime import stop_on_signals
stop = stop_on_signals(os.environ)
print("ready", flush=True)
raise SystemExit(0 if stop.wait(20) else 9)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python processes; whatever still runs is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_a_home_that_another_process_serves_is_refused(tmp_path: Path, start: Start) -> None:
    start(HOLD, str(tmp_path))
    with pytest.raises(StateError) as caught, own_home(tmp_path):
        pytest.fail("two owners")
    assert caught.value.code == "ledger.home_taken"
    assert str(tmp_path) in caught.value.public


def test_the_lock_goes_with_a_killed_process(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, str(tmp_path))
    holder.kill()
    holder.wait()
    with own_home(tmp_path):
        pass


def test_the_lock_goes_with_its_block_and_an_error_inside_stays_what_it_is(
    tmp_path: Path,
) -> None:
    with pytest.raises(FileNotFoundError), own_home(tmp_path):
        (tmp_path / "nothing").read_bytes()
    with own_home(tmp_path), pytest.raises(StateError), own_home(tmp_path):
        pytest.fail("two owners")
    assert (tmp_path / "run").stat().st_mode & 0o077 == 0


def test_two_homes_have_two_owners(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with own_home(tmp_path / "a"), own_home(tmp_path / "b"):
        pass


def test_a_home_that_cannot_be_locked_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught, own_home(tmp_path / "absent"):
        pytest.fail("owned nothing")
    assert caught.value.code == "ledger.cannot_write"
    (tmp_path / "run").write_text("a file stands here")
    with pytest.raises(StateError) as caught, own_home(tmp_path):
        pytest.fail("owned nothing")
    assert caught.value.code == "ledger.cannot_write"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_in_order(start: Start, number: signal.Signals) -> None:
    process = start(WAIT)
    process.send_signal(number)
    assert process.wait(10) == 0


def test_a_process_ends_when_its_patron_is_killed(start: Start) -> None:
    patron = start("import sys; print('ready', flush=True); sys.stdin.read()")
    ours = start(WAIT, **{DIE_WITH: str(patron.pid)})
    other = start(WAIT, **{DIE_WITH: "no number"})
    patron.kill()  # not waited for: it stays as a zombie, which is gone for us
    assert ours.wait(10) == 0
    assert other.poll() is None


def test_a_process_whose_patron_is_gone_already_ends_at_once(start: Start) -> None:
    patron = start("print('ready', flush=True)")
    patron.wait()
    assert start(WAIT, **{DIE_WITH: str(patron.pid)}).wait(10) == 0

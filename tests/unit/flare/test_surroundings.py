"""What an engine process clears away at its start, and what it leaves."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from consilium.federation.flare.surroundings import prepare_kit, prune_logs
from consilium.kernel.errors import NotFoundError

JOB = "9f163ea6-1397-4969-97cb-2815ca27164e"


@pytest.fixture(autouse=True)
def _same_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "NVFL_LOG_ROOT", "NVFLARE_CLIENT_OUTCOME_WAIT_TIMEOUT"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)


def test_a_folder_that_is_no_kit_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / JOB).mkdir()
    with pytest.raises(NotFoundError):
        prepare_kit(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tmp", JOB}


def test_what_earlier_jobs_left_goes_and_everything_else_stays(tmp_path: Path) -> None:
    for name in ("startup", "local", "attempts", "mine", JOB, "jobs/old", "tmp/old", "outbox/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "startup" / "rootCA.pem").touch()
    prepare_kit(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "startup",
        "local",
        "attempts",
        "mine",
        "logs",
        "tmp",
    }
    assert list((tmp_path / "tmp").iterdir()) == []
    assert os.environ["TMPDIR"] == str(tmp_path / "tmp")
    assert tempfile.gettempdir() == str(tmp_path / "tmp")


def test_only_the_youngest_logs_are_kept(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / "east" / f"job-{number}"
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    (tmp_path / "east" / "log.txt").touch()
    prune_logs(tmp_path, keep=2)
    assert {path.name for path in (tmp_path / "east").iterdir()} == {"job-4", "job-5", "log.txt"}

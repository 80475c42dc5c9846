"""What surrounds FLARE's own main programs: folders, variables, command line.

FLARE reads much from the environment and the command line and leaves files in
several places. Here everything is set so that a process stays inside its kit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from consilium.kernel.errors import NotFoundError

NO_FOLDER = os.devnull
"""Given as run folder, so that FLARE leaves no return-code file: the helper reports ends."""

_JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PASSING = {"tmp", "jobs", "outbox"}
_KEPT_LOGS = 20


def prepare_kit(kit: Path) -> None:
    """Clear what an earlier process left in a kit, and keep this one's files inside.

    Everything of earlier jobs goes except the last few logs: a study's truth is
    in its own folder, and FLARE would take a job that a crash interrupted for
    running for ever.

    Raises
    ------
    NotFoundError
        `engine.no_kit` when the folder is none of ours; nothing is removed then.

    Discloses
    ---------
    Nothing.
    """
    if not (kit / "startup" / "rootCA.pem").is_file():
        raise NotFoundError("engine.no_kit", folder=str(kit))
    temporary, logs = kit / "tmp", kit / "logs"
    for folder in kit.iterdir():
        if folder.is_dir() and (_JOB.fullmatch(folder.name) or folder.name in _PASSING):
            shutil.rmtree(folder, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    logs.mkdir(mode=0o700, exist_ok=True)
    prune_logs(logs)
    os.environ |= {
        "TMPDIR": str(temporary),
        "NVFL_LOG_ROOT": str(logs),
        # A finished job waits for each site's last word; a lost site would hold it for 15 minutes.
        "NVFLARE_CLIENT_OUTCOME_WAIT_TIMEOUT": "10",
    }
    tempfile.tempdir = None


def prune_logs(logs: Path, *, keep: int = _KEPT_LOGS) -> None:
    """Remove all but the youngest job logs (`logs/<name>/<job>/`).

    Discloses
    ---------
    Nothing.
    """
    folders = [folder for folder in logs.glob("*/*") if folder.is_dir()]
    folders.sort(key=lambda folder: folder.stat().st_mtime)
    for folder in folders[: max(0, len(folders) - keep)]:
        shutil.rmtree(folder, ignore_errors=True)


def read_startup(kit: Path, name: str) -> dict[str, Any]:
    """Read one of a kit's start-up files.

    Discloses
    ---------
    Nothing.
    """
    return dict(json.loads((kit / "startup" / name).read_bytes()))


def become(module: ModuleType, kit: Path, startup: str, options: Sequence[str]) -> Any:
    """Set this process's command line as FLARE's script would have it, and parse it.

    Discloses
    ---------
    Nothing.
    """
    settings = ["secure_train=true", "org=consilium", "config_folder=config", *options]
    sys.argv = [module.__name__, "-m", str(kit), "-s", startup, "--set", *settings]
    return module.parse_arguments()

"""A hospital's FLARE client as a process: `python -m consilium.federation.flare.client_main KIT`.

Imports first, then forks the helper, then becomes FLARE's own client. The order
matters: the helper must be made while this process is still one thread without
connections.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nvflare.fuel.f3.mpm import MainProcessMonitor
from nvflare.fuel.f3.sfm import conn_manager
from nvflare.fuel.utils.class_loader import load_class
from nvflare.private.fed.app.client import client_train, worker_process

from consilium.federation.flare import executor, validator
from consilium.federation.flare.forker import Forker
from consilium.federation.flare.kits import DESK_COMPONENT, HEART_BEAT_S
from consilium.federation.flare.launcher import use_forker
from consilium.federation.flare.lifeline import end_with_child, end_with_stream
from consilium.federation.flare.processes import PROXIED
from consilium.federation.flare.restriction import restrict_hub
from consilium.federation.flare.surroundings import NO_FOLDER, become, prepare_kit, read_startup
from consilium.federation.ports import Desk

WARM = (executor, validator)
"""What the helper shares with every job: imported here so that it is there before the fork."""

LONGEST_PAUSE_S = 2
"""Between attempts to reach the hub; FLARE lets it grow to ten seconds."""


_THROUGH_PARENT = {"NVFLARE_BACKBONE_CONN_GEN": "1"}
"""Lets a job's process speak with the hub through this process alone, not by a line of its own."""

_LONGEST_LINE = 4096
"""Bytes that a pipe hands over at once, written in one piece."""


def main(argv: Sequence[str]) -> int:
    """Run a site's engine until it is stopped.

    Discloses
    ---------
    Nothing by itself; jobs speak with the hub only through the desk's gate.
    """
    kit = Path(argv[1]).absolute()
    prepare_kit(kit)
    restrict_hub(_open_desk(kit))
    conn_manager.MAX_WAIT = LONGEST_PAUSE_S
    if PROXIED in argv:
        os.environ |= _THROUGH_PARENT
    forker = Forker(run_job)
    use_forker(forker)
    if PROXIED in argv:
        _use_proxy()
    end_with_stream(0)
    end_with_child(forker.pid)
    name = str(read_startup(kit, "fed_client.json")["client"]["fqsn"])
    options = [f"uid={name}", f"heart_beat_interval={HEART_BEAT_S}"]
    args = become(client_train, kit, "fed_client.json", options)
    return int(
        MainProcessMonitor.run(main_func=client_train.main, run_dir=str(kit), args=args) or 0
    )


def _use_proxy() -> None:
    """Reach the hub through the proxy of the supervisor's first line.

    The engine's library looks at the variable whenever it connects. It is set after
    the fork of the helper, so that no job's process knows the proxy's password; jobs
    reach the hub through this process.
    """
    os.environ |= {"grpc_proxy": os.read(0, _LONGEST_LINE).decode("utf-8").strip()}


def _open_desk(kit: Path) -> Desk:
    """Make the node's counter from the hospital's own kit, as a job's process does."""
    entries = json.loads((kit / "local" / "job_resources.json").read_bytes())["components"]
    [entry] = [one for one in entries if one["id"] == DESK_COMPONENT]
    desk: Desk = load_class(entry["path"])(**entry["args"])
    return desk


def run_job(argv: Sequence[str]) -> int:
    """Be one job's process; called in a fresh fork.

    Discloses
    ---------
    Nothing by itself.
    """
    sys.argv = ["client-job", *argv]
    args: Any = worker_process.parse_arguments()
    run: Any = MainProcessMonitor.run
    status = run(
        main_func=worker_process.main, run_dir=NO_FOLDER, shutdown_grace_time=0.2, args=args
    )
    return int(status or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

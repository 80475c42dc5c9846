"""The hub's FLARE server as a process: `python -m consilium.federation.flare.server_main KIT`.

Built like the hospital's side (`client_main`): imports, then the helper, then
FLARE's own server.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nvflare.fuel.f3.mpm import MainProcessMonitor
from nvflare.private.fed.app.server import runner_process, server_train

from consilium.federation.flare import control, controller
from consilium.federation.flare.credentials import follow_certificate
from consilium.federation.flare.forker import Forker
from consilium.federation.flare.launcher import use_forker
from consilium.federation.flare.lifeline import end_with_child, end_with_stream
from consilium.federation.flare.processes import PORT_TAKEN
from consilium.federation.flare.surroundings import NO_FOLDER, become, prepare_kit, read_startup

WARM = (control, controller)
"""What the helper shares with every job: imported here so that it is there before the fork."""


def main(argv: Sequence[str]) -> int:
    """Run the hub's engine until it is stopped.

    Discloses
    ---------
    Nothing by itself; the server listens on the port of its kit.
    """
    kit = Path(argv[1]).absolute()
    port = int(read_startup(kit, "fed_server.json")["servers"][0]["admin_port"])
    if not _is_free(port):
        sys.stderr.write(f"port {port} is taken by another process\n")
        return PORT_TAKEN
    prepare_kit(kit)
    follow_certificate()
    forker = Forker(run_job)
    use_forker(forker)
    end_with_stream(0)
    end_with_child(forker.pid)
    args = become(server_train, kit, "fed_server.json", [])
    return int(
        MainProcessMonitor.run(main_func=server_train.main, run_dir=str(kit), args=args) or 0
    )


def run_job(argv: Sequence[str]) -> int:
    """Be one job's process; called in a fresh fork.

    Discloses
    ---------
    Nothing by itself.
    """
    sys.argv = ["server-job", *argv]
    args: Any = runner_process.parse_arguments()
    run: Any = MainProcessMonitor.run
    status = run(
        main_func=runner_process.main, run_dir=NO_FOLDER, shutdown_grace_time=0.2, args=args
    )
    return int(status or 0)


def _is_free(port: int) -> bool:
    # gRPC lets two servers share a port, so it would not notice.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv))

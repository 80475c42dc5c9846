"""Takes away from the hub what it may not ask of a hospital.

FLARE trusts its server: the server says itself whether a command to a site
needs authorisation, and among the commands are a shell, a restart and a new
logging configuration, which can name any class. Trust here does not rest on
the hub, so a site answers only the few commands that jobs need, takes each job
once, and the network agent, which would answer questions about this machine
and move the site to another server, is not there at all.
"""

from __future__ import annotations

import io
import threading
import zipfile
from typing import Any

import nvflare.private.fed.client.fed_client_base as fed_client_base
from nvflare.private.admin_defs import Message, error_reply
from nvflare.private.defs import RequestHeader
from nvflare.private.fed.client.admin_commands import (
    AbortCommand,
    AbortTaskCommand,
    AdminCommands,
    ByeCommand,
    CheckStatusCommand,
)
from nvflare.private.fed.client.client_req_processors import ClientRequestProcessors
from nvflare.private.fed.client.scheduler_cmds import (
    CancelResourceProcessor,
    CheckResourceProcessor,
    StartJobProcessor,
)
from nvflare.private.fed.client.training_cmds import (
    AbortAppProcessor,
    AbortTaskProcessor,
    ClientStatusProcessor,
    DeleteRunNumberProcessor,
    DeployProcessor,
    NotifyJobStatusProcessor,
)

from consilium.gate.orders import LARGEST_ORDER
from consilium.kernel.errors import DeniedError

_LARGEST_JOB = 2 * LARGEST_ORDER


class DeployOnce(DeployProcessor):
    """Takes each job once, one at a time, and only if it is small.

    A second delivery under the same name could otherwise change a job's files
    after they were judged and before its process reads them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def process(self, req: Message, app_ctx: Any) -> Message:
        """Have a job judged and unpacked, or refuse it."""
        job = str(req.get_header(RequestHeader.JOB_ID))
        with self._lock:
            if job in self._seen:
                return _refusal(DeniedError("engine.job_again"))
            self._seen.add(job)
            if not _is_small(req.body):
                return _refusal(DeniedError("engine.unknown_file", file="job"))
            return super().process(req, app_ctx)


def _is_small(body: object) -> bool:
    if not isinstance(body, bytes) or len(body) > _LARGEST_JOB:
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            return sum(entry.file_size for entry in packed.infolist()) <= _LARGEST_JOB
    except zipfile.BadZipFile:
        return False


def _refusal(error: DeniedError) -> Message:
    return error_reply(f"{error.code}: {error.public}")


_SITE_COMMANDS = (
    AbortAppProcessor,
    AbortTaskProcessor,
    CancelResourceProcessor,
    CheckResourceProcessor,
    ClientStatusProcessor,
    DeleteRunNumberProcessor,
    DeployOnce,
    NotifyJobStatusProcessor,
    StartJobProcessor,
)
_JOB_COMMANDS = (AbortCommand, AbortTaskCommand, ByeCommand, CheckStatusCommand)


class SilentAgent:
    """Stands where FLARE's network agent would, and answers nothing."""

    def __init__(self, cell: object) -> None:
        self._cell = cell

    def close(self) -> None:
        """Do nothing; there is nothing to close."""


def restrict_hub() -> None:
    """Leave the hub only the commands that jobs need; for the site and its job processes.

    Discloses
    ---------
    Nothing; it closes ways on which this machine would tell about itself.
    """
    ClientRequestProcessors.request_processors = [kind() for kind in _SITE_COMMANDS]
    AdminCommands.commands = [kind() for kind in _JOB_COMMANDS]
    fed_client_base.NetAgent = SilentAgent

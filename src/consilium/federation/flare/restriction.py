"""Takes away from the hub what it may not ask of a hospital.

FLARE trusts its server: the server says itself whether a command to a site
needs authorisation, and among the commands are a shell, a restart and a new
logging configuration, which can name any class. Trust here does not rest on
the hub, so a site answers only the few commands that jobs need, and the
network agent, which would answer questions about this machine and move the
site to another server, is not there at all.
"""

from __future__ import annotations

import nvflare.private.fed.client.fed_client_base as fed_client_base
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

_SITE_COMMANDS = (
    AbortAppProcessor,
    AbortTaskProcessor,
    CancelResourceProcessor,
    CheckResourceProcessor,
    ClientStatusProcessor,
    DeleteRunNumberProcessor,
    DeployProcessor,
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

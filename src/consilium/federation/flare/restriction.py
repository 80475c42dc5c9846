"""Takes away from the hub what it may not ask of a hospital.

FLARE trusts its server: the server says itself whether a command to a site
needs authorisation, and among the commands are a shell, a restart and a new
logging configuration, which can name any class. Trust here does not rest on
the hub, so a site answers only the few commands that jobs need, takes each job
once, and has every other command kept as evidence. The network agent, which
would answer questions about this machine and move the site to another server,
is not there at all.
"""

from __future__ import annotations

import io
import logging
import threading
import zipfile
from collections.abc import Iterable
from typing import Any

import nvflare.private.fed.client.fed_client_base as fed_client_base
from nvflare.private.admin_defs import Message, error_reply
from nvflare.private.defs import RequestHeader, new_cell_message
from nvflare.private.fed.app.client import client_train
from nvflare.private.fed.client.admin import FedAdminAgent, RequestProcessor
from nvflare.private.fed.client.admin_commands import (
    AbortCommand,
    AbortTaskCommand,
    AdminCommands,
    ByeCommand,
    CheckStatusCommand,
    CommandProcessor,
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

from consilium.federation.ports import Desk
from consilium.gate.orders import LARGEST_ORDER
from consilium.kernel.errors import ConsiliumError, DeniedError

_LARGEST_JOB = 2 * LARGEST_ORDER
_log = logging.getLogger(__name__)


class Witness:
    """Tells the node what the hub asked for in vain.

    Parameters
    ----------
    desk : Desk
        The node's counter.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def tell(self, refusal: DeniedError, *, what: str) -> None:
        """Have a refusal kept; it stands also if the node is away."""
        try:
            self._desk.report_refusal(refusal.code, refusal.public, what=what)
        except ConsiliumError as error:
            _log.warning("a refusal was not kept: %s", error.public)


class DeployOnce(DeployProcessor):
    """Takes each job once, one at a time, and only if it is small.

    A second delivery under the same name could otherwise change a job's files
    after they were judged and before its process reads them.

    Parameters
    ----------
    witness : Witness
        Hears of what was refused.
    """

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def process(self, req: Message, app_ctx: Any) -> Message:
        """Have a job judged and unpacked, or refuse it."""
        job = str(req.get_header(RequestHeader.JOB_ID))
        with self._lock:
            if job in self._seen:
                return self._refuse(DeniedError("engine.job_again"))
            self._seen.add(job)
            if not _is_small(req.body):
                return self._refuse(DeniedError("engine.unknown_file", file="job"))
            return super().process(req, app_ctx)

    def _refuse(self, error: DeniedError) -> Message:
        self._witness.tell(error, what="admission")
        return _refusal(error)


class RefusedRequest(RequestProcessor):
    """Answers every command of FLARE's that a hospital does not take from its hub.

    Parameters
    ----------
    topics : iterable of str
        Their names.
    witness : Witness
        Hears of each.
    """

    def __init__(self, topics: Iterable[str], witness: Witness) -> None:
        self._topics = sorted(topics)
        self._witness = witness

    def get_topics(self) -> list[str]:
        """Name the commands."""
        return self._topics

    def process(self, req: Message, app_ctx: Any) -> Message:  # noqa: ARG002
        """Refuse one."""
        error = DeniedError("engine.command_refused", command=req.topic)
        self._witness.tell(error, what="command")
        return _refusal(error)


class RestrictedAgent(FedAdminAgent):
    """Refuses before anything else is looked at: also who asks, which the hub says itself."""

    def _dispatch_request(self, request: Any) -> Any:
        asked = request.payload
        processor = self.processors.get(asked.topic) if isinstance(asked, Message) else None
        if isinstance(processor, RefusedRequest):
            return new_cell_message({}, processor.process(asked, None))
        return super()._dispatch_request(request)


class RefusedCommand(CommandProcessor):
    """The same for one command to a job's process.

    Parameters
    ----------
    name : str
        Of the command.
    witness : Witness
        Hears of it.
    """

    def __init__(self, name: str, witness: Witness) -> None:
        self._name = name
        self._witness = witness

    def get_command_name(self) -> str:
        """Name the command."""
        return self._name

    def process(self, data: object, fl_ctx: object) -> str:  # noqa: ARG002
        """Refuse it."""
        error = DeniedError("engine.command_refused", command=self._name)
        self._witness.tell(error, what="command")
        return f"{error.code}: {error.public}"


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


def restrict_hub(desk: Desk) -> None:
    """Leave the hub only the commands that jobs need; for the site and its job processes.

    What else it asks for is refused, and the node keeps that.

    Discloses
    ---------
    Nothing; it closes ways on which this machine would tell about itself.
    """
    witness = Witness(desk)
    site = [DeployOnce(witness), *(kind() for kind in _SITE_COMMANDS)]
    taken = {topic for one in site for topic in one.get_topics()}
    known = {
        topic for one in ClientRequestProcessors.request_processors for topic in one.get_topics()
    }
    refused = RefusedRequest(known - taken, witness)
    ClientRequestProcessors.request_processors = [*site, refused]
    job = [kind() for kind in _JOB_COMMANDS]
    names = {one.get_command_name() for one in AdminCommands.commands}
    names -= {one.get_command_name() for one in job}
    AdminCommands.commands = [*job, *(RefusedCommand(name, witness) for name in sorted(names))]
    client_train.FedAdminAgent = RestrictedAgent
    fed_client_base.NetAgent = SilentAgent

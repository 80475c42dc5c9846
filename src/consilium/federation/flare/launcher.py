"""FLARE's job launcher, on top of the helper that forks.

Configured in the kits as `process_launcher`. Two things differ from FLARE's
own. A job's process is forked warm instead of started cold. And a site's job
process that dies is reported as "unknown" instead of as an error, because an
error at one site would make FLARE fail the job for every site; whether enough
sites are left is the round loop's to decide.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import (
    JobHandleSpec,
    JobLauncherSpec,
    JobProcessArgs,
    JobReturnCode,
    add_launcher,
)
from nvflare.utils.job_launcher_utils import (
    get_client_job_args,
    get_credential_env,
    get_server_job_args,
)

from consilium.federation.flare.forker import ForkedJob, Forker
from consilium.federation.flare.surroundings import prune_logs
from consilium.kernel.errors import StateError

_forkers: list[Forker] = []


def use_forker(forker: Forker) -> None:
    """Name this process's helper, before FLARE builds the launcher from its class path."""
    _forkers[:] = [forker]


class ForkedJobHandle(JobHandleSpec):
    """A job's process as FLARE wants to see it."""

    def __init__(self, job: ForkedJob, *, on_failure: int) -> None:
        self._job = job
        self._on_failure = on_failure

    def terminate(self) -> None:
        """End the job at once."""
        with suppress(OSError):
            self._job.kill()

    def poll(self) -> int:
        """Return FLARE's code for how the job stands or ended."""
        if self._job.status is None:
            return int(JobReturnCode.UNKNOWN)
        return int(JobReturnCode.SUCCESS) if self._job.status == 0 else self._on_failure

    def wait(self) -> None:
        """Return when the job has ended."""
        self._job.wait()


class _ForkLauncher(JobLauncherSpec):
    """What both sides share: an argument list from FLARE's, then a fork."""

    arguments: tuple[str, ...]
    on_failure: int

    def launch_job(self, job_meta: dict[str, Any], fl_ctx: FLContext) -> JobHandleSpec:  # noqa: ARG002
        """Fork the process of one job."""
        if not _forkers:
            raise StateError("engine.no_forker")
        given = fl_ctx.get_prop(FLContextKey.JOB_PROCESS_ARGS)
        argv = list(_command_line(given, self.arguments))
        job = _forkers[0].start(argv, get_credential_env(given))
        return ForkedJobHandle(job, on_failure=self.on_failure)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Offer this launcher when FLARE looks for one."""
        if event_type == EventType.BEFORE_JOB_LAUNCH:
            add_launcher(self, fl_ctx)


class ClientForkLauncher(_ForkLauncher):
    """The launcher of a site."""

    arguments = tuple(get_client_job_args(include_exe_module=False))
    on_failure = int(JobReturnCode.UNKNOWN)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Clear a job's folder away when its process has ended; a few logs stay."""
        super().handle_event(event_type, fl_ctx)
        if event_type == EventType.JOB_COMPLETED:
            workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
            job = fl_ctx.get_prop(FLContextKey.CURRENT_JOB_ID)
            shutil.rmtree(workspace.get_run_dir(job), ignore_errors=True)
            prune_logs(Path(workspace.get_root_dir()) / "logs")


class ServerForkLauncher(_ForkLauncher):
    """The launcher of the hub: there, a job that dies has failed, for every site."""

    arguments = tuple(get_server_job_args(include_exe_module=False))
    on_failure = int(JobReturnCode.EXECUTION_ERROR)


def _command_line(given: dict[str, tuple[str, str]], names: Iterable[str]) -> Iterable[str]:
    for name in names:
        if name in given:
            option, value = given[name]
            yield option
            yield from value.split() if name == JobProcessArgs.OPTIONS else [str(value)]

"""The hospital's side of a running segment: tasks in, gated bytes out.

The executor holds no data and decides nothing. It hands each task to the site
worker, which asks the node's desk for the data, learns, and has the result
gated and signed by the node. What goes back are those bytes, or the code and
sentence of a refusal. Before its first task, and as early as FLARE lets it, it
tells the desk that it is there, so that the node can end it at any moment.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from consilium.federation.flare.jobs import ORDER_FILE
from consilium.federation.flare.kits import DESK_COMPONENT
from consilium.federation.ports import EVALUATE, TRAIN, JobDesk, SiteWork, Task
from consilium.federation.registry import Recipes
from consilium.federation.site import SiteWorker
from consilium.kernel.errors import ConsiliumError, DeniedError, StateError

ROUND = "round"
MODEL = "model"
REPLY = "reply"
REFUSAL = "refusal"
UNAUTHORIZED = "UNAUTHORIZED"
"""Return code of a denied task: FLARE has none of its own for it, and passes any along."""

_log = logging.getLogger(__name__)


class RecipeExecutor(Executor):
    """Does `train` and `evaluate` tasks. Takes no arguments, so a job can choose nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._worker: SiteWork | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Go to the desk as soon as the job's process has begun; a failure is told with the task.

        Discloses
        ---------
        Nothing.
        """
        if event_type == EventType.START_RUN:
            try:
                self._worker = _make_worker(fl_ctx)
            except ConsiliumError as error:
                _log.warning("%s: %s (%s)", error.code, error.public, error.detail)

    def execute(
        self,
        task_name: str,
        shareable: Shareable,
        fl_ctx: FLContext,
        abort_signal: Signal,  # noqa: ARG002
    ) -> Shareable:
        """Do one task.

        Discloses
        ---------
        The reply that the node's desk released, or a refusal's code and public
        sentence. Nothing else.
        """
        try:
            task = _as_task(task_name, shareable, fl_ctx)
            if self._worker is None:
                self._worker = _make_worker(fl_ctx)
            reply: Any = Shareable()
            reply[REPLY] = self._worker.work(task)
        except ConsiliumError as error:
            _log.warning("%s: %s (%s)", error.code, error.public, error.detail)
            denied = isinstance(error, DeniedError)
            reply = make_reply(UNAUTHORIZED if denied else ReturnCode.EXECUTION_EXCEPTION)
            reply[REFUSAL] = f"{error.code}: {error.public}"
        return reply


def _as_task(kind: str, shareable: Shareable, fl_ctx: FLContext) -> Task:
    number, model = shareable.get(ROUND), shareable.get(MODEL)
    if kind not in (TRAIN, EVALUATE) or type(number) is not int or not isinstance(model, bytes):
        refusal = DeniedError("engine.bad_task")
        _find_desk(fl_ctx).report_refusal(refusal.code, refusal.public, what="task")
        raise refusal
    return Task(kind=kind, round=number, model=model)


def _find_desk(fl_ctx: FLContext) -> JobDesk:
    engine: Any = fl_ctx.get_engine()
    desk: JobDesk | None = engine.client.components.get(DESK_COMPONENT)
    if desk is None:
        raise StateError("engine.no_desk")
    return desk


def _make_worker(fl_ctx: FLContext) -> SiteWork:
    desk = _find_desk(fl_ctx)
    workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
    app = Path(workspace.get_app_dir(fl_ctx.get_job_id()))
    order = (app / ORDER_FILE).read_bytes()
    desk.stay(order)
    return SiteWorker(order, desk=desk, recipes=Recipes())

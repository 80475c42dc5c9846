"""The hospital's side of a running segment: tasks in, gated bytes out.

The executor holds no data and decides nothing. It hands each task to the site
worker, which asks the node's desk for the data, learns, and has the result
gated and signed by the node. What goes back are those bytes, or the code and
sentence of a refusal. Before its first task, and as early as FLARE lets it, it
tells the desk that it is there, so that the node can end it at any moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
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
from consilium.gate.sums import Question
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import ConsiliumError, DeniedError, StateError

ROUND = "round"
MODEL = "model"
STEP = "step"
MESSAGE = "message"
QUESTION = "consilium.question"
"""Topic of FLARE's side requests that carry questions."""
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
            engine: Any = fl_ctx.get_engine()
            engine.register_aux_message_handler(topic=QUESTION, message_handle_func=self.answer)
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

        def work() -> bytes:
            task = _as_task(task_name, shareable, fl_ctx)
            return self._find_worker(fl_ctx).work(task)

        return _replied(work)

    def answer(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:  # noqa: ARG002
        """Answer one step of a secure sum; called from FLARE's own threads.

        Discloses
        ---------
        What the node's desk answers, or a refusal's code and public sentence.
        """

        def converse() -> bytes:
            question = _as_question(request, fl_ctx)
            return self._find_worker(fl_ctx).converse(question)

        return _replied(converse)

    def _find_worker(self, fl_ctx: FLContext) -> SiteWork:
        if self._worker is None:
            self._worker = _make_worker(fl_ctx)
        return self._worker


def _replied(call: Callable[[], bytes]) -> Shareable:
    """Give the bytes that a call returns, or its refusal, as FLARE's reply."""
    try:
        reply: Any = Shareable()
        reply[REPLY] = call()
    except ConsiliumError as error:
        _log.warning("%s: %s (%s)", error.code, error.public, error.detail)
        denied = isinstance(error, DeniedError)
        reply = make_reply(UNAUTHORIZED if denied else ReturnCode.EXECUTION_EXCEPTION)
        reply[REFUSAL] = f"{error.code}: {error.public}"
    return reply


def _as_question(request: Shareable, fl_ctx: FLContext) -> Question:
    number = request.get(ROUND)
    words = [request.get(name) for name in (STEP, MODEL)]
    message = request.get(MESSAGE)
    is_whole = type(number) is int and isinstance(message, bytes)
    if not is_whole or not all(isinstance(word, str) for word in words):
        raise _refuse_task(fl_ctx)
    return Question(step=words[0], round=number, model=Digest(words[1]), message=message)


def _as_task(kind: str, shareable: Shareable, fl_ctx: FLContext) -> Task:
    number, model = shareable.get(ROUND), shareable.get(MODEL)
    if kind not in (TRAIN, EVALUATE) or type(number) is not int or not isinstance(model, bytes):
        raise _refuse_task(fl_ctx)
    return Task(kind=kind, round=number, model=model)


def _refuse_task(fl_ctx: FLContext) -> DeniedError:
    refusal = DeniedError("engine.bad_task")
    _find_desk(fl_ctx).report_refusal(refusal.code, refusal.public, what="task")
    return refusal


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

"""The hub's side of a running segment: the common round loop above FLARE's tasks.

The job brings nothing but its order. Where the segment's folder is, and so the
model it starts from, stands in a file of the server's own kit, found by the
order's digest: a job that the hub did not prepare has no folder and ends.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.controller_spec import Task as FlareTask
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from consilium.federation.flare.attempts import find_attempt
from consilium.federation.flare.executor import (
    MESSAGE,
    MODEL,
    QUESTION,
    REFUSAL,
    REPLY,
    ROUND,
    STEP,
)
from consilium.federation.flare.jobs import ORDER_FILE, REFUSALS_FILE
from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import Note, Task
from consilium.federation.segment import run_segment
from consilium.gate.orders import LARGEST_ORDER, Order
from consilium.gate.sums import Question
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import ParticipantId, member_name

_LOOK_AGAIN_S = 0.1
_ANSWER_S = 5.0
"""Wait for one answer to a question before it is put again; the answer stays the same."""
_UNREACHED = {ReturnCode.COMMUNICATION_ERROR, ReturnCode.TOPIC_UNKNOWN, ReturnCode.TIMEOUT}
"""A job process that has not come up yet, or does not answer in time."""


class SegmentController(Controller):
    """Runs one attempt at one segment, and nothing that a job could choose."""

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Do nothing; everything happens in `control_flow`."""

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Do nothing; the folder is durable at every moment."""

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Run the round loop until the segment's end or an abort."""
        workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
        kit = Path(workspace.get_root_dir())
        app = Path(workspace.get_app_dir(fl_ctx.get_job_id()))
        order = Order.from_json((app / ORDER_FILE).read_bytes()[: LARGEST_ORDER + 1])
        folder = SegmentFolder(find_attempt(kit, order))
        refusals = folder.path / REFUSALS_FILE
        cast = FlareCast(self, fl_ctx, abort_signal, refusals=refusals, note=folder.note_answer)
        run_segment(
            order,
            folder.start(),
            cast=cast,
            ask=cast.ask,
            folder=folder,
            clock=SystemClock(),
        )

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """Drop a result that came after its round had closed."""


class FlareCast:
    """Sends a task to the sites through FLARE and gathers their replies.

    A site that FLARE holds for disconnected is left out, and no longer waited for.
    """

    def __init__(
        self,
        controller: Controller,
        fl_ctx: FLContext,
        abort_signal: Signal,
        *,
        refusals: Path,
        note: Note,
    ) -> None:
        self._communicator = controller.communicator
        self._context = fl_ctx
        self._engine = fl_ctx.get_engine()
        self._abort = abort_signal
        self._refusals = refusals
        self._note_answer = note
        self._members = {client.name for client in fl_ctx.get_engine().get_clients()}

    def __call__(
        self,
        task: Task,
        *,
        sites: Sequence[ParticipantId],
        deadline_s: float,
        quorum: int,  # noqa: ARG002
    ) -> dict[ParticipantId, bytes]:
        """Return the replies that came, by site."""
        names = {member_name(site): site for site in sites}
        asked = [name for name in sorted(names) if name in self._members and self._is_alive(name)]
        if not asked:
            self._check_abort()
            return {}

        def note(name: str, size: int) -> None:
            self._note_answer(task.kind, task.round, site=names[name], size=size)

        gathering = _Gathering(asked, note=note)
        sent = FlareTask(
            name=task.kind,
            data=_as_shareable(task),
            timeout=math.ceil(deadline_s) + 1,
            result_received_cb=gathering.receive,
        )
        self._communicator.broadcast(sent, self._context, targets=asked, min_responses=0)
        try:
            self._wait(gathering, deadline_s)
        finally:
            self._communicator.cancel_task(sent)
        self._note(task.round, gathering)
        return {names[name]: data for name, data in sorted(gathering.replies.items())}

    def ask(
        self, questions: Mapping[ParticipantId, Question], *, deadline_s: float
    ) -> dict[ParticipantId, bytes]:
        """Put each site's question to its job process, all at once.

        A site whose job process is not there yet is asked again until the
        deadline, as long as it is alive.
        """
        names = {member_name(site): site for site in questions}
        asked = [name for name in sorted(names) if name in self._members and self._is_alive(name)]
        gathering, end = _Gathering(asked), time.monotonic() + deadline_s
        for name in asked:
            threading.Thread(
                target=self._ask_one,
                args=(name, questions[names[name]], gathering, end),
                name=f"question to {name}",
                daemon=True,
            ).start()
        self._check_abort()
        self._wait(gathering, deadline_s)
        self._note(next((one.round for one in questions.values()), 0), gathering)
        return {names[name]: data for name, data in sorted(gathering.replies.items())}

    def _ask_one(self, name: str, question: Question, gathering: _Gathering, end: float) -> None:
        while (left := end - time.monotonic()) > 0 and self._is_wanted(name):
            with self._engine.new_context() as context:
                replies = self._engine.send_aux_request(
                    targets=[name],
                    topic=QUESTION,
                    request=_as_request(question),
                    timeout=min(left, _ANSWER_S),
                    fl_ctx=context,
                    optional=True,
                )
            if gathering.take(name, (replies or {}).get(name)):
                return
            time.sleep(_LOOK_AGAIN_S)

    def _wait(self, gathering: _Gathering, deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        while (left := end - time.monotonic()) > 0:
            self._check_abort()
            if not any(self._is_alive(name) for name in gathering.missing()):
                return
            gathering.changed.wait(min(left, _LOOK_AGAIN_S))
            gathering.changed.clear()

    def _note(self, number: int, gathering: _Gathering) -> None:
        if gathering.refusals:
            with self._refusals.open("ab") as file:
                for name, text in sorted(gathering.refusals.items()):
                    line = {"round": number, "site": name, "refusal": text}
                    file.write(json.dumps(line).encode() + b"\n")
                os.fsync(file.fileno())

    def _is_alive(self, name: str) -> bool:
        return self._communicator.get_client_disconnect_time(name) is None

    def _is_wanted(self, name: str) -> bool:
        return self._is_alive(name) and not self._abort.triggered

    def _check_abort(self) -> None:
        if self._abort.triggered:
            raise StateError("engine.aborted")


class _Gathering:
    """The replies to one task as they come, from FLARE's threads."""

    def __init__(
        self, asked: Sequence[str], *, note: Callable[[str, int], None] | None = None
    ) -> None:
        self.asked = tuple(asked)
        self.note = note
        self.replies: dict[str, bytes] = {}
        self.refusals: dict[str, str] = {}
        self.changed = threading.Event()

    def receive(self, client_task: ClientTask, fl_ctx: FLContext) -> None:  # noqa: ARG002
        """Take one site's result; anything that is no reply counts as a refusal."""
        self._keep(client_task.client.name, client_task.result)

    def take(self, name: str, result: Shareable | None) -> bool:
        """Take a site's answer to a question; False when it was never reached."""
        if result is None or result.get_return_code() in _UNREACHED:
            return False
        self._keep(name, result)
        return True

    def _keep(self, name: str, result: Shareable) -> None:
        reply = result.get(REPLY)
        if result.get_return_code() == ReturnCode.OK and isinstance(reply, bytes):
            self.replies[name] = reply
            if self.note is not None:
                self.note(name, len(reply))
        else:
            refusal = result.get(REFUSAL) or f"engine: {result.get_return_code()}"
            self.refusals[name] = str(refusal)[:2000]
        self.changed.set()

    def missing(self) -> list[str]:
        """Name the sites that have not answered."""
        return [
            name for name in self.asked if name not in self.replies and name not in self.refusals
        ]


def _as_request(question: Question) -> Shareable:
    data: Any = Shareable()
    data[STEP] = question.step
    data[ROUND] = question.round
    data[MODEL] = str(question.model)
    data[MESSAGE] = question.message
    return data


def _as_shareable(task: Task) -> Shareable:
    data: Any = Shareable()
    data[ROUND] = task.round
    data[MODEL] = task.model
    return data

"""Tasks on both sides of FLARE: the site's executor, the hub's cast, the watch for dead sites."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReturnCode, RunProcessKey
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from consilium.federation.flare.control import DeadSiteWatch, HubControl
from consilium.federation.flare.controller import FlareCast
from consilium.federation.flare.executor import (
    MESSAGE,
    MODEL,
    QUESTION,
    REFUSAL,
    REPLY,
    ROUND,
    STEP,
    UNAUTHORIZED,
    RecipeExecutor,
)
from consilium.federation.ports import EVALUATE, TRAIN, Task
from consilium.gate.orders import Order
from consilium.gate.sums import Question
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError, RecipeError, StateError
from consilium.kernel.identifiers import participant_id

from .conftest import FakeDesk

SPACE = "test.example"
SITES = [participant_id(SPACE, name) for name in ("east", "north", "west")]


class FakeContext:
    """As much of FLARE's context as our components ask for."""

    def __init__(self, folder: Path, components: Mapping[str, Any]) -> None:
        workspace = SimpleNamespace(get_app_dir=lambda job: str(folder))
        self._props = {FLContextKey.WORKSPACE_OBJECT: workspace}
        self.handlers: dict[str, Callable[..., Shareable]] = {}
        self._engine = SimpleNamespace(
            client=SimpleNamespace(components=components),
            register_aux_message_handler=self._register,
        )

    def _register(self, topic: str, message_handle_func: Callable[..., Shareable]) -> None:
        self.handlers[topic] = message_handle_func

    def get_prop(self, name: str) -> Any:
        return self._props[name]

    def get_engine(self) -> Any:
        return self._engine

    def get_job_id(self) -> str:
        return "job-1"


@pytest.fixture
def context(tmp_path: Path, order: Order, make_desk: Callable[..., FakeDesk]) -> Callable[..., Any]:
    (tmp_path / "app" / "config").mkdir(parents=True)
    (tmp_path / "app" / "config" / "order.json").write_bytes(order.as_json())

    def make(refusal: Any = None) -> Any:
        return FakeContext(tmp_path / "app", {"desk": make_desk(refusal)})

    return make


def execute(context: Any, kind: str = TRAIN, **content: Any) -> Shareable:
    data = Shareable()
    data.update({ROUND: 1, MODEL: b"model"} | content)
    return RecipeExecutor().execute(kind, data, context, Signal())


def own_content(reply: Shareable) -> dict[str, Any]:
    return {name: value for name, value in reply.items() if not name.startswith("__")}


def test_a_denied_lease_leaves_with_code_and_sentence_and_nothing_else(
    context: Callable[..., Any],
) -> None:
    refusal = DeniedError("engine.custom_code", detail="patient 4711")
    reply = execute(context(refusal))
    assert reply.get_return_code() == UNAUTHORIZED
    assert own_content(reply) == {REFUSAL: f"engine.custom_code: {refusal.public}"}


def test_a_failed_recipe_leaves_with_its_code_only(context: Callable[..., Any]) -> None:
    failure = RecipeError("engine.desk_failed", detail="value 4711 in row 3")
    reply = execute(context(failure))
    assert reply.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert "4711" not in str(own_content(reply))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("predict", {}),
        (TRAIN, {ROUND: "1"}),
        (TRAIN, {ROUND: True}),
        (EVALUATE, {MODEL: "text"}),
        (TRAIN, {MODEL: None}),
    ],
)
def test_a_task_of_another_form_never_reaches_the_desk(
    context: Callable[..., Any], kind: str, content: dict[str, Any]
) -> None:
    fake = context()
    reply = execute(fake, kind, **content)
    assert str(reply[REFUSAL]).startswith("engine.bad_task: ")
    desk = fake.get_engine().client.components["desk"]
    assert desk.asked == [("refused", "task engine.bad_task")], "kept, and asked nothing"


def test_the_job_goes_to_the_desk_as_soon_as_its_process_runs(
    context: Callable[..., Any], order: Order
) -> None:
    fake, executor = context(), RecipeExecutor()
    executor.handle_event(EventType.START_RUN, fake)
    assert fake.get_engine().client.components["desk"].asked == [("stay", order.as_json())]


def test_a_job_that_cannot_be_ended_does_not_begin(context: Callable[..., Any]) -> None:
    fake, executor = context(StateError("engine.desk_failed")), RecipeExecutor()
    executor.handle_event(EventType.START_RUN, fake)
    data = Shareable()
    data.update({ROUND: 1, MODEL: b"model"})
    reply = executor.execute(TRAIN, data, fake, Signal())
    assert str(reply[REFUSAL]).startswith("engine.desk_failed: ")
    asked = [call for call, _ in fake.get_engine().client.components["desk"].asked]
    assert asked == ["stay", "stay"], "it is tried again, and nothing is leased"


QUESTION_FIELDS = {STEP: "share", ROUND: 2, MODEL: str(digest_of(b"model")), MESSAGE: b"{}"}


def question(**changes: Any) -> Shareable:
    data = Shareable()
    data.update(QUESTION_FIELDS | changes)
    return data


def test_a_question_of_a_sum_reaches_the_desk_with_the_jobs_own_order(
    context: Callable[..., Any], order: Order
) -> None:
    fake, executor = context(), RecipeExecutor()
    executor.handle_event(EventType.START_RUN, fake)
    reply = fake.handlers[QUESTION](topic=QUESTION, request=question(), fl_ctx=fake)
    assert reply[REPLY] == b"answer to {}"
    asked = Question(step="share", round=2, model=digest_of(b"model"), message=b"{}")
    [_, heard] = fake.get_engine().client.components["desk"].asked
    assert heard == ("converse", (order.as_json(), asked))


@pytest.mark.parametrize(
    "change", [{ROUND: "2"}, {ROUND: True}, {MESSAGE: "{}"}, {STEP: None}, {MODEL: b"model"}]
)
def test_a_question_of_another_form_never_reaches_the_desk(
    context: Callable[..., Any], change: dict[str, Any]
) -> None:
    fake, executor = context(), RecipeExecutor()
    reply = executor.answer(QUESTION, question(**change), fake)
    assert str(reply[REFUSAL]).startswith("engine.bad_task: ")
    desk = fake.get_engine().client.components["desk"]
    assert desk.asked == [("refused", "task engine.bad_task")]


def test_without_a_desk_in_the_sites_kit_nothing_is_done(tmp_path: Path) -> None:
    reply = execute(FakeContext(tmp_path, {}))
    assert str(reply[REFUSAL]).startswith("engine.no_desk: ")


class FakeCommunicator:
    """Hands tasks to site functions, each in a thread of its own, as FLARE would."""

    def __init__(self, **sites: Callable[[Shareable], Shareable | None]) -> None:
        self.sites = sites
        self.dead: set[str] = set()
        self.asked: list[str] = []
        self.cancelled: list[Any] = []

    def get_client_disconnect_time(self, name: str) -> float | None:
        return 1.0 if name in self.dead else None

    def broadcast(self, task: Any, context: Any, *, targets: list[str], min_responses: int) -> None:
        assert min_responses == 0
        self.asked += targets
        for name in targets:
            threading.Thread(target=self._work, args=(task, name), daemon=True).start()

    def cancel_task(self, task: Any) -> None:
        self.cancelled.append(task)

    def send(self, targets: list[str], request: Shareable, **_: Any) -> dict[str, Shareable]:
        self.asked += targets
        answers = {name: self.sites[name](request) for name in targets}
        return {name: answer for name, answer in answers.items() if answer is not None}

    def _work(self, task: Any, name: str) -> None:
        result = self.sites[name](task.data)
        if result is not None:
            done = SimpleNamespace(client=SimpleNamespace(name=name), result=result)
            task.result_received_cb(client_task=done, fl_ctx=None)


def reply_with(data: bytes) -> Callable[[Shareable], Shareable]:
    def work(task: Shareable) -> Shareable:
        reply = Shareable()
        reply[REPLY] = data + task[MODEL]
        return reply

    return work


def refuse(task: Shareable) -> Shareable:
    reply = make_reply(UNAUTHORIZED)
    reply[REFUSAL] = "gate.revoked: It was revoked."
    return reply


def silent(task: Shareable) -> None:
    return None


@pytest.fixture
def make_cast(tmp_path: Path) -> Callable[..., tuple[FlareCast, FakeCommunicator, Signal]]:
    def make(**sites: Any) -> tuple[FlareCast, FakeCommunicator, Signal]:
        communicator, abort = FakeCommunicator(**sites), Signal()
        clients = [SimpleNamespace(name=name) for name in sites]
        engine = SimpleNamespace(
            get_clients=lambda: clients,
            new_context=lambda: nullcontext(None),
            send_aux_request=communicator.send,
        )
        context = SimpleNamespace(get_engine=lambda: engine)
        controller: Any = SimpleNamespace(communicator=communicator)
        cast = FlareCast(
            controller,
            context,
            abort,
            refusals=tmp_path / "refusals.jsonl",
            note=lambda *_, **__: None,
        )
        return cast, communicator, abort

    return make


def cast_task(cast: FlareCast, deadline_s: float = 30.0) -> dict[Any, bytes]:
    task = Task(kind=TRAIN, round=3, model=b"m")
    return cast(task, sites=SITES, deadline_s=deadline_s, quorum=2)


def test_a_cast_ends_as_soon_as_everyone_has_answered(make_cast: Callable[..., Any]) -> None:
    cast, communicator, _ = make_cast(east=reply_with(b"1"), north=refuse, west=reply_with(b"2"))
    assert cast_task(cast) == {SITES[0]: b"1m", SITES[2]: b"2m"}
    assert communicator.asked == ["east", "north", "west"]
    assert len(communicator.cancelled) == 1


def test_refusals_are_kept_for_the_hub(make_cast: Callable[..., Any], tmp_path: Path) -> None:
    cast, _, _ = make_cast(east=refuse, north=reply_with(b""), west=lambda _: make_reply("ERROR"))
    cast_task(cast)
    lines = (tmp_path / "refusals.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"round": 3, "site": "east", "refusal": "gate.revoked: It was revoked."},
        {"round": 3, "site": "west", "refusal": "engine: ERROR"},
    ]


def test_a_silent_site_costs_the_deadline(make_cast: Callable[..., Any]) -> None:
    cast, _, _ = make_cast(east=reply_with(b"1"), north=silent, west=silent)
    began = time.monotonic()
    assert cast_task(cast, deadline_s=0.5) == {SITES[0]: b"1m"}
    assert 0.5 <= time.monotonic() - began < 5


def test_a_dead_site_is_not_waited_for(make_cast: Callable[..., Any]) -> None:
    cast, communicator, _ = make_cast(east=reply_with(b"1"), north=silent, west=reply_with(b"2"))
    threading.Timer(0.3, lambda: communicator.dead.add("north")).start()
    began = time.monotonic()
    assert set(cast_task(cast)) == {SITES[0], SITES[2]}
    assert time.monotonic() - began < 10
    communicator.asked.clear()
    cast_task(cast)
    assert communicator.asked == ["east", "west"]  # nor asked again while it is dead


def test_sites_outside_the_job_are_not_asked(make_cast: Callable[..., Any]) -> None:
    cast, communicator, _ = make_cast(east=reply_with(b"1"))
    assert set(cast_task(cast)) == {SITES[0]}
    assert communicator.asked == ["east"]


def test_an_abort_ends_the_cast_at_once(make_cast: Callable[..., Any]) -> None:
    cast, communicator, abort = make_cast(east=silent, north=silent, west=silent)
    threading.Timer(0.2, lambda: abort.trigger(True)).start()
    began = time.monotonic()
    with pytest.raises(StateError) as stopped:
        cast_task(cast)
    assert stopped.value.code == "engine.aborted"
    assert time.monotonic() - began < 10
    assert len(communicator.cancelled) == 1


def answer_with(*results: str) -> Callable[[Shareable], Shareable]:
    """Fail with FLARE's return codes, one each time, and answer then."""
    left = [*results]

    def answer(request: Shareable) -> Shareable:
        if left:
            return make_reply(left.pop(0))
        reply = Shareable()
        reply[REPLY] = request[MESSAGE] + b" heard"
        return reply

    return answer


def ask_all(cast: FlareCast, deadline_s: float = 30.0) -> dict[Any, bytes]:
    model = digest_of(b"model")
    words = {
        site: Question(step="share", round=2, model=model, message=site[-4:].encode())
        for site in SITES
    }
    return cast.ask(words, deadline_s=deadline_s)


def test_each_site_gets_its_own_question_again_until_it_is_reached(
    make_cast: Callable[..., Any], tmp_path: Path
) -> None:
    late = answer_with(ReturnCode.COMMUNICATION_ERROR, ReturnCode.TOPIC_UNKNOWN)
    cast, communicator, _ = make_cast(east=answer_with(), north=late, west=refuse)
    assert ask_all(cast) == {SITES[0]: b"east heard", SITES[1]: b"orth heard"}
    assert sorted(communicator.asked) == ["east", "north", "north", "north", "west"]
    assert "gate.revoked" in (tmp_path / "refusals.jsonl").read_text()


def test_questions_wait_for_no_site_that_is_dead_nor_beyond_the_deadline(
    make_cast: Callable[..., Any],
) -> None:
    never = answer_with(*[ReturnCode.COMMUNICATION_ERROR] * 1000)
    cast, communicator, _ = make_cast(east=answer_with(), north=never, west=never)
    communicator.dead.add("west")
    began = time.monotonic()
    assert ask_all(cast, deadline_s=0.5) == {SITES[0]: b"east heard"}
    assert 0.5 <= time.monotonic() - began < 5
    assert "west" not in communicator.asked


def test_an_abort_ends_the_asking(make_cast: Callable[..., Any]) -> None:
    never = answer_with(*[ReturnCode.COMMUNICATION_ERROR] * 1000)
    cast, _, abort = make_cast(east=never, north=never, west=never)
    threading.Timer(0.2, lambda: abort.trigger(True)).start()
    with pytest.raises(StateError) as stopped:
        ask_all(cast)
    assert stopped.value.code == "engine.aborted"


class FakeEngine:
    """As much of FLARE's server engine as barring needs."""

    def __init__(self) -> None:
        manager = SimpleNamespace(disabled_clients={"old", "both"})
        self.server = SimpleNamespace(client_manager=manager)
        self.said: list[tuple[str, list[str]]] = []

    def disable_clients(self, names: list[str]) -> None:
        self.said.append(("disable", names))

    def enable_clients(self, names: list[str]) -> None:
        self.said.append(("enable", names))


def test_exactly_the_revoked_members_are_barred(tmp_path: Path) -> None:
    control, engine = HubControl(str(tmp_path / "c.sock"), str(tmp_path)), FakeEngine()
    control._engine = engine
    assert control.answer({"call": "bar", "names": "both new"}) == {}
    assert engine.said == [("disable", ["new"]), ("enable", ["old"])]
    engine.said.clear()
    engine.server.client_manager.disabled_clients = set()
    assert control.answer({"call": "bar", "names": ""}) == {}
    assert engine.said == []


class FakeServer:
    """As much of FLARE's server engine as the watch reads."""

    def __init__(self) -> None:
        client = SimpleNamespace(name="east", token="t", last_connect_time=time.time())
        self.told: list[tuple[str, str]] = []
        self.ended: set[str] = set()
        self.client = client
        self.client_manager = SimpleNamespace(clients={"t": client})
        self.run_processes = {"job-1": {RunProcessKey.PARTICIPANTS: {"t": client}}}
        self.job_runner = SimpleNamespace(
            running_jobs={"job-1": object()},
            is_client_outcome_pending=lambda job, name: name not in self.ended,
        )

    def notify_dead_job(self, job: str, name: str, reason: str) -> None:
        self.told.append((job, name))


def look(watch: DeadSiteWatch, times: int) -> None:
    for _ in range(times):
        watch.look()


def test_a_living_site_is_never_called_dead() -> None:
    server = FakeServer()
    look(DeadSiteWatch(server), 10)
    assert server.told == []


@pytest.mark.parametrize("how", ["process ended", "silent", "gone"])
def test_a_dead_site_is_told_until_the_job_must_have_heard(how: str) -> None:
    server = FakeServer()
    watch = DeadSiteWatch(server)
    if how == "process ended":
        server.ended.add("east")
    elif how == "silent":
        server.client.last_connect_time -= 60
    else:
        server.client_manager.clients.clear()
    look(watch, 1)
    assert server.told == []  # at the second look, so that an ending job is left in peace
    look(watch, 1)
    assert server.told == [("job-1", "east")]
    look(watch, 100)
    assert len(server.told) == 5


def test_a_site_that_is_back_can_be_called_dead_again() -> None:
    server = FakeServer()
    watch = DeadSiteWatch(server)
    server.ended.add("east")
    look(watch, 3)
    server.ended.clear()
    look(watch, 1)
    server.ended.add("east")
    look(watch, 2)
    assert len(server.told) == 2


def test_an_unknown_request_is_answered_with_an_error(tmp_path: Path) -> None:
    control = HubControl(str(tmp_path / "c.sock"), str(tmp_path))
    assert control.answer({"call": "shutdown"})["error"]["code"] == "engine.unknown_call"
    assert control.answer({"call": "sites"})["error"]["code"] == "engine.call_failed"

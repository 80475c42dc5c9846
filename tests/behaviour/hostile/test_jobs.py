"""What the hub's engine delivers to a hospital beside, or instead of, an order."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attacks import attack
from hostile_space import HostileSpace, leaves
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.private.admin_defs import Message
from nvflare.private.defs import RequestHeader

from consilium.federation.flare.executor import MODEL, REFUSAL, ROUND, RecipeExecutor
from consilium.federation.flare.jobs import client_config, job_files
from consilium.federation.flare.restriction import (
    DeployOnce,
    RefusedCommand,
    RefusedRequest,
    Witness,
)
from consilium.federation.flare.validator import OrderValidator
from consilium.gate.gate import Gate
from consilium.gate.orders import Order, Study
from consilium.kernel.canonical import canonical_bytes, digest_of, read_json
from consilium.kernel.errors import DeniedError

pytestmark = pytest.mark.slow

CONFIG = "config/config_fed_client.json"


@pytest.fixture(scope="module")
def plan(space: HostileSpace) -> Study:
    return space.fresh(open_at=("south",))


@pytest.fixture
def app(space: HostileSpace, plan: Study, tmp_path: Path) -> Path:
    """Unpack a job that would be admitted, as FLARE does at a site."""
    return unpack(space.order(plan), tmp_path / "app")


def unpack(order: Order, folder: Path) -> Path:
    for name, data in job_files(order).items():
        if name.startswith("site/"):
            path = folder / name.removeprefix("site/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def deliver(space: HostileSpace, app: Path, *, code: str, gate: Gate | None = None) -> None:
    """Have the site's validator judge a job, and see it refused."""
    with leaves(space.south, "admission.refused", code=code):
        told, _ = OrderValidator(gate or space.gate(space.south)).validate(str(app))
    assert told.startswith(f"{code}: ")


@attack(
    "J1",
    "puts code into a job",
    refused_by="engine.custom_code",
    evidence="admission.refused",
)
def test_a_job_with_code_is_refused(space: HostileSpace, app: Path) -> None:
    (app / "custom").mkdir()
    (app / "custom" / "steal.py").write_text("raise SystemExit")
    deliver(space, app, code="engine.custom_code")


@attack(
    "J2",
    "puts a further file into a job",
    refused_by="engine.unknown_file",
    evidence="admission.refused",
)
@pytest.mark.parametrize("name", ["config/privacy.json", "config/deep/x.json", "data.npz"])
def test_a_job_with_a_further_file_is_refused(space: HostileSpace, app: Path, name: str) -> None:
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_text("{}")
    deliver(space, app, code="engine.unknown_file")


@attack(
    "J3",
    "puts a link to one of the hospital's own files into a job",
    refused_by="engine.unknown_file",
    evidence="admission.refused",
)
def test_a_job_with_a_link_is_refused(space: HostileSpace, app: Path) -> None:
    (app / "config" / "order.json").unlink()
    (app / "config" / "order.json").symlink_to("/etc/hostname")
    deliver(space, app, code="engine.unknown_file")


def configured(app: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = client_config()
    change(config)
    (app / CONFIG).write_text(json.dumps(config))


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another executor": lambda it: it["executors"][0]["executor"].update(path="subprocess.Popen"),
    "arguments": lambda it: it["executors"][0]["executor"].update(args={"desk": "elsewhere"}),
    "a second executor": lambda it: it["executors"].append(it["executors"][0]),
    "a filter": lambda it: it["task_result_filters"].append({"tasks": ["train"]}),
    "a component": lambda it: it["components"].append({"id": "x", "path": "os.system"}),
    "a setting of the gate": lambda it: it.update(min_cases=1),
}


@attack(
    "J4",
    "names another class, argument, filter, component or setting in a job",
    refused_by="engine.other_job",
    evidence="admission.refused",
)
@pytest.mark.parametrize("change", CHANGES)
def test_a_job_of_another_configuration_is_refused(
    space: HostileSpace, app: Path, change: str
) -> None:
    configured(app, CHANGES[change])
    deliver(space, app, code="engine.other_job")


@attack(
    "J5",
    "writes one key of the configuration twice, for two readers",
    refused_by="kernel.not_canonical",
    evidence="admission.refused",
)
def test_a_job_that_reads_in_two_ways_is_refused(space: HostileSpace, app: Path) -> None:
    text = json.dumps(client_config())
    (app / CONFIG).write_text(text[:-1] + ', "components": []}')
    deliver(space, app, code="kernel.not_canonical")


@attack(
    "J6",
    "sends a configuration or an order of any size",
    refused_by="engine.unknown_file",
    evidence="admission.refused",
)
@pytest.mark.parametrize(("name", "size"), [(CONFIG, 70_000), ("config/order.json", 4_200_000)])
def test_a_huge_file_is_refused(space: HostileSpace, app: Path, name: str, size: int) -> None:
    (app / name).write_bytes(b" " * size)
    deliver(space, app, code="engine.unknown_file")


@attack(
    "J7",
    "adds a field to an order",
    refused_by="gate.order_unreadable",
    evidence="admission.refused",
)
@pytest.mark.parametrize("field", ["min_cases", "terms", "policy"])
def test_an_order_with_a_further_field_is_refused(
    space: HostileSpace, app: Path, plan: Study, field: str
) -> None:
    order: Any = read_json(space.order(plan).as_json())
    (app / "config" / "order.json").write_bytes(canonical_bytes(order | {field: 1}))
    deliver(space, app, code="gate.order_unreadable")


@attack(
    "J8",
    "swaps the recipe for another release of it that the lead was made to sign",
    refused_by="gate.recipe_differs",
    evidence="admission.refused",
)
def test_another_release_of_a_recipe_is_refused(space: HostileSpace, tmp_path: Path) -> None:
    recipe = replace(space.plan.recipe, digest=digest_of(b"another release"))
    with pytest.raises(DeniedError):  # the agreement names one recipe: no transfer opens
        space.fresh(open_at=("south",), recipe=recipe)
    app = unpack(space.order(space.fresh(open_at=("south",))), tmp_path / "app")
    updated = space.open_gate(space.south, installed={recipe.name: digest_of(b"updated since")})
    deliver(space, app, code="gate.recipe_differs", gate=updated)


@attack(
    "J9",
    "delivers a job twice under one name, to change it after it was judged",
    refused_by="engine.job_again",
    evidence="admission.refused",
)
def test_a_job_is_delivered_once(space: HostileSpace) -> None:
    deploy = DeployOnce(Witness(space.gate(space.south)))
    deploy.process(packed("one", b"no archive"), None)
    with leaves(space.south, "admission.refused", code="engine.job_again"):
        again = deploy.process(packed("one", b"no archive"), None)
    assert str(again.body).startswith("engine.job_again: ")


@attack(
    "J10",
    "sends a small archive that unpacks to gigabytes",
    refused_by="engine.unknown_file",
    evidence="admission.refused",
)
def test_an_archive_that_unpacks_to_much_is_refused(space: HostileSpace) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config/order.json", b" " * 50_000_000)
    with leaves(space.south, "admission.refused", code="engine.unknown_file"):
        DeployOnce(Witness(space.gate(space.south))).process(
            packed("bomb", archive.getvalue()), None
        )


def packed(name: str, body: bytes) -> Message:
    message = Message(topic="deploy", body=body)
    message.set_header(RequestHeader.JOB_ID, name)
    return message


@attack(
    "J11",
    "asks a hospital's engine for a shell, a restart, another logging configuration",
    refused_by="engine.command_refused",
    evidence="command.refused",
)
@pytest.mark.parametrize("topic", ["sys.shell", "train.restart", "sys.configure_site_log"])
def test_no_command_of_an_administrator_is_taken(space: HostileSpace, topic: str) -> None:
    refused = RefusedRequest([topic], Witness(space.gate(space.south)))
    with leaves(space.south, "command.refused", code="engine.command_refused"):
        reply = refused.process(Message(topic=topic, body="rm -rf /"), None)
    assert str(reply.body).startswith("engine.command_refused: ")


@attack(
    "J12",
    "gives a job's process another logging configuration, which can name any class",
    refused_by="engine.command_refused",
    evidence="command.refused",
)
def test_a_jobs_process_takes_no_configuration(space: HostileSpace) -> None:
    command = RefusedCommand("configure_job_log", Witness(space.gate(space.south)))
    with leaves(space.south, "command.refused", code="engine.command_refused"):
        assert command.process({"()": "os.system"}, None).startswith("engine.command_refused: ")


@attack(
    "J13",
    "sends a task that is neither training nor evaluation",
    refused_by="engine.bad_task",
    evidence="task.refused",
)
@pytest.mark.parametrize(
    ("kind", "content"),
    [("predict", {}), ("train", {ROUND: "1"}), ("evaluate", {MODEL: "../../keys"})],
)
def test_a_task_of_another_form_is_refused(
    space: HostileSpace, app: Path, kind: str, content: dict[str, Any]
) -> None:
    task = Shareable()
    task.update({ROUND: 1, MODEL: space.start_model()} | content)
    with leaves(space.south, "task.refused", code="engine.bad_task"):
        reply = RecipeExecutor().execute(kind, task, context(space, app), Signal())
    assert str(reply[REFUSAL]).startswith("engine.bad_task: ")


def context(space: HostileSpace, app: Path) -> Any:
    """Give as much of FLARE's context as the executor asks for."""
    workspace = SimpleNamespace(get_app_dir=lambda _: str(app))
    client = SimpleNamespace(components={"desk": space.gate(space.south)})
    return SimpleNamespace(
        get_prop={FLContextKey.WORKSPACE_OBJECT: workspace}.get,
        get_engine=lambda: SimpleNamespace(client=client),
        get_job_id=lambda: "job",
    )

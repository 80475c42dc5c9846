"""Admission in the site's own process: our job or none, and the node decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from consilium.federation.flare.jobs import client_config, job_files
from consilium.federation.flare.validator import OrderValidator
from consilium.gate.orders import LARGEST_ORDER, Order
from consilium.kernel.errors import DeniedError
from consilium.node.job_main import SocketDesk

from .conftest import FakeDesk


@pytest.fixture
def app(order: Order, tmp_path: Path) -> Path:
    """A delivered job, as FLARE unpacks it at a site, signatures included."""
    folder = tmp_path / "app"
    for name, data in job_files(order).items():
        if name.startswith("site/"):
            path = folder / name.removeprefix("site/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for place in (folder, folder / "config"):
        (place / ".__nvfl_sig.json").write_text("{}")
        (place / ".__nvfl_submitter.crt").write_text("certificate")
    return folder


def test_our_job_is_admitted_when_the_node_agrees(
    app: Path, order: Order, make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    assert OrderValidator(desk).validate(str(app)) == ("", {})
    assert desk.asked == [("admit", order.as_json())]


def add_code(app: Path) -> None:
    (app / "custom").mkdir()


def add_code_with_content(app: Path) -> None:
    add_code(app)
    (app / "custom" / "evil.py").write_text("")


def add_file(app: Path) -> None:
    (app / "config" / "privacy.json").write_text("{}")


def add_file_disguised_as_signature(app: Path) -> None:
    (app / "config" / "deep").mkdir()
    (app / "config" / "deep" / "x.json").write_text("{}")


def add_link(app: Path) -> None:
    (app / "config" / "order.json").unlink()
    (app / "config" / "order.json").symlink_to("/etc/hostname")


def grow_order(app: Path) -> None:
    (app / "config" / "order.json").write_bytes(b" " * (LARGEST_ORDER + 1))


def drop_order(app: Path) -> None:
    (app / "config" / "order.json").unlink()


def write_config(app: Path, config: object) -> None:
    (app / "config" / "config_fed_client.json").write_text(json.dumps(config))


def other_executor(app: Path) -> None:
    config = client_config()
    config["executors"][0]["executor"]["path"] = "subprocess.Popen"
    write_config(app, config)


def executor_arguments(app: Path) -> None:
    config = client_config()
    config["executors"][0]["executor"]["args"] = {"desk": "elsewhere"}
    write_config(app, config)


def second_executor(app: Path) -> None:
    config = client_config()
    config["executors"].append({"tasks": ["x"], "executor": {"path": "os.system", "args": {}}})
    write_config(app, config)


def a_filter(app: Path) -> None:
    write_config(app, client_config() | {"task_result_filters": [{"tasks": ["train"]}]})


def unknown_key(app: Path) -> None:
    write_config(app, client_config() | {"handlers": []})


def doubled_key(app: Path) -> None:
    text = json.dumps(client_config())
    (app / "config" / "config_fed_client.json").write_text(text[:-1] + ', "components": []}')


def broken_config(app: Path) -> None:
    (app / "config" / "config_fed_client.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (add_code, "engine.custom_code"),
        (add_code_with_content, "engine.custom_code"),
        (add_file, "engine.unknown_file"),
        (add_file_disguised_as_signature, "engine.unknown_file"),
        (add_link, "engine.unknown_file"),
        (grow_order, "engine.unknown_file"),
        (drop_order, "engine.no_order"),
        (other_executor, "engine.other_job"),
        (executor_arguments, "engine.other_job"),
        (second_executor, "engine.other_job"),
        (a_filter, "engine.other_job"),
        (unknown_key, "engine.other_job"),
        (doubled_key, "kernel.not_canonical"),
        (broken_config, "kernel.not_canonical"),
    ],
)
def test_anything_else_is_refused_before_the_node_is_asked(
    app: Path, make_desk: Callable[..., FakeDesk], change: Callable[[Path], None], code: str
) -> None:
    desk = make_desk()
    change(app)
    text, facts = OrderValidator(desk).validate(str(app))
    assert text.startswith(f"{code}: ")
    assert facts == {}
    assert desk.asked == [("refused", code)], "the node keeps the refusal and is asked nothing"


def test_the_nodes_refusal_is_told_by_code_and_public_sentence(
    app: Path, make_desk: Callable[..., FakeDesk]
) -> None:
    refusal = DeniedError("engine.bad_task", detail="patient 4711")
    text, _ = OrderValidator(make_desk(refusal)).validate(str(app))
    assert text == f"engine.bad_task: {refusal.public}"
    assert "4711" not in text


def test_without_a_node_nothing_is_admitted(app: Path, tmp_path: Path) -> None:
    desk = SocketDesk(str(tmp_path / "nobody.sock"))
    text, _ = OrderValidator(desk).validate(str(app))
    assert text.startswith("engine.desk_closed: ")

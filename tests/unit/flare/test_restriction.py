"""What is left of FLARE's commands to a hospital; tried apart, since it changes FLARE itself."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from typing import Any

import pytest
from nvflare.private.admin_defs import Message
from nvflare.private.defs import RequestHeader
from nvflare.private.fed.client.training_cmds import DeployProcessor

from consilium.federation.flare.restriction import DeployOnce, Witness

SCRIPT = """
from consilium.federation.flare.restriction import restrict_hub
told = []
class Desk:
    def report_refusal(self, code, reason, *, what):
        told.append((what, code))
restrict_hub(Desk())
from nvflare.private.admin_defs import Message
from nvflare.private.fed.client.admin_commands import AdminCommands
from nvflare.private.fed.client.client_req_processors import ClientRequestProcessors
from nvflare.private.fed.app.deployer.base_client_deployer import BaseClientDeployer
import nvflare.private.fed.client.fed_client_base as base
from consilium.federation.flare.restriction import RefusedCommand, RefusedRequest
processors = BaseClientDeployer().req_processors
refused = [p for p in processors if isinstance(p, RefusedRequest)]
topics = [t for p in processors if p not in refused for t in p.get_topics()]
print("SITE", sorted(topics))
commands = AdminCommands.commands
print("JOB", sorted(c.get_command_name() for c in commands if not isinstance(c, RefusedCommand)))
print("AGENT", base.NetAgent.__name__)
[refused] = refused
print("REFUSED", refused.get_topics())
replies = [refused.process(Message(topic, b""), None).body for topic in refused.get_topics()]
replies.append(AdminCommands.get_command("configure_job_log").process(b"", None))
print("CODES", {reply.split(":")[0] for reply in replies})
print("TOLD", len(told) == len(replies), set(told))
"""


def test_the_hub_can_ask_a_hospital_only_for_what_jobs_need() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True
    )
    said = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " " in line)
    for dangerous in ("shell", "configure", "log", "env", "sys", "restart", "shutdown", "report"):
        assert dangerous not in said["SITE"].lower(), said["SITE"]
    assert said["SITE"].count("'") == 2 * 9
    assert said["JOB"] == "['abort', 'abort_task', 'check_status', 'shutdown']"
    for dangerous in ("sys.shell", "sys.info", "sys.configure_site_log", "train.restart"):
        assert dangerous in said["REFUSED"], said["REFUSED"]
    assert said["CODES"] == "{'engine.command_refused'}"
    assert said["TOLD"] == "True {('command', 'engine.command_refused')}"
    assert said["AGENT"] == "SilentAgent"


class DeafDesk:
    """Keeps what it is told of refusals."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        assert reason
        self.told.append((what, code))


@pytest.fixture
def desk() -> DeafDesk:
    return DeafDesk()


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What got past us to FLARE's own deployment, which is not ours to test."""
    passed: list[Any] = []
    monkeypatch.setattr(DeployProcessor, "process", lambda _, request, __: passed.append(request))
    return passed


def job(name: str, size: int = 10) -> Message:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config/order.json", b" " * size)
    message = Message(topic="deploy", body=packed.getvalue())
    message.set_header(RequestHeader.JOB_ID, name)
    return message


def test_a_job_is_taken_once_and_never_again_under_the_same_name(
    delivered: list[Any], desk: Any
) -> None:
    deploy = DeployOnce(Witness(desk))
    deploy.process(job("one"), None)
    again = deploy.process(job("one"), None)
    deploy.process(job("two"), None)
    assert len(delivered) == 2
    assert "engine.job_again: The job was delivered a second time" in str(again.body)
    assert desk.told == [("admission", "engine.job_again")]


def test_a_job_that_would_unpack_to_much_is_not_unpacked(delivered: list[Any], desk: Any) -> None:
    deploy = DeployOnce(Witness(desk))
    bomb = deploy.process(job("bomb", size=50_000_000), None)
    broken = Message(topic="deploy", body=b"no archive")
    broken.set_header(RequestHeader.JOB_ID, "broken")
    deploy.process(broken, None)
    assert delivered == []
    assert "engine.unknown_file" in str(bomb.body)
    assert desk.told == [("admission", "engine.unknown_file")] * 2

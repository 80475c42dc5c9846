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

from consilium.federation.flare.restriction import DeployOnce

SCRIPT = """
from consilium.federation.flare.restriction import restrict_hub
restrict_hub()
from nvflare.private.fed.client.admin_commands import AdminCommands
from nvflare.private.fed.client.client_req_processors import ClientRequestProcessors
from nvflare.private.fed.app.deployer.base_client_deployer import BaseClientDeployer
import nvflare.private.fed.client.fed_client_base as base
topics = [t for p in BaseClientDeployer().req_processors for t in p.get_topics()]
print("SITE", sorted(topics))
print("JOB", sorted(command.get_command_name() for command in AdminCommands.commands))
print("CONFIGURE", AdminCommands.get_command("configure_job_log"))
print("AGENT", base.NetAgent.__name__)
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
    assert said["CONFIGURE"] == "None"
    assert said["AGENT"] == "SilentAgent"


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


def test_a_job_is_taken_once_and_never_again_under_the_same_name(delivered: list[Any]) -> None:
    deploy = DeployOnce()
    deploy.process(job("one"), None)
    again = deploy.process(job("one"), None)
    deploy.process(job("two"), None)
    assert len(delivered) == 2
    assert "engine.job_again: The job was delivered a second time" in str(again.body)


def test_a_job_that_would_unpack_to_much_is_not_unpacked(delivered: list[Any]) -> None:
    deploy = DeployOnce()
    bomb = deploy.process(job("bomb", size=50_000_000), None)
    broken = Message(topic="deploy", body=b"no archive")
    broken.set_header(RequestHeader.JOB_ID, "broken")
    deploy.process(broken, None)
    assert delivered == []
    assert "engine.unknown_file" in str(bomb.body)

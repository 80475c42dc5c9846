"""What a hospital does not let in, tried on real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consilium.federation.flare.jobs import CLIENT_CONFIG, ORDER_FILE, client_config, job_files
from consilium.federation.ports import EngineStatus
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import ParticipantId

from .conftest import EngineSpace, wait_until

pytestmark = pytest.mark.scenario
MakeSpace = Callable[..., EngineSpace]

Files = dict[str, bytes]


def with_code(files: Files) -> Files:
    return files | {"site/custom/evil.py": b"import os\nos.system('touch /tmp/evil')\n"}


def with_another_class(files: Files) -> Files:
    config = client_config()
    config["executors"][0]["executor"] = {"path": "subprocess.Popen", "args": {"args": ["true"]}}
    return files | {f"site/{CLIENT_CONFIG}": json.dumps(config).encode()}


def with_a_component(files: Files) -> Files:
    component = {"id": "x", "path": "nvflare.app_common.widgets.intime_model_selector.X"}
    config = client_config() | {"components": [component]}
    return files | {f"site/{CLIENT_CONFIG}": json.dumps(config).encode()}


def with_a_stray_file(files: Files) -> Files:
    return files | {"site/config/weights.pkl": b"\x80\x04."}


def without_order(files: Files) -> Files:
    return {name: data for name, data in files.items() if name != f"site/{ORDER_FILE}"}


ATTACKS = {
    with_code: "engine.custom_code",
    with_another_class: "engine.other_job",
    with_a_component: "engine.other_job",
    with_a_stray_file: "engine.unknown_file",
    without_order: "engine.no_order",
}


def submit_files(space: EngineSpace, name: str, files: Files) -> str:
    folder = space.folder / "attacks" / name
    for place, data in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(space.engine._ask("submit", folder=str(folder))["job"])


def refusals_of(space: EngineSpace, job: str) -> dict[ParticipantId, str]:
    wait_until(
        lambda: space.engine.status(job) == EngineStatus.ENDED, within_s=30, what="a refusal"
    )
    return space.engine.refusals(job)


def test_a_job_that_is_not_ours_is_refused_before_any_process_exists(
    make_space: MakeSpace,
) -> None:
    space = make_space("east", "west")
    space.start()
    order, _ = space.order()
    ours = [{process.pid for process in site.processes} for site in space.sites.values()]
    jobs = {
        attack: submit_files(space, attack.__name__.replace("_", "-"), attack(job_files(order)))
        for attack in ATTACKS
    }

    for attack, code in ATTACKS.items():
        refusals = refusals_of(space, jobs[attack])
        assert len(refusals) == 2, (attack, refusals)
        for text in refusals.values():
            assert text.startswith(f"{code}: The job "), text
            assert text.endswith("."), text

    now = [{process.pid for process in site.processes} for site in space.sites.values()]
    assert now == ours
    assert all(site.desk.admitted == [] for site in space.sites.values())
    assert "started" not in (space.server_kit / "logs/server/log.txt").read_text().split("Launch")


def test_a_hospital_that_says_no_is_left_out_and_its_sentence_is_told(
    make_space: MakeSpace,
) -> None:
    space = make_space("east", "west", "north")
    east, west, north = space.sites.values()
    east.desk.refuse_admission = DeniedError("engine.bad_task")
    space.start()
    order, start = space.order(quorum=2)

    # Two of three say yes: they do it alone.
    job, folder = space.submit(order, start)
    space.wait_for_end(job, folder)
    assert set(space.engine.refusals(job)) == {east.desk.participant}
    assert folder.evaluation()["missing"] == [east.desk.participant]
    assert east.desk.leases == []

    # No node, no job; and below the quorum nothing starts.
    north.counter.close()
    ran = list(west.desk.leases)
    again = space.order_again(order)
    later, _ = space.submit(again, start)
    refusals = refusals_of(space, later)
    assert refusals[east.desk.participant].startswith("engine.bad_task: The hub sent")
    assert refusals[north.desk.participant].startswith("engine.desk_closed: The node does not")
    assert west.desk.leases == ran


def test_a_refused_lease_ends_only_that_hospitals_part(make_space: MakeSpace) -> None:
    space = make_space("east", "west", "north")
    space.start()
    east = space.sites["east"].desk

    def revoke(number: int) -> None:
        if number == 2:
            east.refuse_lease = DeniedError("engine.bad_task")

    east.hold = revoke
    order, start = space.order(rounds=4)
    job, folder = space.submit(order, start)
    space.wait_for_end(job, folder)

    closed = {event["round"]: event for event in folder.events() if event["kind"] == "round_closed"}
    assert list(closed[2]["missing"]) == [east.participant]
    assert space.engine.refusals(job)[east.participant].startswith("engine.bad_task: ")


SESSION = """
import sys
from nvflare.fuel.flare_api.flare_api import new_secure_session
session = new_secure_session(sys.argv[1], sys.argv[2], timeout=20.0)
for command in (
    "shutdown all", "restart all", "restart client east", "remove_client east",
    "disable_client east", "cat east local/authorization.json", "cat server local/resources.json",
    "sys_info client east", "report_env east", "configure_site_log all DEBUG",
):
    print("TOLD", command, "->", session.api.do_command(command), flush=True)
session.close()
"""


def test_the_submitters_key_cannot_administer(make_space: MakeSpace, tmp_path: Path) -> None:
    space = make_space("east", "west")
    space.start()
    processes = [space.server.state, *(site.child.state for site in space.sites.values())]

    ran = subprocess.run(
        [sys.executable, "-c", SESSION, space.submitter, str(space.submitter_kit)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )

    told = [line for line in ran.stdout.splitlines() if line.startswith("TOLD")]
    assert len(told) == 10, ran.stdout + ran.stderr
    for line in told:
        words = ("ERROR_AUTHORIZATION", "INVALID", "NO SUCH", "ENGINE.COMMAND_REFUSED")
        assert any(word in line.upper() for word in words), line
        assert "class_allow_list" not in line
        assert "permissions" not in line
    space.wait_for_sites("east", "west", within_s=2)
    assert "command engine.command_refused" in space.sites["east"].desk.refused
    now = [space.server.state, *(site.child.state for site in space.sites.values())]
    assert [state.pid for state in now] == [state.pid for state in processes]

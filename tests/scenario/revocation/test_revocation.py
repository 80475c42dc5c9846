"""A hospital ends its agreement in the middle of a long training step; a member is expelled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import slow_recipe
from whole_space import StudyWatch, WholeSpace, is_gone, practice_plan, wait_until, whole_space

from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import AdminClient
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import ConsiliumError
from consilium.node.join import join_hub
from consilium.space.home import hub_home, node_home

pytestmark = pytest.mark.scenario

LEAD, LEAVING, EXPELLED = "north", "renhe", "lakeside"
COMMAND = (sys.executable, "-m", "consilium")
REASON = "the ethics committee withdrew its consent"
BAR_S = 5.0
MINUTE_S = 30.0
"""With the times of this test's settings; a minute with those that are the default."""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSpace]:
    """Three hospitals that look often, with a recipe that takes long over its second round."""
    folder = tmp_path_factory.mktemp("revoke")
    with pytest.MonkeyPatch.context() as patch:
        slow_recipe.install(folder / "recipe", patch)
        patch.setenv("CONSILIUM__NODE__MEMBERS_S", "1")
        plan = practice_plan(
            folder / "data",
            recipe=slow_recipe.NAME,
            settings={"slow_site": LEAVING, "slow_round": 2, "slow_s": 300.0, "local_steps": 20},
            rounds=3,
            quorum=2,
            deadline_s=280.0,
        )
        members = tuple(one for one in plan.participants if one.name != "hillside")
        data = {name: plan.studies[0].datasets[name] for name in (LEAD, LEAVING, EXPELLED)}
        study = replace(plan.studies[0], datasets=data)
        plan = replace(plan, participants=members, studies=(study,))
        with whole_space(plan, folder / "h", settings={"hub.upkeep_s": 0.5}) as running:
            yield running


def consilium(space: WholeSpace, member: str, *words: str) -> Any:
    """Type a command at a hospital; return what it prints for programs."""
    ran = subprocess.run(
        [*COMMAND, *words, "--json", "--home", str(node_home(space.home, member))],
        env=os.environ | {"CONSILIUM_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def entries(space: WholeSpace, member: str) -> list[dict[str, Any]]:
    """Return a hospital's whole evidence."""
    with space.connect(member) as client:
        return client.evidence.list(limit=1000)


def of_kind(space: WholeSpace, member: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(space, member) if entry["kind"] == kind]


@pytest.mark.timeout(180)
def test_a_revoked_agreement_ends_the_job_at_once_and_the_study_goes_on(space: WholeSpace) -> None:
    watch = space.begin()
    watch.await_round(2)
    wait_until(lambda: computes_round(space, 2), within_s=60, what="the long step")
    [job] = space.jobs(LEAVING)
    with space.connect(LEAVING) as client:
        [agreement] = [one["id"] for one in client.agreements.list()]

    shown = consilium(space, LEAVING, "agreement", "revoke", agreement, "--reason", REASON)
    returned = time.monotonic()
    wait_until(lambda: is_gone(job), within_s=BAR_S, what="the job's end")
    assert time.monotonic() - returned <= BAR_S

    assert (shown["state"], shown["revocation"]["reason"]) == ("REVOKED", REASON)
    with space.connect(LEAVING) as client:
        again = client.agreements.revoke(agreement, reason="once more")
    assert again["revocation"]["reason"] == REASON
    record = watch.await_result()
    assert [len(event["facts"]["missing"]) for event in watch.closed] == [0, 1, 1]
    [left] = watch.of("left")
    assert left["facts"]["participant"] == space.plan.id_of(LEAVING)
    assert left["facts"]["code"] == "gate.agreement_revoked"
    check_run(space, watch)
    check_evidence(space, agreement)
    check_lead_knows(space, agreement, watch)
    check_passport(space, agreement, Path(record.model.passport))
    assert space.unproved() == []


def computes_round(space: WholeSpace, number: int) -> bool:
    """Say whether the leaving hospital has opened its data for a round and not answered yet."""
    granted = of_kind(space, LEAVING, "lease.granted")
    return any(entry["facts"]["round"] == number for entry in granted)


def check_run(space: WholeSpace, watch: StudyWatch) -> None:
    """Whoever watched the run sees who left and why, who answered, and who was connected."""
    run = watch.client.studies.progress(watch.id)
    sites = {site["participant"]: site for site in run["sites"]}
    left = sites.pop(space.plan.id_of(LEAVING))
    assert (left["phase"], left["error"]["code"]) == ("left", "gate.agreement_revoked")
    assert left["error"]["zh"]
    assert {site["phase"] for site in sites.values()} == {"done"}
    assert all(site["rounds_done"] == run["rounds"] for site in sites.values())
    assert all(site["bytes_up"] and site["bytes_down"] for site in sites.values())
    assert {"answered", "presence"} <= {event["kind"] for event in watch.events}


def check_evidence(space: WholeSpace, agreement: str) -> None:
    told = entries(space, LEAVING)
    kinds = [entry["kind"] for entry in told]
    after = kinds[kinds.index("agreement.revoked") :]
    assert not {"release.granted", "lease.granted", "admission.granted"} & set(after)
    [stopped] = [entry["facts"] for entry in told if entry["kind"] == "study.stopped"]
    assert (stopped["code"], stopped["agreement"]) == ("gate.agreement_revoked", agreement)
    assert stopped["process_gone"] is True
    wait_until(
        lambda: bool(of_kind(space, LEAVING, "notice.delivered")),
        within_s=BAR_S,
        what="the counterpart's answer",
    )


def check_lead_knows(space: WholeSpace, agreement: str, watch: StudyWatch) -> None:
    """Who, when and why: in the lead's evidence, its agreement and its study."""
    [told] = of_kind(space, LEAD, "agreement.revoked")
    facts = told["facts"]
    assert (facts["by"], facts["reason"]) == (space.plan.id_of(LEAVING), REASON)
    shown = consilium(space, LEAD, "agreement", "show", agreement)
    assert shown["state"] == "REVOKED"
    assert shown["revocation"]["by"] == space.plan.id_of(LEAVING)
    assert shown["revocation"]["reason"] == REASON
    [mark] = watch.client.studies.get(watch.id)["marks"]
    assert (mark["agreement"], mark["reason"], mark["rounds"]) == (agreement, REASON, 1)


def check_passport(space: WholeSpace, agreement: str, passport: Path) -> None:
    with space.connect(LEAD) as client:
        shown = client.agreements.get(agreement)
    ran = subprocess.run(
        [*COMMAND, "passport", "verify", str(passport), "--key", shown["consumer_key"], "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(ran.stdout)
    assert found["weights_checked"]
    [mark] = found["marks"]
    assert (mark["agreement"], mark["by"]) == (agreement, space.plan.id_of(LEAVING))
    assert REASON in passport.with_suffix(".card.md").read_text(encoding="utf-8")
    assert len(of_kind(space, LEAD, "passport.marked")) == 1


@pytest.mark.timeout(120)
def test_a_revoked_member_is_out_everywhere_and_can_come_back_with_a_new_token(
    space: WholeSpace, tmp_path: Path
) -> None:
    gone = space.plan.id_of(EXPELLED)
    home, began = str(hub_home(space.home)), time.monotonic()
    ran = subprocess.run(
        [*COMMAND, "hub", "revoke", EXPELLED, "--reason", "left us", "--home", home],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "refuses it from now on" in ran.stdout
    wait_until(lambda: not is_online(space, EXPELLED), within_s=MINUTE_S, what="refused by the hub")
    space.await_gone(EXPELLED)
    wait_until(
        lambda: any(one["subject"] == gone for one in of_kind(space, LEAD, "participant.revoked")),
        within_s=MINUTE_S,
        what="known at the lead",
    )
    assert time.monotonic() - began <= MINUTE_S
    with space.connect(LEAD) as lead, pytest.raises(ConsiliumError) as refused:
        lead.agreements.request(gone, dataset="breast")
    assert refused.value.code == "link.participant_revoked"

    token = AdminClient(hub_home(space.home) / SIGNER).mint(EXPELLED, title="again", hours=1)
    membership = join_hub(tmp_path / "again", str(token["token"]), clock=SystemClock())
    assert membership.participant == gone


def is_online(space: WholeSpace, member: str) -> bool:
    return bool(space.connect_once(member)["online"])

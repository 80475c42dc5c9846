"""What a hospital does not allow is refused before data is opened, on a whole running space."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilium.federation.flare.jobs import job_files
from consilium.gate.orders import Order, Study, peek_study
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import SystemClock, read_time, write_time
from consilium.kernel.errors import texts
from consilium.space.client import Client
from consilium.space.processes import RunningSpace, running_space
from consilium.space.spacefile import read_space
from consilium.space.wire import Record

from .hostile import Attacker, Files, attacking, with_another_class, with_code
from .scene import wait_until, write_source

pytestmark = pytest.mark.scenario

LEAD, VICTIM = "tiantan", "eye"
OTHER_RECIPE = digest_of(b"another release")
BRIEF_S = 3.0

SPACE = f"""
[space]
name = "refusals"

[[participant]]
name = "{LEAD}"
title = "北京天坛医院 · Tiantan"

[[participant]]
name = "{VICTIM}"
title = "Eye Hospital"
"""

GOVERNANCE = {
    "ethics_approval": "KY-1",
    "ethics_expires": "2099-12-31T00:00:00Z",
    "consent_basis": "made up",
    "deidentification": "made up",
    "retention": "one test",
    "human_genetic_resources": False,
    "owner": "nobody",
    "contact": "office@example.org",
}


@dataclass
class Scene:
    """A running space in which one study has run as it should."""

    space: RunningSpace
    attacker: Attacker
    lead: Client
    plan: Study


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Bring up a lead and a hospital, run one study, and note what was opened for it."""
    folder = tmp_path_factory.mktemp("refusals")
    write_source(folder)
    (folder / "space.toml").write_text(SPACE, encoding="utf-8")
    plan = read_space(folder / "space.toml")
    with ExitStack() as stack:
        space = stack.enter_context(running_space(plan, folder / "h"))
        attacker = stack.enter_context(attacking(space, LEAD, VICTIM))
        lead = stack.enter_context(Client(space.wire(LEAD)))
        _offer(attacker, folder, name="main", min_cohort=20)
        _offer(attacker, folder, name="small", min_cohort=100_000)
        record = lead.studies.run(**draft_of(space, "main"))
        assert [site.id for site in record.sites] == [attacker.victim.participant]
        yield Scene(space=space, attacker=attacker, lead=lead, plan=_plan_of(space))


def _offer(attacker: Attacker, folder: Path, *, name: str, min_cohort: int) -> None:
    """Offer the table for one study, with this recipe or that of another release."""
    attacker.victim.client.datasets.add(
        folder / "north.csv",
        schema=str(folder / "glioma.toml"),
        name=name,
        governance=GOVERNANCE,
        terms={
            "purposes": ["medical-research"],
            "not_after": "2099-12-31T00:00:00.000000Z",
            "count": 1,
            "max_rounds": 100,
            "min_cohort": min_cohort,
            "recipients": [f"did:web:refusals:{LEAD}"],
            "algorithms": ["tabular-logistic", OTHER_RECIPE],
        },
    )


def draft_of(space: RunningSpace, dataset: str) -> dict[str, Any]:
    return {
        "title": "Grade",
        "purpose": "medical-research",
        "recipe": "tabular-logistic",
        "settings": {"local_steps": 5},
        "rule": "fedavg",
        "rounds": 1,
        "invite": [{"participant": space.plan.id_of(VICTIM), "dataset": dataset}],
    }


def _plan_of(space: RunningSpace) -> Study:
    [file] = space.home.glob("hub/studies/*/attempt-00001/order.json")
    return peek_study(Order.from_json(file.read_bytes()).signed_study)


@pytest.fixture
def closed(scene: Scene) -> Iterator[None]:
    """See to it that nothing runs and no array file is opened meanwhile."""
    victim = scene.attacker.victim
    files = victim.array_files()
    for file in files:
        # A read moves the time of access on when it lies before that of the last change.
        os.utime(file, ns=(0, file.stat().st_mtime_ns))
    jobs, leases = victim.jobs(), len(victim.entries("lease.granted"))
    granted = len(victim.entries("admission.granted"))
    yield
    assert victim.jobs() == jobs
    assert len(victim.entries("lease.granted")) == leases
    assert len(victim.entries("admission.granted")) == granted
    assert [file.stat().st_atime_ns for file in files] == [0] * len(files)
    _check_that_a_read_shows(files[0])


def _check_that_a_read_shows(file: Path) -> None:
    if not os.statvfs(file).f_flag & os.ST_NOATIME:
        file.read_bytes()
        assert file.stat().st_atime_ns > 0


def check_refusal(scene: Scene, code: str, told: str) -> None:
    """Require the reason in the refusal, and the same in the hospital's evidence."""
    assert told.startswith(f"{code}: "), told
    found = scene.attacker.victim.entries("admission.refused")
    reasons = [each["reason"] for each in found if each["code"] == code]
    assert reasons, (code, [each["code"] for each in found])
    assert reasons[-1] == told.removeprefix(f"{code}: ")
    assert texts()[code]["zh"]


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    ("dataset", "code"),
    [("main", "dataspace.count_used_up"), ("small", "dataspace.cohort_too_small")],
)
def test_the_reason_of_a_refusal_reaches_the_lead(scene: Scene, dataset: str, code: str) -> None:
    study = scene.lead.studies.start(**draft_of(scene.space, dataset))
    refused: list[Record] = []

    def hear() -> bool:
        events = scene.lead.studies.get(study)["events"]
        refused[:] = [dict(one["facts"]) for one in events if one["kind"] == "refused"]
        return bool(refused)

    wait_until(hear, what="the refusal at the lead")
    scene.lead.studies.stop(study)
    assert refused[0]["participant"] == scene.attacker.victim.participant
    check_refusal(scene, code, refused[0]["reason"])
    kinds = {event["kind"] for event in scene.lead.studies.get(study)["events"]}
    assert "round_closed" not in kinds
    wait_until(lambda: scene.lead.studies.get(study)["state"] == "STOPPED", what="the stop")


@pytest.fixture(scope="module")
def silent_lead(scene: Scene) -> Iterator[None]:
    """Hold the lead's own node, so that nobody but the attacker speaks for the lead.

    It would disown the transfers that the attacker opens in its name.
    """
    [node] = [each for each in scene.space.children.alive() if each.name == LEAD]
    os.kill(node.pid, signal.SIGSTOP)
    yield
    os.kill(node.pid, signal.SIGCONT)
    wait_until(scene.attacker.victim.has_delivered, what="the hospital's messages")


ATTACKS: dict[str, tuple[Callable[[Files], Files], str]] = {
    "code": (with_code, "engine.custom_code"),
    "another class": (with_another_class, "engine.other_job"),
}


@pytest.mark.usefixtures("closed", "silent_lead")
def test_a_job_with_code_or_another_class_is_refused(scene: Scene) -> None:
    attacker = scene.attacker
    files = job_files(attacker.open_transfer(attacker.renamed(scene.plan)))
    jobs = {
        name: attacker.submit(name.replace(" ", "-"), change(files))
        for name, (change, _) in ATTACKS.items()
    }
    for name, (_, code) in ATTACKS.items():
        check_refusal(scene, code, attacker.told(jobs[name]))


def _brief(attacker: Attacker, plan: Study) -> Order:
    """Open a transfer for a plan that ends at once, and wait until it has."""
    ends = SystemClock().now() + timedelta(seconds=BRIEF_S)
    order = attacker.open_transfer(attacker.renamed(plan, expires=write_time(ends)))
    wait_until(lambda: SystemClock().now() > ends, what="the end of the plan")
    return order


def _orders(attacker: Attacker, plan: Study) -> dict[str, Order]:
    other = replace(plan.recipe, digest=OTHER_RECIPE)
    valid = attacker.renamed(plan)
    opened = attacker.open_transfer(valid)
    return {
        "gate.no_agreement": attacker.order(attacker.naming_no_agreement(plan)),
        "gate.no_transfer": attacker.order(attacker.renamed(plan)),
        "gate.other_plan": attacker.forged(opened, replace(valid, recipe=other)),
        "gate.recipe_differs": attacker.open_transfer(attacker.renamed(plan, recipe=other)),
        "gate.study_expired": _brief(attacker, plan),
        "dataspace.count_used_up": opened,
    }


@pytest.mark.usefixtures("closed", "silent_lead")
def test_an_order_outside_the_agreement_is_refused(scene: Scene) -> None:
    attacker = scene.attacker
    orders = _orders(attacker, scene.plan)
    jobs = {
        code: attacker.submit(code.replace(".", "-"), job_files(order))
        for code, order in orders.items()
    }
    for code, job in jobs.items():
        check_refusal(scene, code, attacker.told(job))


def test_the_hospital_still_serves_after_all_this(scene: Scene) -> None:
    victim = scene.attacker.victim
    assert victim.client.status()["ready"]
    assert victim.client.evidence.verify().verified
    assert read_time(scene.plan.expires) > SystemClock().now()

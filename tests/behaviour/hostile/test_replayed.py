"""What the hub kept and brings again."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from attacks import attack
from hostile_space import (
    CLOCK,
    SITES,
    HostileSpace,
    entries,
    fingerprint,
    lead_is_given,
    leaves,
    other_model,
)

from consilium.dataspace.ports import WireRequest
from consilium.dataspace.wire import builders
from consilium.gate.gate import MOST_ADMISSIONS
from consilium.gate.leases import MOST_REPEATS
from consilium.gate.orders import Study
from consilium.gate.replies import read_reply, sign_round
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import DeniedError
from consilium.ledger.refusals import BURST

pytestmark = pytest.mark.slow


@attack(
    "R1",
    "brings a message a second time",
    refused_by="dataspace.bad_token token-replayed",
    evidence="request.unproven",
)
@pytest.mark.parametrize(
    ("to", "path"),
    [
        ("south", "/negotiations/request"),
        ("north", "/agreement"),
        ("south", "/agreement/verification"),
        ("south", "/transfers/request"),
        ("north", "/start"),
        ("south", "/completion"),
    ],
)
def test_a_message_is_taken_once(space: HostileSpace, to: str, path: str) -> None:
    kept = space.seen(to, path)
    with leaves(space.hospital(to), "request.unproven", rule="token-replayed"):
        assert space.bring(space.hospital(to), kept.request).status == 401


@attack(
    "R2",
    "waits until a hospital's node has started anew, and brings a message again",
    refused_by="dataspace.bad_token token-replayed",
    evidence="request.unproven",
)
def test_a_message_is_taken_once_also_after_a_restart(space: HostileSpace) -> None:
    kept = space.seen("south", "/transfers/request")
    space.restart(space.south)
    with leaves(space.south, "request.unproven", rule="token-replayed"):
        assert space.bring(space.south, kept.request).status == 401


@attack(
    "R3",
    "keeps a message back until it has expired",
    refused_by="dataspace.bad_token token-time",
    evidence="request.unproven",
)
def test_a_message_that_was_kept_back_is_refused(space: HostileSpace) -> None:
    honest = space.south.connector
    asked = space.forge(
        space.north.key,
        issuer=space.north.me,
        to=space.south,
        path="/catalog/request",
        document=builders.catalog_request(),
    )
    space.south.connector = replace(honest, clock=HeldClock(CLOCK.now() + timedelta(minutes=4)))
    try:
        with leaves(space.south, "request.unproven", rule="token-time"):
            assert space.bring(space.south, asked).status == 401
    finally:
        space.south.connector = honest


@attack(
    "R4",
    "brings an order again after a newer one",
    refused_by="gate.stale_order",
    evidence="admission.refused",
)
def test_an_old_order_is_refused_after_a_newer_one(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    old = space.admitted(plan)
    space.admitted(plan, attempt=2)
    with (
        leaves(space.south, "admission.refused", rule="gate.stale_order"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(old.as_json())
    with leaves(space.south, "lease.refused", rule="gate.stale_order"), pytest.raises(DeniedError):
        space.work(space.south, old)


@attack(
    "R5",
    "brings another order under the number of an admitted one",
    refused_by="gate.order_changed",
    evidence="admission.refused",
)
def test_an_order_does_not_change_under_its_number(space: HostileSpace) -> None:
    plan = space.fresh()
    space.admitted(plan)
    start = fingerprint(other_model(space.start_model()))
    signed = space.countersign(plan, 1, start, space.west, space.east)
    changed = space.order(plan, first_round=2, start=start, countersigned=signed)
    with (
        leaves(space.south, "admission.refused", rule="gate.order_changed"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(changed.as_json())


@attack(
    "R6",
    "has a result released twice under one lease",
    refused_by="gate.lease_used",
    evidence="release.refused",
)
def test_a_lease_serves_one_release(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order, gate = space.admitted(plan), space.gate(space.south)
    model = space.start_model()
    lease = gate.lease(order.as_json(), kind="train", round=1, model=digest_of(model))
    lease.file.close()
    facts: dict[str, Any] = {"n": 60, "work_s": 0.1}
    gate.release(lease.id, update=model, facts=facts)
    with leaves(space.south, "release.refused", rule="gate.lease_used"), pytest.raises(DeniedError):
        gate.release(lease.id, update=model, facts=facts)


@attack(
    "R7",
    "starts a segment from a round with the countersignatures of another round",
    refused_by="gate.start_not_countersigned",
    evidence="admission.refused",
)
def test_countersignatures_of_another_round_do_not_count(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    start = fingerprint(other_model(space.start_model()))
    signed = space.countersign(plan, 2, start, space.west, space.east)
    _refuse_start(space, plan, first_round=2, start=start, countersigned=signed)


@attack(
    "R8",
    "fills the quorum with one hospital's countersignature several times",
    refused_by="gate.start_not_countersigned",
    evidence="admission.refused",
)
def test_one_countersignature_counts_once(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    start = fingerprint(other_model(space.start_model()))
    signed = space.countersign(plan, 1, start, space.west) * 3
    _refuse_start(space, plan, first_round=2, start=start, countersigned=signed)


@attack(
    "R9",
    "uses the countersignatures of another study",
    refused_by="gate.start_not_countersigned",
    evidence="admission.refused",
)
def test_countersignatures_of_another_study_do_not_count(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    start = fingerprint(other_model(space.start_model()))
    signed = space.countersign(space.plan, 1, start, space.west, space.east)
    _refuse_start(space, plan, first_round=2, start=start, countersigned=signed)


@attack(
    "R10",
    "countersigns a round itself",
    refused_by="gate.start_not_countersigned",
    evidence="admission.refused",
)
def test_the_hub_countersigns_nothing(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    start = fingerprint(other_model(space.start_model()))
    keys = (space.own_key, space.members.hub)
    signed = tuple(sign_round(key, study=plan.study, round=1, digest=start) for key in keys)
    _refuse_start(space, plan, first_round=2, start=start, countersigned=signed)


def _refuse_start(space: HostileSpace, plan: Study, **changes: Any) -> None:
    order = space.order(plan, **changes)
    with (
        leaves(space.south, "admission.refused", rule="gate.start_not_countersigned"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(order.as_json())


@attack(
    "R11",
    "delivers one order again and again, to fill log and memory",
    refused_by="gate.too_many_attempts",
    evidence="admission.refused",
)
def test_one_order_is_not_admitted_for_ever(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order, gate = space.order(plan), space.gate(space.south)
    for _ in range(MOST_ADMISSIONS):
        gate.admit(order.as_json())
    with (
        leaves(space.south, "admission.refused", rule="gate.too_many_attempts"),
        pytest.raises(DeniedError),
    ):
        gate.admit(order.as_json())


@attack(
    "R12",
    "sends one task again and again, to fill log and disk",
    refused_by="gate.task_repeated",
    evidence="lease.refused",
)
def test_one_task_is_not_done_for_ever(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order, gate = space.admitted(plan).as_json(), space.gate(space.south)
    task: dict[str, Any] = {"kind": "train", "round": 1, "model": plan.start}
    for _ in range(MOST_REPEATS):
        gate.lease(order, **task).file.close()
    with (
        leaves(space.south, "lease.refused", rule="gate.task_repeated"),
        pytest.raises(DeniedError),
    ):
        gate.lease(order, **task)


@attack(
    "R13",
    "floods a hospital with forged messages, to fill its log",
    refused_by="dataspace.bad_token token-shape",
    evidence="request.unproven",
)
def test_a_flood_is_refused_and_counted_and_does_not_fill_the_log(space: HostileSpace) -> None:
    before = space.south.database.evidence.size
    flood = WireRequest(method="POST", path="/2025-1/catalog/request", token="no.token.x" * 2_000)
    for _ in range(3 * BURST):
        assert space.bring(space.south, flood).status == 401
    written = entries(space.south, after=before)
    assert 0 < len(written) <= BURST
    assert {one.kind for one in written} == {"request.unproven"}
    assert max(len(str(one.facts)) for one in written) < 1_000


# --- what the lead is shown again -----------------------------------------------------


@attack(
    "R14",
    "shows the lead the replies of one round as those of another",
    refused_by="gate.other_task",
    evidence="result.refused",
)
def test_the_replies_of_another_round_do_not_count(space: HostileSpace) -> None:
    result = space.result()
    result["rounds"][1]["replies"] = result["rounds"][0]["replies"]
    with leaves(space.north, "result.refused", code="gate.other_task"):
        row = lead_is_given(space, result)
    assert (row["state"], row["reason"]) == ("FAILED", "gate.other_task")


@attack(
    "R15",
    "shows the lead evaluations that hospitals signed in an earlier study",
    refused_by="gate.other_task",
    evidence="result.refused",
)
def test_evaluations_of_another_study_do_not_count(space: HostileSpace) -> None:
    plan = space.fresh(rounds=1)
    orders = space.admitted(plan, space.south, space.west, space.east)
    result = space.result()
    model = base64.b64decode(result["final"])
    for name in SITES:
        hospital = space.hospital(name)
        reply = space.work(hospital, orders, kind="evaluate", model=model)
        result["evaluation"]["replies"][hospital.me] = read_reply(reply).statement
    with leaves(space.north, "result.refused", code="gate.other_task"):
        row = lead_is_given(space, result)
    assert row["state"] == "FAILED"

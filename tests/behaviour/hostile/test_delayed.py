"""What the hub brings too late, too early or in another order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from attacks import attack
from hostile_space import (
    CLOCK,
    HostileSpace,
    fingerprint,
    lead_is_given,
    leaves,
    other_model,
)
from studies_rehearsal import transfers_of, wait_until

from consilium.dataspace import transfer
from consilium.dataspace.ports import WireReply
from consilium.dataspace.records import Role
from consilium.dataspace.wire import builders
from consilium.gate.orders import Study
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import ProcessId

pytestmark = pytest.mark.slow


def transfer_at(space: HostileSpace, plan: Study, role: Role) -> transfer.Transfer:
    hospital = space.south if role is Role.PROVIDER else space.north
    return transfers_of(hospital, plan, role=role)[space.south.me]


@attack(
    "D1",
    "holds back a hospital's termination, so that the study goes on",
    refused_by="gate.transfer_not_started",
    evidence="lease.refused",
)
def test_a_termination_counts_where_it_was_decided(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    space.relay.after = lambda _: WireReply(status=503, body=b"{}")
    pid = transfer_at(space, plan, Role.PROVIDER).pid
    transfer.terminate(space.south.connector, pid, code="stopped", reason="the steward's wish")
    with (
        leaves(space.south, "lease.refused", rule="gate.transfer_not_started"),
        pytest.raises(DeniedError),
    ):
        space.work(space.south, order)


@attack(
    "D2",
    "lets a round compute, and the result leave after the termination",
    refused_by="gate.transfer_not_started",
    evidence="release.refused",
)
def test_a_result_does_not_leave_after_the_end(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order, gate = space.admitted(plan), space.gate(space.south)
    lease = gate.lease(order.as_json(), kind="train", round=1, model=plan.start)
    lease.file.close()
    pid = transfer_at(space, plan, Role.PROVIDER).pid
    transfer.terminate(space.south.connector, pid, code="stopped", reason="the steward's wish")
    with (
        leaves(space.south, "release.refused", rule="gate.transfer_not_started"),
        pytest.raises(DeniedError),
    ):
        gate.release(lease.id, update=space.start_model(), facts={"n": 60, "work_s": 0.1})


@attack(
    "D3",
    "brings a start after the termination that followed it",
    refused_by="dataspace.bad_step",
    evidence="request.refused",
)
def test_a_start_after_the_end_starts_nothing(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    ours = transfer_at(space, plan, Role.CONSUMER)
    start = builders.with_pids(builders.transfer_start(), provider=ours.peer_pid, consumer=ours.pid)
    kept = space.forge(
        space.south.key,
        issuer=space.south.me,
        to=space.north,
        path=f"/transfers/{ours.pid}/start",
        document=start,
    )
    pid = transfer_at(space, plan, Role.PROVIDER).pid
    transfer.terminate(space.south.connector, pid, code="stopped", reason="the steward's wish")
    wait_until(lambda: space.north.transfer(ours.pid).state == "TERMINATED")
    with leaves(space.north, "request.refused", code="dataspace.bad_step"):
        assert space.bring(space.north, kept).status == 400
    assert space.north.transfer(ours.pid).state == "TERMINATED"


@attack(
    "D4",
    "brings a termination before the request that it belongs to",
    refused_by="dataspace.no_process",
    evidence="request.refused",
)
def test_an_end_before_the_beginning_ends_nothing(space: HostileSpace) -> None:
    pid = ProcessId("urn:uuid:not-yet")
    message = builders.with_pids(
        builders.transfer_termination("x", ""), provider=pid, consumer="urn:uuid:1"
    )
    early = space.forge(
        space.north.key,
        issuer=space.north.me,
        to=space.south,
        path=f"/transfers/{pid}/termination",
        document=message,
    )
    with leaves(space.south, "request.refused", code="dataspace.no_process"):
        assert space.bring(space.south, early).status == 404


@attack(
    "D5",
    "brings round 2 after the last one, with another model for it",
    refused_by="gate.round_passed",
    evidence="lease.refused",
)
def test_rounds_do_not_go_back_in_an_attempt(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",), rounds=5)
    order = space.admitted(plan)
    later = other_model(space.start_model())
    space.work(space.south, order, round=5, model=later)
    with leaves(space.south, "lease.refused", rule="gate.round_passed"), pytest.raises(DeniedError):
        space.work(space.south, order, round=4, model=other_model(later))


@attack(
    "D6",
    "asks for an evaluation of an earlier round",
    refused_by="gate.no_such_round",
    evidence="lease.refused",
)
def test_an_evaluation_belongs_to_the_last_round(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",), rounds=5)
    order = space.admitted(plan)
    with (
        leaves(space.south, "lease.refused", rule="gate.no_such_round"),
        pytest.raises(DeniedError),
    ):
        space.work(space.south, order, kind="evaluate", round=2)


@attack(
    "D7",
    "trains on after the evaluation",
    refused_by="gate.round_passed",
    evidence="lease.refused",
)
def test_nothing_is_trained_after_the_evaluation(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",), rounds=3)
    order = space.admitted(plan)
    model = other_model(space.start_model())
    space.work(space.south, order, kind="evaluate", round=3, model=model)
    with leaves(space.south, "lease.refused", rule="gate.round_passed"), pytest.raises(DeniedError):
        space.work(space.south, order, round=2, model=other_model(model))


@attack(
    "D8",
    "has the last model evaluated without the rounds before it, and hands that to the lead",
    refused_by="study.broken_chain",
    evidence="result.refused",
)
def test_a_model_without_its_rounds_is_not_believed(space: HostileSpace) -> None:
    result = space.result()
    result["rounds"] = result["rounds"][:1]
    with leaves(space.north, "result.refused", code="study.broken_chain"):
        row = lead_is_given(space, result)
    assert (row["state"], row["reason"]) == ("FAILED", "study.broken_chain")


@attack(
    "D9",
    "delivers an order after the plan has ended",
    refused_by="gate.study_expired",
    evidence="admission.refused",
)
def test_a_plan_that_has_ended_is_not_admitted(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    later = space.open_gate(space.south, clock=HeldClock(CLOCK.now() + timedelta(hours=2)))
    with (
        leaves(space.south, "admission.refused", rule="gate.study_expired"),
        pytest.raises(DeniedError),
    ):
        later.admit(space.order(plan).as_json())


@attack(
    "D10",
    "takes a result after the round's deadline",
    refused_by="gate.lease_over",
    evidence="release.refused",
)
def test_a_result_does_not_leave_after_its_deadline(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order, gate = space.admitted(plan), space.gate(space.south)
    lease = gate.lease(order.as_json(), kind="train", round=1, model=plan.start)
    lease.file.close()
    facts: dict[str, Any] = {"n": 60, "work_s": 0.1}
    ends = CLOCK.now() + timedelta(seconds=plan.deadline_s + 1)
    later = space.open_gate(space.south, clock=HeldClock(ends))
    with leaves(space.south, "release.refused", rule="gate.lease_over"), pytest.raises(DeniedError):
        later.release(lease.id, update=space.start_model(), facts=facts)


@attack(
    "D11",
    "sends a task of an order that was never admitted",
    refused_by="gate.not_admitted",
    evidence="lease.refused",
)
def test_a_task_needs_an_admitted_order(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    space.admitted(plan)
    early = space.order(plan, attempt=2)
    with leaves(space.south, "lease.refused", rule="gate.not_admitted"), pytest.raises(DeniedError):
        space.work(space.south, early)


@attack(
    "D12",
    "changes an order between its admission and its first task",
    refused_by="gate.order_changed",
    evidence="lease.refused",
)
def test_an_order_is_the_same_at_each_task(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    other = other_model(space.start_model())
    changed = replace(order, start=fingerprint(other))
    with (
        leaves(space.south, "lease.refused", rule="gate.order_changed"),
        pytest.raises(DeniedError),
    ):
        space.work(space.south, changed, model=other)

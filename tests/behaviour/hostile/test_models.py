"""What the hub does with models and replies."""

from __future__ import annotations

import base64
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attacks import attack
from hostile_space import (
    HUB,
    SITES,
    HostileSpace,
    fingerprint,
    lead_is_given,
    leaves,
    other_model,
)
from sqlalchemy import select

from consilium.federation.gathering import Gathering
from consilium.federation.ports import Task
from consilium.federation.store import EVENTS
from consilium.gate.plain import from_plain
from consilium.gate.replies import Answer, pack_reply, read_reply
from consilium.kernel.errors import DeniedError, PeerError
from consilium.ledger.statements import peek_statement
from consilium.models.passports import verify_passport
from consilium.models.weights import pack_arrays, unpack_arrays

pytestmark = pytest.mark.slow


@attack(
    "M1",
    "starts a study from another model than the lead signed",
    refused_by="gate.other_start",
    evidence="admission.refused",
)
def test_a_study_starts_from_the_signed_model(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.order(plan, start=fingerprint(other_model(space.start_model())))
    with (
        leaves(space.south, "admission.refused", rule="gate.other_start"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(order.as_json())


@attack(
    "M2",
    "sends another model than the one that the order names",
    refused_by="gate.other_model",
    evidence="lease.refused",
)
def test_the_first_task_brings_the_orders_model(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    with leaves(space.south, "lease.refused", rule="gate.other_model"), pytest.raises(DeniedError):
        space.work(space.south, order, model=other_model(space.start_model()))


@attack(
    "M3",
    "sends a second model for one round",
    refused_by="gate.other_model",
    evidence="lease.refused",
)
def test_a_round_has_one_model(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    model = other_model(space.start_model())
    space.work(space.south, order, round=2, model=model)
    with leaves(space.south, "lease.refused", rule="gate.other_model"), pytest.raises(DeniedError):
        space.work(space.south, order, round=2, model=other_model(model))


@attack(
    "M4",
    "shows one hospital another model than the others, and goes on from theirs",
    refused_by="gate.contradicts_shown",
    evidence="admission.refused",
)
def test_a_split_view_shows_at_the_next_segment(space: HostileSpace) -> None:
    plan = space.fresh(rounds=3)
    order = space.admitted(plan, *(space.hospital(name) for name in SITES))
    theirs, ours = (other_model(space.start_model(), by=by) for by in (1.0, 2.0))
    space.work(space.south, order, round=2, model=ours)
    for hospital in (space.west, space.east):
        space.work(hospital, order, round=2, model=theirs)
    signed = space.countersign(plan, 1, fingerprint(theirs), space.west, space.east)
    onward = space.order(
        plan, attempt=2, first_round=2, start=fingerprint(theirs), countersigned=signed
    )
    with (
        leaves(space.south, "admission.refused", rule="gate.contradicts_shown"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(onward.as_json())
    for hospital in (space.west, space.east):
        space.gate(hospital).admit(onward.as_json())


def test_a_split_view_stands_in_the_hospitals_own_evidence(space: HostileSpace) -> None:
    """Within one segment nobody refuses a split view: an auditor finds it afterwards."""
    plan = space.fresh(rounds=3)
    order = space.admitted(plan, space.south, space.west)
    space.work(space.south, order, round=2, model=other_model(space.start_model(), by=1.0))
    space.work(space.west, order, round=2, model=other_model(space.start_model(), by=2.0))
    shown = {
        entry.facts["model"]
        for hospital in (space.south, space.west)
        for entry in hospital.database.evidence.entries(
            limit=10_000, kind="lease.granted", subject=plan.study
        )
        if entry.facts["round"] == 2
    }
    assert len(shown) == 2


def arrays(space: HostileSpace, **changes: Any) -> bytes:
    return pack_arrays(dict(unpack_arrays(space.start_model())) | changes)


def bad_models(space: HostileSpace) -> dict[str, bytes]:
    one = next(iter(unpack_arrays(space.start_model())))
    shape = unpack_arrays(space.start_model())[one].shape
    return {
        "gate.update_not_finite": arrays(space, **{one: np.full(shape, np.nan)}),
        "gate.update_other_arrays": arrays(space, probe=np.zeros(3)),
        "gate.update_too_large": arrays(space, probe=np.zeros(100_000)),
        "gate.update_unreadable": pickle.dumps({one: np.zeros(shape)}),
        "gate.update_has_notes": pack_arrays(unpack_arrays(space.start_model()), note="run this"),
    }


@attack(
    "M5",
    "sends a model with NaN, further arrays, gigabytes, a pickle or notes",
    refused_by="federation.bad_model",
    evidence="task.refused",
)
@pytest.mark.parametrize(
    "flaw", ["not_finite", "other_arrays", "too_large", "unreadable", "has_notes"]
)
def test_a_model_that_is_none_of_the_plans_opens_no_data(space: HostileSpace, flaw: str) -> None:
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    model = bad_models(space)[f"gate.update_{flaw}"]
    with (
        leaves(space.south, "task.refused", code="federation.bad_model"),
        pytest.raises(DeniedError) as caught,
    ):
        space.work(space.south, order, round=2, model=model)
    assert caught.value.facts["flaw"] == f"gate.update_{flaw}"


@attack(
    "M6",
    "starts a segment from the last model of another study",
    refused_by="gate.start_not_countersigned",
    evidence="admission.refused",
)
def test_the_model_of_another_study_is_no_start(space: HostileSpace) -> None:
    final = fingerprint(base64.b64decode(space.result()["final"]))
    plan = space.fresh(open_at=("south",))
    signed = tuple(space.result()["evaluation"]["countersigned"])
    order = space.order(plan, first_round=3, start=final, countersigned=signed)
    with (
        leaves(space.south, "admission.refused", rule="gate.start_not_countersigned"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(order.as_json())


# --- what the lead is handed ------------------------------------------------------------


def refuse_result(space: HostileSpace, result: dict[str, Any], *, code: str) -> None:
    with leaves(space.north, "result.refused", code=code):
        row = lead_is_given(space, result)
    assert (row["state"], row["reason"], row["result"]) == ("FAILED", code, "")


@attack(
    "M7",
    "hands the lead another model than the one that was evaluated",
    refused_by="gate.other_task",
    evidence="result.refused",
)
def test_the_lead_believes_the_evaluated_model_alone(space: HostileSpace) -> None:
    result = space.result()
    model = other_model(base64.b64decode(result["final"]))
    refuse_result(
        space, result | {"final": base64.b64encode(model).decode()}, code="gate.other_task"
    )


@attack(
    "M8",
    "swaps the evaluations of two hospitals",
    refused_by="ledger.bad_signature",
    evidence="result.refused",
)
def test_swapped_evaluations_are_refused(space: HostileSpace) -> None:
    result = space.result()
    replies = result["evaluation"]["replies"]
    replies[space.south.me], replies[space.west.me] = (
        replies[space.west.me],
        replies[space.south.me],
    )
    refuse_result(space, result, code="ledger.bad_signature")


@attack(
    "M9",
    "improves a hospital's figures",
    refused_by="ledger.bad_signature",
    evidence="result.refused",
)
def test_a_figure_of_the_hubs_is_refused(space: HostileSpace) -> None:
    result = space.result()
    replies = result["evaluation"]["replies"]
    answer = from_plain(Answer, peek_statement(replies[space.south.me]))
    data = pack_reply(space.own_key, replace(answer, n=10_000), update=pack_arrays({}))
    replies[space.south.me] = read_reply(data).statement
    refuse_result(space, result, code="ledger.bad_signature")


@attack(
    "M10",
    "drops evaluations below the quorum",
    refused_by="study.bad_result",
    evidence="result.refused",
)
def test_evaluations_below_the_quorum_are_refused(space: HostileSpace) -> None:
    result = space.result()
    for hospital in (space.south, space.west):
        del result["evaluation"]["replies"][hospital.me]
    refuse_result(space, result, code="study.bad_result")


@attack(
    "M11",
    "runs a round with fewer hospitals than the quorum",
    refused_by="study.broken_chain",
    evidence="result.refused",
)
def test_a_round_below_the_quorum_is_refused(space: HostileSpace) -> None:
    result = space.result()
    for hospital in (space.south, space.west):
        del result["rounds"][0]["replies"][hospital.me]
    refuse_result(space, result, code="study.broken_chain")


@attack(
    "M12",
    "puts a hospital of its own among those who took part in a round",
    refused_by="study.broken_chain",
    evidence="result.refused",
)
def test_a_round_with_a_stranger_is_refused(space: HostileSpace) -> None:
    result = space.result()
    replies = result["rounds"][0]["replies"]
    replies[HUB] = replies.pop(space.south.me)
    refuse_result(space, result, code="study.broken_chain")


@attack(
    "M13",
    "puts another model between two rounds",
    refused_by="gate.other_task",
    evidence="result.refused",
)
def test_a_model_that_nobody_trained_from_breaks_the_chain(space: HostileSpace) -> None:
    result = space.result()
    result["rounds"][0]["model"] = fingerprint(other_model(space.start_model()))
    refuse_result(space, result, code="gate.other_task")


@attack(
    "M14",
    "tells the lead of other datasets than the hospitals offered, for its passport",
    refused_by="event.not_the_hubs",
    evidence="event.refused",
)
def test_the_passport_names_the_datasets_that_the_lead_recruited(space: HostileSpace) -> None:
    sites = [site | {"fingerprint": fingerprint(b"forged")} for site in space.recruited]
    lie = {"id": 7, "time": "2026-01-01T00:00:00Z", "kind": "recruited", "facts": {"sites": sites}}
    before = space.north.database.evidence.size
    row = lead_is_given(space, space.result(), events=[lie])
    assert row["state"] == "COMPLETED"
    [told] = space.north.database.evidence.entries(after=before, kind="event.refused")
    assert told.facts["kind"] == "recruited"
    final = fingerprint(base64.b64decode(space.result()["final"])).removeprefix("sha256:")
    file = space.folder / "north-models" / f"{final}.passport"
    passport = verify_passport(file.read_text(), key=space.north.key.public)
    true = {site["participant"]: site["fingerprint"] for site in space.recruited}
    assert {site.participant: site.fingerprint for site in passport.sites} == true
    assert {site.rounds for site in passport.sites} == {space.plan.rounds}


@attack(
    "M15",
    "fills the lead's disk with events",
    refused_by="event.not_the_hubs",
    evidence="event.refused",
)
def test_a_huge_event_is_not_kept(space: HostileSpace) -> None:
    lie = {"id": 7, "time": "", "kind": "waiting", "facts": {"for": "x" * 3_000_000}}
    before = space.north.database.evidence.size
    lead_is_given(space, space.result(), events=[lie])
    assert space.north.database.evidence.entries(after=before, kind="event.refused")
    with space.north.database.read() as connection:
        query = select(EVENTS.c.facts).where(EVENTS.c.study == space.plan.study)
        assert max(map(len, connection.execute(query).scalars())) < 100_000


@attack(
    "M16",
    "gives one hospital's reply as another's",
    refused_by="ledger.bad_signature",
    evidence="result.refused",
)
def test_a_reply_counts_for_the_hospital_that_signed_it(space: HostileSpace) -> None:
    result = space.result()
    replies = result["rounds"][1]["replies"]
    replies[space.south.me] = replies[space.west.me]
    refuse_result(space, result, code="ledger.bad_signature")


def test_an_honest_aggregator_takes_no_update_but_the_signed_one(space: HostileSpace) -> None:
    """Whoever sums checks each update; a hub that sums falsely is a limit told in docs/trust.md."""
    plan = space.fresh(open_at=("south",))
    order = space.admitted(plan)
    reply = space.work(space.south, order)
    scaled = pack_arrays(
        {name: one * 100 for name, one in unpack_arrays(reply).items()},
        note=read_reply(reply).statement,
    )
    told: list[Any] = []
    gathering = Gathering(
        study=plan,
        segment=1,
        cast=lambda *_, **__: {space.south.me: scaled},
        tell=lambda _, gathered: told.append(dict(gathered.bad)),
    )
    task = Task(kind="train", round=1, model=space.start_model())
    with pytest.raises(PeerError):
        gathering.gather(task, [space.south.me])
    assert told[0] == {space.south.me: "gate.other_update"}

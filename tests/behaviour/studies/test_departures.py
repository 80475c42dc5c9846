"""Hospitals that end their part in a running study: it goes on without them, or ends at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from coordination_rehearsal import Bench

from consilium.federation.departures import list_departed, note_departure
from consilium.federation.states import StudyState
from consilium.kernel.identifiers import ParticipantId

MakeBench = Callable[..., Bench]
CODE = "gate.agreement_revoked"


def leave(bench: Bench, site: ParticipantId) -> bool:
    with bench.database.write() as tx:
        return note_departure(
            tx,
            bench.study,
            site,
            code=CODE,
            reason="It was revoked.",
            clock=bench.coordinator.clock,
        )


def watch_round(bench: Bench, number: int, act: Callable[[], Any]) -> None:
    """Act once, when the hub looks after a round has closed."""
    done: list[bool] = []

    def look(_job: str) -> None:
        if not done and len(bench.events("round_closed")) >= number:
            done.append(True)
            act()

    bench.engine.watch = look


def test_the_study_goes_on_with_those_who_stay_and_begins_no_segment_for_who_left(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(rounds=12, quorum=2)
    gone = bench.sites[0]
    bench.hasten(look_s=0.002, ask_s=0.002)

    def go() -> None:
        bench.rehearsal.desks[gone].refuses_from_round = 1
        leave(bench, gone)

    watch_round(bench, 2, go)
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes() == ["finished"]
    (left,) = bench.events("left")
    assert left["facts"] == {"participant": gone, "code": CODE, "reason": "It was revoked."}
    assert bench.kinds().count("study.left") == 1
    assert bench.events("round_closed")[-1]["facts"]["missing"] == [gone]


def test_too_few_who_stay_end_the_study_at_once_with_a_clear_reason(make_bench: MakeBench) -> None:
    bench = make_bench(rounds=500, quorum=3)
    watch_round(bench, 2, lambda: leave(bench, bench.sites[1]))
    began = time.monotonic()
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "study.sites_left"
    assert time.monotonic() - began < 20
    assert bench.engine.aborted != []
    assert bench.outcomes() == ["study.sites_left"]


def test_who_has_left_is_remembered_over_a_restart_of_the_hub(make_bench: MakeBench) -> None:
    bench = make_bench(quorum=3)
    assert leave(bench, bench.sites[2])
    assert not leave(bench, bench.sites[2]), "once is enough"
    bench.restart()
    with bench.database.read() as connection:
        assert list_departed(connection, bench.study) == {bench.sites[2]}
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "study.sites_left"
    assert bench.engine.submitted == []


@pytest.mark.parametrize(("code", "left"), [(CODE, 1), ("gate.bad_luck", 0)])
def test_a_final_refusal_at_the_gate_counts_as_leaving(
    make_bench: MakeBench, code: str, left: int
) -> None:
    bench = make_bench(rounds=4, quorum=2)
    unwilling = bench.sites[0]
    bench.rehearsal.desks[unwilling].refuses_admission = True
    bench.engine.inner.refusals = lambda job: {unwilling: f"{code}: A sentence."}  # type: ignore[method-assign]
    assert bench.run() is StudyState.COMPLETED
    assert len(bench.events("left")) == left
    if left:
        assert bench.outcomes() == ["finished"]

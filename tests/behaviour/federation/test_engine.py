"""What every engine must do: run a segment, tell of refusals, stop, and never be the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from federation_rehearsal import Rehearsal, await_end, make_rehearsal

from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import Engine, EngineStatus
from consilium.federation.resumption import accepted_round
from consilium.gate.orders import peek_study
from consilium.kernel.canonical import digest_of

StartEngine = Callable[[Rehearsal], Engine]


def test_a_segment_runs_to_its_end_and_leaves_model_and_evaluations(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(tmp_path)
    folder = rehearsal.run(start_engine(rehearsal))
    assert folder.has_ended()
    assert folder.rounds() == [1, 2, 3, 4]
    assert folder.final() == folder.model(4)
    assert set(folder.evaluation()["facts"]) == set(rehearsal.desks)
    assert accepted_round(folder, peek_study(rehearsal.signed)) == 4


def test_the_events_tell_the_segment_in_order(start_engine: StartEngine, tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=2)
    folder = rehearsal.run(start_engine(rehearsal))
    kinds = [event["kind"] for event in folder.events()]
    assert kinds == [
        "round_started",
        "round_closed",
        "round_started",
        "round_closed",
        "evaluation_started",
        "evaluated",
        "finished",
    ]


def test_a_closed_round_says_what_it_cost(start_engine: StartEngine, tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=1)
    folder = rehearsal.run(start_engine(rehearsal))
    closed = next(event for event in folder.events() if event["kind"] == "round_closed")
    assert set(closed["work_s"]) == set(rehearsal.desks)
    assert closed["overhead_s"] == pytest.approx(
        closed["seconds"] - max(closed["work_s"].values()), abs=1e-5
    )
    assert closed["bytes_down"] == 3 * len(rehearsal.start)
    assert closed["bytes_up"] > 3 * len(rehearsal.start)
    assert closed["missing"] == []


def test_a_hospital_that_refuses_is_named_and_the_others_go_on(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=2)
    unwilling = next(iter(rehearsal.desks))
    rehearsal.desks[unwilling].refuses_admission = True
    engine = start_engine(rehearsal)
    order, point, folder = rehearsal.begin()
    job = engine.submit(order, point.model, folder.path)
    await_end(engine, job, timeout_s=60)
    assert list(engine.refusals(job)) == [unwilling]
    assert folder.has_ended()
    assert folder.evaluation()["missing"] == [unwilling]


def test_without_a_quorum_the_segment_fails_with_its_code(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(tmp_path, quorum=3, deadline_s=1.0)
    next(iter(rehearsal.desks.values())).refuses_from_round = 1
    folder = rehearsal.run(start_engine(rehearsal))
    assert not folder.has_ended()
    last = folder.events()[-1]
    assert (last["kind"], last["code"]) == ("failed", "federation.no_quorum")


def test_a_hospital_that_withdraws_is_missed_from_that_round_on(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=3)
    leaver = sorted(rehearsal.desks)[1]
    rehearsal.desks[leaver].refuses_from_round = 2
    folder = rehearsal.run(start_engine(rehearsal))
    missing = [event["missing"] for event in folder.events() if event["kind"] == "round_closed"]
    assert missing == [[], [leaver], [leaver]]


def test_a_silent_hospital_costs_one_deadline_and_no_more(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=3, deadline_s=1.0)
    silent = rehearsal.desks[sorted(rehearsal.desks)[0]]
    silent.silent_in = {2, 3}
    began = time.monotonic()
    folder = rehearsal.run(start_engine(rehearsal))
    took = time.monotonic() - began
    silent.quiet.set()
    assert folder.has_ended()
    assert folder.evaluation()["missing"] == [silent.participant]
    assert took < 15


def test_the_same_study_gives_the_same_model_again(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    finals = []
    for name in ("first", "second"):
        rehearsal = make_rehearsal(tmp_path / name, rule="fedadam")
        finals.append(rehearsal.run(start_engine(rehearsal)).final())
    assert finals[0] == finals[1]


def test_an_aborted_segment_resumes_to_the_model_of_an_undisturbed_one(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    calm = make_rehearsal(tmp_path / "calm", rule="fedadam", rounds=6)
    undisturbed = calm.run(start_engine(calm)).final()

    rehearsal = make_rehearsal(tmp_path / "rough", rule="fedadam", rounds=6)
    waiter = rehearsal.desks[sorted(rehearsal.desks)[0]]
    waiter.silent_in = {4}
    engine = start_engine(rehearsal)
    order, point, folder = rehearsal.begin()
    job = engine.submit(order, point.model, folder.path)
    _await_round(folder, 3)
    engine.abort(job)
    waiter.silent_in = set()
    waiter.quiet.set()
    await_end(engine, job, timeout_s=60)
    assert not folder.has_ended()

    resumed = rehearsal.run(engine)
    assert resumed.order().first_round in {3, 4}
    assert resumed.order().attempt == 2
    assert resumed.final() == undisturbed


def test_an_engine_does_not_know_a_foreign_job(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = start_engine(make_rehearsal(tmp_path))
    assert engine.status("job-of-somebody-else") is EngineStatus.UNKNOWN
    assert engine.refusals("job-of-somebody-else") == {}
    engine.abort("job-of-somebody-else")


def test_an_engine_names_the_connected_hospitals(start_engine: StartEngine, tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    assert start_engine(rehearsal).sites() == frozenset(rehearsal.desks)


def test_another_start_than_the_ordered_one_is_not_trained_on(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(tmp_path)
    engine = start_engine(rehearsal)
    order, point, folder = rehearsal.begin()
    job = engine.submit(order, point.model + b" ", folder.path)
    await_end(engine, job, timeout_s=60)
    assert folder.events()[-1]["code"] == "federation.wrong_start"
    assert folder.rounds() == []
    assert digest_of(point.model) == order.start


def _await_round(folder: SegmentFolder, number: int) -> None:
    ends = time.monotonic() + 60
    while number not in folder.rounds():
        if time.monotonic() > ends:
            raise TimeoutError(f"round {number}")
        time.sleep(0.01)

"""The hub runs a study through segments: it never believes the engine, and always ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from coordination_rehearsal import Bench, lose_job
from federation_rehearsal import await_end
from studies_rehearsal import await_state, wait_until

from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import EngineStatus
from consilium.federation.states import StudyState
from consilium.federation.studies import begin_segment, move_study
from consilium.gate.orders import Order
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import NotFoundError, PeerError

pytestmark = pytest.mark.slow

MakeBench = Callable[..., Bench]
CLOCK = SystemClock()


def test_a_study_runs_to_its_end_with_evidence_for_every_step(make_bench: MakeBench) -> None:
    bench = make_bench()
    assert bench.run() is StudyState.COMPLETED
    assert [kind for kind in bench.kinds() if kind.partition(".")[0] in {"study", "segment"}] == [
        "study.submitted",
        "study.running",
        "segment.begun",
        "segment.ended",
        "study.completed",
    ]
    rounds = bench.database.evidence.entries(kind="round.closed")
    folder = bench.coordinator.ended_attempt(bench.plan)
    assert [(entry.facts["round"], entry.facts["model"]) for entry in rounds] == [
        (number, folder.closed_round(number).model) for number in (1, 2, 3)
    ]
    assert bench.outcomes() == ["finished"]
    assert bench.engine.aborted != []


def test_a_study_that_runs_already_is_not_begun_twice(make_bench: MakeBench) -> None:
    bench = make_bench()
    for _ in range(3):
        bench.coordinator.begin(bench.study)
    assert bench.run() is StudyState.COMPLETED
    assert len(bench.engine.submitted) == 1


@pytest.mark.parametrize("state", [StudyState.COMPLETED, StudyState.STOPPED, StudyState.FAILED])
def test_a_study_that_has_ended_is_not_begun_again(
    make_bench: MakeBench, state: StudyState
) -> None:
    bench = make_bench()
    with bench.database.write() as tx:
        move_study(tx, bench.study, StudyState.RUNNING, clock=CLOCK)
        move_study(tx, bench.study, state, clock=CLOCK)
    bench.coordinator.resume()
    assert bench.run() is state
    assert bench.engine.submitted == []


def test_after_some_fruitless_tries_the_study_fails_with_the_last_reason(
    make_bench: MakeBench,
) -> None:
    bench = make_bench()
    bench.engine.script = [lose_job] * 9
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "study.engine_ended"
    assert bench.outcomes() == ["study.engine_ended"] * bench.patience.tries
    assert len({order.attempt for order in bench.engine.submitted}) == bench.patience.tries
    assert sorted(path.name for path in bench.home.glob("attempt-*")) == [
        "attempt-00001",
        "attempt-00002",
    ]


def test_too_many_refusals_end_the_study_at_once_and_are_its_reason(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.engine.script = [lose_job] * 9
    bench.engine.refused = dict.fromkeys(bench.sites, "no")
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "study.sites_refused"
    assert bench.outcomes() == ["study.sites_refused"]
    assert len(bench.events("refused")) == len(bench.sites)


def test_an_engine_that_takes_no_job_is_asked_again(make_bench: MakeBench) -> None:
    def refuse(order: Order, start: bytes, folder: SegmentFolder) -> None:
        raise PeerError("engine.not_running")

    bench = make_bench()
    bench.engine.script = [refuse]
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes() == ["engine.not_running", "finished"]


def test_a_job_that_tells_nothing_is_given_up(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.hasten(start_s=0.2)
    bench.engine.script = [lose_job]
    bench.engine.lost = EngineStatus.RUNNING
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes() == ["study.engine_silent", "finished"]


def test_a_study_that_rests_after_a_failure_can_be_stopped_at_once(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.hasten(rest_s=60.0)
    bench.engine.script = [lose_job]
    bench.coordinator.begin(bench.study)
    wait_until(lambda: bench.outcomes() == ["study.engine_ended"])
    bench.coordinator.stop(bench.study)
    assert bench.await_end(timeout_s=5) is StudyState.STOPPED


def test_the_code_of_a_failed_segment_is_the_reason(make_bench: MakeBench) -> None:
    bench = make_bench(quorum=3)
    bench.rehearsal.desks[bench.sites[0]].refuses_from_round = 1
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "federation.no_quorum"
    assert {event["facts"]["task"] for event in bench.events("below_quorum")} == {"train"}


def test_tries_are_counted_anew_after_every_accepted_round(make_bench: MakeBench) -> None:
    bench = make_bench(rounds=6)

    def abort_after_two_rounds(job: str) -> None:
        folders = [SegmentFolder(path) for path in sorted(bench.home.glob("attempt-*"))]
        if len(folders) < 4 and len(folders[-1].rounds()) >= 2:
            bench.engine.inner.abort(job)

    # The hub looks at jobs rarely; a hospital that takes its time lets it see each round.
    bench.hasten(look_s=0.002, ask_s=0.002)
    bench.engine.watch = abort_after_two_rounds
    assert bench.run() is StudyState.COMPLETED
    assert len(bench.outcomes()) > bench.patience.tries
    starts = [order.first_round for order in bench.engine.submitted]
    assert starts == sorted(starts)


def test_a_life_of_the_engine_that_ended_takes_its_jobs_along(make_bench: MakeBench) -> None:
    bench = make_bench()

    def begin_anew(job: str) -> None:
        bench.life = 1

    bench.engine.script = [lose_job]
    bench.engine.lost = EngineStatus.RUNNING
    bench.engine.watch = begin_anew
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes() == ["study.engine_restarted", "finished"]


def test_too_few_connected_hospitals_end_the_study_for_good(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.hasten(quorum_s=0.2)
    bench.engine.absent = set(bench.sites[1:])
    bench.coordinator.begin(bench.study)
    await_state(lambda: bench.row()["state"])
    bench.engine.absent = set()
    assert bench.await_end() is StudyState.FAILED
    assert bench.row()["reason"] == "study.too_few_sites"
    assert bench.engine.submitted == []


def test_a_hospital_that_is_away_is_waited_for_a_while_and_named(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.hasten(all_sites_s=1.2)
    away = bench.sites[0]
    bench.engine.absent = {away}
    assert bench.run() is StudyState.COMPLETED
    (waiting,) = bench.events("waiting")
    assert waiting["facts"] == {"for": [away]}
    assert {tuple(event["facts"]["missing"]) for event in bench.events("round_closed")} == {(away,)}


def test_a_hospital_that_comes_back_is_welcomed_in_the_next_segment(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(rounds=30)
    back = bench.sites[0]
    bench.engine.absent = {back}

    def return_after_two_rounds(job: str) -> None:
        if len(bench.events("round_closed")) >= 2:
            bench.engine.absent = set()

    bench.hasten(all_sites_s=0.1, look_s=0.002, ask_s=0.002)
    bench.engine.watch = return_after_two_rounds
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes() == ["welcome", "finished"]
    missing = [event["facts"]["missing"] for event in bench.events("round_closed")]
    assert missing[0] == [back]
    assert missing[-1] == []
    assert [event["facts"]["first_round"] for event in bench.events("segment_begun")][1] > 1


def test_a_hospital_that_never_answers_is_welcomed_a_few_times_only(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(rounds=40)
    bench.hasten(look_s=0.002, ask_s=0.002)
    deaf = bench.rehearsal.desks[bench.sites[0]]
    deaf.refuses_from_round = 1
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes().count("welcome") <= bench.patience.welcomes
    assert bench.outcomes()[-1] == "finished"


def test_a_stopped_study_ends_its_job_and_stays_stopped(make_bench: MakeBench) -> None:
    bench = make_bench(rounds=200)
    bench.coordinator.begin(bench.study)
    bench.await_round(2)
    bench.coordinator.stop(bench.study)
    assert bench.await_end() is StudyState.STOPPED
    assert bench.engine.aborted != []
    bench.restart()
    bench.coordinator.resume()
    assert bench.run() is StudyState.STOPPED
    assert bench.engine.submitted == []


def test_a_refusal_is_noted_once_with_its_reason(make_bench: MakeBench) -> None:
    bench = make_bench(rounds=6)
    unwilling = bench.sites[0]
    bench.rehearsal.desks[unwilling].refuses_admission = True
    assert bench.run() is StudyState.COMPLETED
    noted = bench.events("refused")
    assert {event["facts"]["participant"] for event in noted} == {unwilling}
    assert len(noted) == len(bench.outcomes())
    assert all(event["facts"]["reason"] for event in noted)


def test_a_torn_line_of_an_attempt_that_died_is_passed_over(make_bench: MakeBench) -> None:
    def die_in_a_line(order: Order, start: bytes, folder: SegmentFolder) -> None:
        folder.add_event({"kind": "round_started", "round": 1, "sites": []})
        with (folder.path / "events.jsonl").open("ab") as file:
            file.write(b'{"kind":"round_clo')

    bench = make_bench()
    bench.engine.script = [die_in_a_line]
    assert bench.run() is StudyState.COMPLETED
    assert bench.outcomes() == ["study.engine_ended", "finished"]
    rounds = [event["facts"]["round"] for event in bench.events("round_closed")]
    assert rounds == [1, 2, 3]


def test_a_line_that_was_torn_when_it_was_looked_at_is_heard_once(make_bench: MakeBench) -> None:
    bench = make_bench()
    lines: list[SegmentFolder] = []

    def begin_a_line(order: Order, start: bytes, folder: SegmentFolder) -> None:
        lines.append(folder)
        (folder.path / "events.jsonl").write_bytes(b'{"kind":"noted","number":1,"ti')

    looks = 0

    def end_the_line(job: str) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            with (lines[0].path / "events.jsonl").open("ab") as file:
                file.write(b'me":"then"}\n')

    bench.engine.script = [begin_a_line]
    bench.engine.watch = end_the_line
    assert bench.run() is StudyState.COMPLETED
    assert [event["facts"]["number"] for event in bench.events("noted")] == [1]


def test_a_restarted_hub_goes_on_to_the_model_of_an_undisturbed_one(
    make_bench: MakeBench,
) -> None:
    calm = make_bench(rounds=8, rule="fedadam")
    assert calm.run() is StudyState.COMPLETED

    rough = make_bench(rounds=8, rule="fedadam")
    rough.rehearsal.desks[rough.sites[0]].silent_in = {5}
    rough.coordinator.begin(rough.study)
    rough.await_round(4)
    rough.rehearsal.desks[rough.sites[0]].silent_in = set()
    rough.rehearsal.desks[rough.sites[0]].quiet.set()
    rough.restart()
    assert rough.row()["state"] == "RUNNING"
    rough.coordinator.resume()
    assert rough.await_end() is StudyState.COMPLETED
    assert rough.final() == calm.final()
    assert [order.attempt for order in rough.engine.submitted] == [2]
    assert rough.engine.submitted[0].first_round >= 4


def test_a_hub_killed_after_the_last_file_completes_the_study_when_it_is_back(
    make_bench: MakeBench,
) -> None:
    bench = make_bench()
    with bench.database.write() as tx:
        move_study(tx, bench.study, StudyState.RUNNING, clock=CLOCK)
        begin_segment(tx, bench.study, segment=1, first_round=1, clock=CLOCK)
    rehearsal = bench.rehearsal
    rehearsal.root = bench.home
    order, point, folder = rehearsal.begin()
    await_end(bench.engine, bench.engine.submit(order, point.model, folder.path), timeout_s=20)
    bench.restart()
    bench.coordinator.resume()
    assert bench.await_end() is StudyState.COMPLETED
    assert bench.final() == folder.final()


def test_a_folder_that_was_half_made_is_passed_over(make_bench: MakeBench) -> None:
    bench = make_bench()
    with bench.database.write() as tx:
        move_study(tx, bench.study, StudyState.RUNNING, clock=CLOCK)
        begin_segment(tx, bench.study, segment=1, first_round=1, clock=CLOCK)
    (bench.home / "attempt-00001").mkdir()
    (bench.home / "attempt-00001" / "start.safetensors").write_bytes(b"half")
    bench.restart()
    bench.coordinator.resume()
    assert bench.await_end() is StudyState.COMPLETED
    assert [order.attempt for order in bench.engine.submitted] == [2]


def test_a_study_whose_starting_model_was_changed_fails_and_says_so(
    make_bench: MakeBench,
) -> None:
    bench = make_bench()
    (bench.home / "start.safetensors").chmod(0o600)
    (bench.home / "start.safetensors").write_bytes(b"another")
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "federation.wrong_start"


def test_what_broke_inside_ends_the_study_with_a_word(make_bench: MakeBench) -> None:
    bench = make_bench()
    (bench.home / "start.safetensors").unlink()
    assert bench.run() is StudyState.FAILED
    assert bench.row()["reason"] == "boundary.broken"


def test_there_is_no_ended_attempt_before_the_end(make_bench: MakeBench) -> None:
    bench = make_bench()
    with pytest.raises(NotFoundError):
        bench.coordinator.ended_attempt(bench.plan)

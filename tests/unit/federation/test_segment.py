"""The round loop: what counts as a reply, when a round closes, and what survives a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from federation_rehearsal import (
    KilledError,
    Rehearsal,
    StraightCast,
    make_rehearsal,
    weights_of,
)

from consilium.federation.folder import SegmentFolder
from consilium.federation.resumption import starting_point
from consilium.federation.segment import run_segment
from consilium.gate.replies import Answer, check_countersigned
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError, IntegrityError, PeerError
from consilium.kernel.identifiers import StudyId
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays, unpack_arrays

Spoil = Callable[[Answer, bytes], tuple[Answer, bytes]]


def run(
    rehearsal: Rehearsal, prepare: Callable[[StraightCast], None] = lambda cast: None
) -> tuple[SegmentFolder, StraightCast]:
    order, point, folder = rehearsal.begin()
    cast = rehearsal.cast(order)
    prepare(cast)
    run_segment(order, point.model, cast=cast, folder=folder, clock=SystemClock())
    return folder, cast


def _infinite(answer: Answer, update: bytes) -> tuple[Answer, bytes]:
    arrays = {name: array * np.inf for name, array in unpack_arrays(update).items()}
    return answer, pack_arrays(arrays)


def _other_shape(answer: Answer, update: bytes) -> tuple[Answer, bytes]:
    arrays = {name: np.append(array, 0.0) for name, array in unpack_arrays(update).items()}
    return answer, pack_arrays(arrays)


def _other_type(answer: Answer, update: bytes) -> tuple[Answer, bytes]:
    arrays = {name: array.astype(np.float32) for name, array in unpack_arrays(update).items()}
    return answer, pack_arrays(arrays)


def _no_arrays(answer: Answer, update: bytes) -> tuple[Answer, bytes]:
    return answer, pack_arrays({})


FLAWS: dict[str, tuple[Spoil, str]] = {
    "not finite": (_infinite, "federation.bad_update"),
    "other shape": (_other_shape, "federation.bad_update"),
    "other type": (_other_type, "federation.bad_update"),
    "no arrays": (_no_arrays, "federation.bad_update"),
    "no cases": (lambda a, u: (replace(a, n=0), u), "federation.bad_update"),
    "other round": (lambda a, u: (replace(a, round=9), u), "gate.other_task"),
    "other kind": (lambda a, u: (replace(a, kind="evaluate"), u), "gate.other_task"),
    "other study": (lambda a, u: (replace(a, study=StudyId("urn:x")), u), "gate.other_task"),
    "other segment": (lambda a, u: (replace(a, segment=7), u), "federation.foreign_reply"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_bad_reply_counts_as_a_missing_site_and_is_named(flaw: str, tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=1)
    culprit = sorted(rehearsal.desks)[0]
    rehearsal.desks[culprit].spoil, code = FLAWS[flaw]
    folder, _ = run(rehearsal)
    closed = next(event for event in folder.events() if event["kind"] == "round_closed")
    assert closed["bad"] == {culprit: code}
    assert closed["missing"] == [culprit]
    assert culprit not in closed["sites"]


def _without_loss(answer: Answer, update: bytes) -> tuple[Answer, bytes]:
    return replace(answer, facts=answer.facts | {"loss_before": None}), update


def test_a_site_that_says_no_loss_is_missing_only_where_the_rule_needs_it(tmp_path: Path) -> None:
    for rule, bad in (("fedavg", []), ("qfedavg", ["federation.bad_update"])):
        rehearsal = make_rehearsal(tmp_path / rule, rounds=1, rule=rule)
        culprit = sorted(rehearsal.desks)[0]
        rehearsal.desks[culprit].spoil = _without_loss
        folder, _ = run(rehearsal)
        closed = next(event for event in folder.events() if event["kind"] == "round_closed")
        assert list(closed["bad"].values()) == bad
        assert len(closed["sites"]) == 3 - len(bad)


def test_the_loss_before_training_reaches_the_rule(tmp_path: Path) -> None:
    finals = {}
    for rule, settings in (("fedavg", {}), ("qfedavg", {"q": 0}), ("qfedavg", {"q": 5})):
        name = f"{rule}{settings.get('q', '')}"
        rehearsal = make_rehearsal(tmp_path / name, rounds=1, rule=rule, rule_settings=settings)
        finals[name] = weights_of(run(rehearsal)[0].final())
    np.testing.assert_allclose(finals["qfedavg0"], finals["fedavg"], rtol=1e-12)
    assert not np.allclose(finals["qfedavg5"], finals["fedavg"], rtol=1e-3)


def test_a_round_with_fewer_sites_than_the_rule_needs_fails_with_its_code(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rule="krum")
    with pytest.raises(InputError):
        run(rehearsal)
    (folder,) = rehearsal.attempts()
    assert folder.events()[-1]["code"] == "federation.too_few_sites"
    assert folder.rounds() == []


def test_a_reply_under_another_key_than_the_pinned_one_is_not_counted(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=1)
    culprit = sorted(rehearsal.desks)[0]
    rehearsal.desks[culprit].key = SigningKey.generate()
    folder, _ = run(rehearsal)
    assert folder.closed_round(1).replies.keys() == rehearsal.desks.keys() - {culprit}
    assert folder.evaluation()["missing"] == [culprit]


def test_a_reply_carried_under_another_name_is_not_counted(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=1)
    first, second = sorted(rehearsal.desks)[:2]

    def swap(cast: StraightCast) -> None:
        cast.workers[first] = cast.workers[second]

    folder, _ = run(rehearsal, swap)
    closed = next(event for event in folder.events() if event["kind"] == "round_closed")
    assert closed["bad"] == {first: "ledger.bad_signature"}


def test_who_missed_a_round_is_not_asked_again_in_the_segment(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=3)
    absent = sorted(rehearsal.desks)[2]
    _, cast = run(rehearsal, lambda cast: cast.absent.update({2: {absent}}))
    asked = {(kind, number): absent in sites for kind, number, sites in cast.asked}
    assert asked == {
        ("train", 1): True,
        ("train", 2): True,
        ("train", 3): False,
        ("evaluate", 3): False,
    }


def test_below_the_quorum_everyone_missing_is_asked_once_more(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=2, quorum=3)
    late = sorted(rehearsal.desks)[0]

    class LateOnce(StraightCast):
        def __call__(self, task, **asked):  # type: ignore[no-untyped-def]
            gone = {late} if len(self.asked) == 1 else set()
            self.absent = {task.round: gone}
            return super().__call__(task, **asked)

    order, point, folder = rehearsal.begin()
    cast = LateOnce(rehearsal, order)
    run_segment(order, point.model, cast=cast, folder=folder, clock=SystemClock())
    assert cast.asked[1:3] == [("train", 2, tuple(sorted(rehearsal.desks))), ("train", 2, (late,))]
    assert folder.has_ended()
    assert [event["kind"] for event in folder.events()].count("below_quorum") == 1


def test_below_the_quorum_twice_the_segment_fails_and_keeps_its_rounds(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=3, quorum=3)
    with pytest.raises(PeerError) as caught:
        run(rehearsal, lambda cast: cast.absent.update({2: {sorted(rehearsal.desks)[0]}}))
    assert caught.value.code == "federation.no_quorum"
    (folder,) = rehearsal.attempts()
    assert folder.rounds() == [1]
    assert folder.events()[-1]["code"] == "federation.no_quorum"


def test_an_unexpected_failure_is_told_by_its_kind_alone(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)

    def broken(*_: object, **__: object) -> dict[str, bytes]:
        raise MemoryError("age 63, chest pain")

    order, point, folder = rehearsal.begin()
    with pytest.raises(MemoryError):
        run_segment(order, point.model, cast=broken, folder=folder, clock=SystemClock())  # type: ignore[arg-type]
    assert folder.events()[-1]["code"] == "federation.loop_broke"
    assert "chest" not in (folder.path / "events.jsonl").read_text()


@pytest.mark.parametrize("rule", ["fedavg", "fedadam"])
@pytest.mark.parametrize(
    "moment", [("train", 1), ("train", 2), ("train", 4), ("evaluate", 4)], ids=str
)
def test_a_kill_at_any_round_ends_in_the_same_bytes(
    rule: str, moment: tuple[str, int], tmp_path: Path
) -> None:
    calm, _ = run(make_rehearsal(tmp_path / "calm", rule=rule))
    rehearsal = make_rehearsal(tmp_path / "rough", rule=rule)
    with pytest.raises(KilledError):
        run(rehearsal, lambda cast: setattr(cast, "die_in", moment))
    folder, _ = run(rehearsal)
    # The round before the kill is closed but not yet countersigned, so it is done again.
    closed = 4 if moment[0] == "evaluate" else moment[1] - 1
    assert folder.order().first_round == max(1, closed)
    assert folder.final() == calm.final()
    assert folder.model(4) == calm.model(4)


def test_kill_after_kill_still_ends_in_the_same_bytes(tmp_path: Path) -> None:
    calm, _ = run(make_rehearsal(tmp_path / "calm", rule="fedadam", rounds=6))
    rehearsal = make_rehearsal(tmp_path / "rough", rule="fedadam", rounds=6)
    for number in (2, 3, 3, 5, 6):
        with pytest.raises(KilledError):
            run(rehearsal, lambda cast, number=number: setattr(cast, "die_in", ("train", number)))  # type: ignore[misc]
    folder, _ = run(rehearsal)
    assert folder.final() == calm.final()


def test_a_resumed_order_passes_the_hospitals_own_check(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    with pytest.raises(KilledError):
        run(rehearsal, lambda cast: setattr(cast, "die_in", ("train", 4)))
    order, _, _ = rehearsal.begin()
    assert order.first_round == 3
    check_countersigned(order, rehearsal.study)


def test_a_segment_that_was_asked_to_yield_ends_before_its_next_round(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)

    class Yielding(StraightCast):
        def __call__(self, task, **asked):  # type: ignore[no-untyped-def]
            if task.round == 2:
                folder.ask_to_yield()
            return super().__call__(task, **asked)

    order, point, folder = rehearsal.begin()
    cast = Yielding(rehearsal, order)
    run_segment(order, point.model, cast=cast, folder=folder, clock=SystemClock())
    assert folder.events()[-1]["kind"] == "yielded"
    assert folder.rounds() == [1, 2]
    assert not folder.has_ended()


def test_an_attempt_that_lives_on_after_its_time_is_not_believed(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    first, first_point, first_folder = rehearsal.begin()
    second, _, second_folder = rehearsal.begin()
    late = rehearsal.cast(first)
    run_segment(first, first_point.model, cast=late, folder=first_folder, clock=SystemClock())
    point = starting_point(rehearsal.attempts(), rehearsal.study, rehearsal.start)
    assert second.first_round == 1
    assert second_folder.rounds() == []
    assert point.first_round == 1


def test_a_damaged_round_is_passed_over(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    folder, _ = run(rehearsal)
    file = folder.path / "round-00004.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    point = starting_point([folder], rehearsal.study, rehearsal.start)
    assert point.first_round == 4
    assert point.model == folder.model(3)


def test_a_damaged_rule_state_is_passed_over(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rule="fedadam")
    folder, _ = run(rehearsal)
    (folder.path / "rule-00004.safetensors").write_bytes(b"")
    assert starting_point([folder], rehearsal.study, rehearsal.start).first_round == 4


def test_countersignatures_below_the_quorum_accept_nothing(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=2)
    folder, _ = run(rehearsal)
    strict = replace(rehearsal.study, quorum=3)
    evaluation = folder.evaluation()
    folder.write_end(
        evaluation | {"countersigned": evaluation["countersigned"][:1] * 3}, model=folder.final()
    )
    assert starting_point([folder], strict, rehearsal.start).first_round == 2


def test_a_half_made_folder_is_passed_over(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    half = SegmentFolder(tmp_path / "attempt-00001")
    half.path.mkdir()
    assert starting_point([half], rehearsal.study, rehearsal.start).first_round == 1


def test_another_start_than_the_plans_is_refused(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    with pytest.raises(IntegrityError) as caught:
        starting_point([], rehearsal.study, rehearsal.start + b" ")
    assert caught.value.code == "federation.wrong_start"


def test_a_round_shows_each_sites_losses_and_nothing_else(tmp_path: Path) -> None:
    folder, _ = run(make_rehearsal(tmp_path, rounds=1))
    closed = next(event for event in folder.events() if event["kind"] == "round_closed")
    assert {tuple(facts) for facts in closed["facts"].values()} == {
        ("loss_after", "loss_before", "n")
    }


def test_a_later_start_without_the_rules_memory_is_refused(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rule="fedadam")
    with pytest.raises(KilledError):
        run(rehearsal, lambda cast: setattr(cast, "die_in", ("train", 4)))
    order, point, folder = rehearsal.begin()
    (folder.path / "start-rule.safetensors").write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        run_segment(
            order, point.model, cast=rehearsal.cast(order), folder=folder, clock=SystemClock()
        )
    assert caught.value.code == "federation.broken_round"

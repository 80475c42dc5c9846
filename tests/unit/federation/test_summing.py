"""Secure rounds in the round loop: the same models, lost sites, crashes, and what the hub keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation_rehearsal import (
    KilledError,
    Rehearsal,
    StraightCast,
    make_cases,
    make_rehearsal,
    weights_of,
)

from consilium.federation.chain import list_rounds, verify_rounds
from consilium.federation.folder import SegmentFolder
from consilium.federation.segment import run_segment
from consilium.gate.orders import Masking, study_from_json
from consilium.gate.replies import read_reply
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId

MASKS = Masking(clip=2.0, max_cases=100)
NAMES = ("east", "north", "south", "west")
STEPS = ("announce", "share", "deliver", "mask", "confirm", "reveal")


def few_plainly(values: Iterable[str], *plain: str) -> list[Any]:
    """Run some cases among the plain tests, and the rest among the slow ones."""
    return [
        value if value in plain else pytest.param(value, marks=pytest.mark.slow) for value in values
    ]


def make_secure(folder: Path, **changes: Any) -> Rehearsal:
    """Four hospitals and three rounds, masked unless told otherwise."""
    data = {
        name: make_cases(number, n=50 + 5 * number, shift=number / 2 - 0.5)
        for number, name in enumerate(NAMES)
    }
    return make_rehearsal(
        folder, sites=data, **{"rounds": 3, "quorum": 3, "secure": MASKS, **changes}
    )


class RoundsOnly(StraightCast):
    """Ends a segment after its last round: evaluations take long, and nothing here needs them."""

    folder: SegmentFolder
    last: int

    def __call__(self, task, **asked):  # type: ignore[no-untyped-def]
        if task.round == self.last:
            self.folder.ask_to_yield()
        return super().__call__(task, **asked)


def run(
    rehearsal: Rehearsal,
    prepare: Callable[[StraightCast], None] = lambda cast: None,
    *,
    kind: type[RoundsOnly] = RoundsOnly,
) -> tuple[SegmentFolder, StraightCast]:
    order, point, folder = rehearsal.begin()
    cast = kind(rehearsal, order)
    cast.folder, cast.last = folder, rehearsal.study.rounds
    prepare(cast)
    run_segment(order, point.model, cast=cast, ask=cast.ask, folder=folder, clock=SystemClock())
    return folder, cast


def last_model(folder: SegmentFolder) -> bytes:
    return folder.model(folder.rounds()[-1])


def closed(folder: SegmentFolder, number: int) -> dict[str, Any]:
    events = [event for event in folder.events() if event["kind"] == "round_closed"]
    return next(event for event in events if event["round"] == number)


def lose(rehearsal: Rehearsal, number: int, step: str, *places: int) -> list[ParticipantId]:
    """Let hospitals be lost in a round from a step on."""
    lost = [sorted(rehearsal.desks)[place] for place in places]
    for site in lost:
        gone = STEPS[STEPS.index(step) :]
        rehearsal.desks[site].lost_before = dict.fromkeys([(number, one) for one in gone], True)
    return lost


RULES = ("fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi")


@pytest.mark.parametrize("rule", few_plainly(RULES, "fedadam"))
def test_a_secure_study_ends_with_the_model_of_a_plain_one(rule: str, tmp_path: Path) -> None:
    plain, _ = run(make_secure(tmp_path / "plain", rule=rule, secure=None))
    secure, _ = run(make_secure(tmp_path / "secure", rule=rule))
    np.testing.assert_allclose(
        weights_of(last_model(secure)), weights_of(last_model(plain)), rtol=0, atol=1e-5
    )


def test_the_hub_gets_noise_and_no_number_of_a_single_hospital(tmp_path: Path) -> None:
    rehearsal, seen = make_secure(tmp_path, rounds=1), dict[ParticipantId, bytes]()

    class Listening(RoundsOnly):
        def __call__(self, task, **asked):  # type: ignore[no-untyped-def]
            answers = super().__call__(task, **asked)
            if task.kind == "train":
                seen.update(answers)
            return answers

    folder, _ = run(rehearsal, kind=Listening)
    for site, data in seen.items():
        reply = read_reply(data)
        assert list(reply.arrays) == ["masked"]
        assert (reply.n, reply.facts) == (0, {})
        values = reply.arrays["masked"]
        assert (values.dtype, values.shape) == (np.dtype("<u4"), (6,))
        assert values[-1] != len(rehearsal.desks[site].data.y)
    event = closed(folder, 1)
    assert event["facts"] == {}
    sizes = [int((desk.data.part == 0).sum()) for desk in rehearsal.desks.values()]
    assert event["cases"] == sum(sizes)


@pytest.mark.parametrize("step", few_plainly(STEPS, "mask"))
def test_a_site_lost_at_any_step_does_not_stop_the_round(step: str, tmp_path: Path) -> None:
    rehearsal = make_secure(tmp_path / "secure", rounds=2)
    (lost,) = lose(rehearsal, 2, step, 1)
    folder, _ = run(rehearsal)
    assert folder.rounds() == [1, 2]
    in_sum = step in ("confirm", "reveal")
    assert closed(folder, 2)["missing"] == ([] if in_sum else [lost])
    plain = make_secure(tmp_path / "plain", rounds=2, secure=None)
    absent = {} if in_sum else {2: {lost}}
    without, _ = run(plain, lambda cast: cast.absent.update(absent))
    np.testing.assert_allclose(
        weights_of(folder.model(2)), weights_of(without.model(2)), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("step", few_plainly(STEPS, "confirm"))
def test_more_lost_than_allowed_end_the_attempt_and_the_next_one_sums_again(
    step: str, tmp_path: Path
) -> None:
    calm, _ = run(make_secure(tmp_path / "calm"))
    rehearsal = make_secure(tmp_path / "rough")
    lost = lose(rehearsal, 2, step, 1, 2)
    with pytest.raises(ConsiliumError) as caught:
        run(rehearsal)
    (first,) = rehearsal.attempts()
    expected = "federation.no_quorum" if step in ("deliver", "mask") else "secure.too_many_lost"
    assert caught.value.code == first.events()[-1]["code"] == expected
    assert first.rounds() == [1]
    for site in lost:
        rehearsal.desks[site].lost_before = {}
    folder, _ = run(rehearsal)
    assert last_model(folder) == last_model(calm)


KILLED = ("announce", "share", "deliver", "train", "confirm", "reveal")


@pytest.mark.parametrize("step", few_plainly(KILLED, "reveal"))
def test_a_hub_killed_at_any_step_ends_in_the_same_bytes(step: str, tmp_path: Path) -> None:
    calm, _ = run(make_secure(tmp_path / "calm", rule="fedadam"))
    rehearsal = make_secure(tmp_path / "rough", rule="fedadam")
    with pytest.raises(KilledError):
        run(rehearsal, lambda cast: setattr(cast, "die_in", (step, 2)))
    folder, _ = run(rehearsal)
    assert last_model(folder) == last_model(calm)


@pytest.mark.parametrize("step", few_plainly(STEPS, "confirm"))
def test_a_hospital_whose_node_restarts_is_lost_for_one_sum_and_opens_nothing_twice(
    step: str, tmp_path: Path
) -> None:
    rehearsal = make_secure(tmp_path)
    desk = rehearsal.desks[sorted(rehearsal.desks)[2]]

    class Restarting(RoundsOnly):
        def __call__(self, task, **asked):  # type: ignore[no-untyped-def]
            if (task.kind, task.round, step) == ("train", 2, "mask"):
                desk.restart()
            return super().__call__(task, **asked)

        def ask(self, questions, *, deadline_s):  # type: ignore[no-untyped-def]
            if any((one.step, one.round) == (step, 2) for one in questions.values()):
                desk.restart()
            return super().ask(questions, deadline_s=deadline_s)

    folder, _ = run(rehearsal, kind=Restarting)
    assert folder.rounds() == [1, 2, 3]
    in_sum = step in ("announce", "confirm", "reveal")
    assert (desk.participant in closed(folder, 2)["sites"]) is in_sum


def test_a_round_that_was_called_is_summed_with_the_same_hospitals_only(tmp_path: Path) -> None:
    rehearsal = make_secure(tmp_path)
    (late,) = lose(rehearsal, 2, "mask", 0)
    with pytest.raises(KilledError):
        run(rehearsal, lambda cast: setattr(cast, "die_in", ("reveal", 2)))
    called = rehearsal.attempts()[0].called()[2]
    assert late not in called
    assert len(called) == 3
    # 1. One of them is away: the round waits, in words that say for whom.
    rehearsal.desks[late].lost_before = {}
    (away,) = lose(rehearsal, 2, "mask", 3)
    with pytest.raises(ConsiliumError) as caught:
        run(rehearsal)
    assert caught.value.code == "federation.sum_waits"
    assert caught.value.facts["missing"] == away
    # 2. All are back, the late one too: it is asked from the next round on.
    rehearsal.desks[away].lost_before = {}
    folder, cast = run(rehearsal)
    asked = {(one.round, one.step): site == late for site, one in cast.heard if site == late}
    assert {number for number, _ in asked} == {1, 3}
    assert closed(folder, 2)["sites"] == sorted(called)
    assert closed(folder, 2)["missing"] == []
    assert late in closed(folder, 3)["sites"]


def test_a_hub_that_forgets_whom_it_called_gets_no_second_sum(tmp_path: Path) -> None:
    rehearsal = make_secure(tmp_path)
    lose(rehearsal, 2, "mask", 0)
    with pytest.raises(KilledError):
        run(rehearsal, lambda cast: setattr(cast, "die_in", ("reveal", 2)))
    for desk in rehearsal.desks.values():
        desk.lost_before = {}
    for file in rehearsal.root.rglob("called-*.json"):
        file.unlink()
    with pytest.raises(ConsiliumError) as caught:
        run(rehearsal)
    assert caught.value.code == "secure.too_many_lost"
    assert 2 not in rehearsal.attempts()[-1].rounds()


def test_after_too_many_were_lost_in_a_round_everyone_is_asked_again(tmp_path: Path) -> None:
    rehearsal = make_secure(tmp_path)
    lose(rehearsal, 1, "mask", 0)
    lose(rehearsal, 2, "announce", 3)
    folder, _ = run(rehearsal)
    assert folder.rounds() == [1, 2, 3]
    assert sorted(rehearsal.desks)[0] in closed(folder, 2)["sites"]


def test_the_lead_follows_the_confirmations_of_every_sum(tmp_path: Path) -> None:
    rehearsal = make_secure(tmp_path, rounds=2)
    lose(rehearsal, 2, "mask", 1)
    folder, _ = run(rehearsal)
    told = list_rounds([folder], rehearsal.study)
    final = digest_of(last_model(folder))
    assert [len(sites) for sites in verify_rounds(rehearsal.study, told, final=final)] == [4, 3]
    assert len(told[1]["confirmed"]) == 3


def _one_less(told: Any) -> Any:
    told["confirmed"] = told["confirmed"][1:]


def _other_attempt(told: Any) -> Any:
    told["attempt"] = 7


def _one_twice(told: Any) -> Any:
    told["confirmed"] = told["confirmed"][:1] * 3


def _survivor_hidden(told: Any) -> Any:
    told["replies"].pop(sorted(told["replies"])[0])


@pytest.mark.parametrize(
    "change",
    [_one_less, _other_attempt, _one_twice, _survivor_hidden],
    ids=lambda one: one.__name__,
)
def test_a_sum_that_too_few_confirmed_breaks_the_chain(
    change: Callable[[Any], None], tmp_path: Path
) -> None:
    rehearsal = make_secure(tmp_path, rounds=2)
    lose(rehearsal, 2, "confirm", 1)
    folder, _ = run(rehearsal)
    told = list_rounds([folder], rehearsal.study)
    change(told[1])
    with pytest.raises(IntegrityError) as caught:
        verify_rounds(rehearsal.study, told, final=digest_of(last_model(folder)))
    assert caught.value.code == "study.broken_chain"


def test_a_plain_reply_to_a_secure_plan_breaks_the_chain(tmp_path: Path) -> None:
    plain = make_secure(tmp_path, rounds=1, secure=None)
    folder, _ = run(plain)
    told = list_rounds([folder], plain.study)
    with pytest.raises(IntegrityError):
        verify_rounds(replace(plain.study, secure=MASKS), told, final=digest_of(last_model(folder)))


@pytest.mark.parametrize(
    "change",
    [
        {"clip": 0.0},
        {"clip": 1e10},
        {"max_cases": 0},
        {"bits": 16},
    ],
    ids=str,
)
def test_a_plan_with_an_impossible_masking_cannot_be_read(
    change: dict[str, Any], tmp_path: Path
) -> None:
    study = make_secure(tmp_path).study
    spoilt = replace(study, secure=replace(MASKS, **change))
    with pytest.raises(InputError) as caught:
        study_from_json(spoilt.as_json())
    assert str(caught.value.facts["field"]).startswith("secure.")


def test_a_plan_of_two_hospitals_or_without_layout_cannot_be_secure(tmp_path: Path) -> None:
    study = make_secure(tmp_path).study
    for spoilt in (
        replace(study, sites=study.sites[:2], quorum=2),
        replace(study, layout=()),
    ):
        with pytest.raises(InputError):
            study_from_json(spoilt.as_json())

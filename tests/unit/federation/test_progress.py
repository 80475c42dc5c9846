"""The picture of a study, event by event."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from consilium.federation.progress import Progress, SitePhase, Stage
from consilium.federation.states import StudyState
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import ParticipantId

NORTH, SOUTH, WEST = (ParticipantId(f"did:web:x:{name}") for name in ("north", "south", "west"))
ALL = [NORTH, SOUTH, WEST]
RUNNING = StudyState.RUNNING


class Story:
    """A study's events as they come; `tell` adds one and shows the picture."""

    def __init__(self) -> None:
        self.progress = Progress(ALL, rounds=3)
        self._ids = count(1)
        self._seconds = 0

    def tell(self, kind: str, **facts: Any) -> Progress:
        self._seconds += 1
        event = {"id": next(self._ids), "time": self.now(), "kind": kind, "facts": facts}
        self.progress.take([event])
        return self.progress

    def now(self) -> str:
        return f"2026-01-01T00:00:{self._seconds:02}.000000Z"

    def recruit(self) -> None:
        for who in ALL:
            self.tell("agreed", participant=who, agreement="a")
        self.tell("signed", sites=3)
        for who in ALL:
            self.tell("opened", participant=who)
        self.tell("submitted")

    def close(self, number: int, *sites: ParticipantId, **more: Any) -> Progress:
        missing = [who for who in ALL if who not in sites]
        given = {"sites": list(sites), "missing": missing, "bad": {}, "seconds": 2.0}
        return self.tell("round_closed", round=number, **(given | more))


@pytest.fixture
def story() -> Story:
    return Story()


def phases(progress: Progress, state: StudyState = RUNNING) -> list[str]:
    return [site.phase.value for site in progress.show_sites(state, {})]


def test_while_recruiting_the_study_waits_for_who_has_not_answered(story: Story) -> None:
    story.tell("invited", participant=NORTH, dataset="heart")
    story.tell("agreed", participant=NORTH, agreement="a")
    refusal = DeniedError("study.negotiation_failed", participant=SOUTH, reason="x", rule="x")
    progress = story.tell("declined", participant=SOUTH, **refusal.as_record())
    assert progress.stage is Stage.RECRUITING
    assert progress.waiting_for(StudyState.RECRUITING) == [WEST]
    assert phases(progress) == ["ready", "left", "invited"]
    assert progress.sites[SOUTH].error == refusal.as_record()


def test_a_plan_is_brought_to_one_hospital_after_the_other(story: Story) -> None:
    for who in ALL:
        story.tell("agreed", participant=who, agreement="a")
    story.tell("signed", sites=3)
    progress = story.tell("opened", participant=WEST)
    assert progress.waiting_for(StudyState.RECRUITING) == [NORTH, SOUTH]


def test_in_a_round_the_study_waits_for_whose_answer_has_not_come(story: Story) -> None:
    story.recruit()
    story.tell("round_started", round=1, sites=ALL, bytes=100)
    progress = story.tell("answered", task="train", round=1, sites={NORTH: 40})
    assert (progress.stage, progress.round) == (Stage.TRAINING, 1)
    assert progress.waiting_for(RUNNING) == [SOUTH, WEST]
    assert phases(progress) == ["sent", "training", "training"]
    assert (progress.sites[NORTH].bytes_up, progress.sites[NORTH].bytes_down) == (40, 100)


def test_an_answer_that_is_told_before_its_round_counts_all_the_same(story: Story) -> None:
    story.recruit()
    story.tell("answered", task="train", round=1, sites={NORTH: 40})
    progress = story.tell("round_started", round=1, sites=ALL, bytes=100)
    assert progress.waiting_for(RUNNING) == [SOUTH, WEST]


def test_a_hospital_that_misses_a_round_is_lost_with_a_sentence_until_it_is_back(
    story: Story,
) -> None:
    story.recruit()
    story.tell("round_started", round=1, sites=ALL, bytes=100)
    progress = story.close(1, NORTH, SOUTH)
    error = progress.sites[WEST].error
    assert phases(progress) == ["ready", "ready", "lost"]
    assert error is not None
    assert error["code"] == "study.no_answer"
    assert WEST in error["zh"]
    story.tell("round_started", round=2, sites=ALL, bytes=100)
    progress = story.close(2, *ALL)
    assert phases(progress) == ["ready"] * 3
    assert progress.sites[WEST].error is None
    assert [len(site.rounds) for site in progress.sites.values()] == [2, 2, 1]


def test_a_reply_with_a_flaw_is_named_by_it(story: Story) -> None:
    story.recruit()
    story.tell("round_started", round=1, sites=ALL, bytes=1)
    progress = story.close(1, NORTH, SOUTH, bad={WEST: "federation.foreign_reply"})
    assert (progress.sites[WEST].error or {})["code"] == "federation.foreign_reply"


def test_a_hospital_whose_line_is_cut_is_not_waited_for_and_comes_back_by_itself(
    story: Story,
) -> None:
    story.recruit()
    story.tell("round_started", round=1, sites=ALL, bytes=1)
    progress = story.tell("presence", here=[NORTH, SOUTH], away=[WEST])
    assert progress.sites[WEST].phase is SitePhase.LOST
    assert progress.waiting_for(RUNNING) == [NORTH, SOUTH]
    progress = story.tell("presence", here=ALL, away=[])
    assert progress.sites[WEST].error is None
    assert phases(progress) == ["training"] * 3


def test_the_curves_hold_one_point_for_each_round_also_if_it_was_repeated(story: Story) -> None:
    story.recruit()
    for _ in range(2):
        story.tell("round_started", round=1, sites=ALL, bytes=1)
        told = {NORTH: {"n": 30, "loss_before": 0.8}, SOUTH: {"n": 10, "loss_before": 0.4}}
        progress = story.close(1, NORTH, SOUTH, facts=told)
    assert progress.sites[NORTH].loss == {0: 0.8}
    assert progress.loss == {0: pytest.approx(0.7)}
    assert progress.sites[NORTH].rounds == {1}


def test_the_pace_of_the_last_rounds_says_how_long_it_takes(story: Story) -> None:
    story.recruit()
    assert story.progress.eta_s(RUNNING, now=story.now()) is None
    story.tell("round_started", round=1, sites=ALL, bytes=1)
    story.close(1, *ALL)
    progress = story.tell("round_started", round=2, sites=ALL, bytes=1)
    assert progress.eta_s(RUNNING, now=story.now()) == 6.0  # rounds 2 and 3, and the judging
    assert progress.eta_s(StudyState.STOPPED, now=story.now()) is None


def test_a_hospital_that_left_stays_left(story: Story) -> None:
    story.recruit()
    words = DeniedError("gate.no_such_column", column="age")
    story.tell("left", participant=WEST, code=words.code, reason=words.public)
    story.tell("round_started", round=1, sites=ALL, bytes=1)
    progress = story.close(1, NORTH, SOUTH)
    assert progress.sites[WEST].phase is SitePhase.LEFT
    assert (progress.sites[WEST].error or {})["en"] == words.public


def test_a_round_that_closes_with_the_answer_of_who_has_left_does_not_bring_it_back(
    story: Story,
) -> None:
    story.recruit()
    story.tell("round_started", round=1, sites=ALL)
    words = DeniedError("gate.agreement_revoked", agreement="a", by="x", time="t")
    story.tell("left", participant=WEST, code=words.code, reason=words.public)
    story.close(1, *ALL)
    progress = story.tell("evaluated", round=1, missing=[], bad={})
    west = progress.site(WEST)
    assert west.phase is SitePhase.LEFT
    assert west.error is not None
    assert west.error["code"] == "gate.agreement_revoked"
    assert west.rounds == {1}


def test_after_the_end_the_picture_stays_and_nobody_is_waited_for(story: Story) -> None:
    story.recruit()
    story.tell("evaluation_started", round=3, sites=ALL, bytes=1)
    story.tell("answered", task="evaluate", round=3, sites={NORTH: 4, SOUTH: 4})
    story.tell("evaluated", missing=[WEST], bad={})
    progress = story.tell("completed")
    assert phases(progress, StudyState.COMPLETED) == ["done", "done", "lost"]
    assert progress.waiting_for(StudyState.COMPLETED) == []
    assert progress.stage is Stage.ENDED


def test_a_study_that_was_stopped_shows_nobody_at_work(story: Story) -> None:
    story.recruit()
    story.tell("round_started", round=1, sites=ALL, bytes=1)
    progress = story.tell("stopped")
    assert phases(progress, StudyState.STOPPED) == ["done"] * 3


def test_an_event_that_was_taken_is_not_taken_again(story: Story) -> None:
    story.recruit()
    event = {"id": 99, "time": story.now(), "kind": "answered"}
    event |= {"facts": {"task": "train", "round": 1, "sites": {NORTH: 40}}}
    story.progress.take([event, event])
    assert story.progress.sites[NORTH].bytes_up == 40


def test_the_pulse_says_who_was_heard_of_last(story: Story) -> None:
    story.recruit()
    late = "2027-01-01T00:00:00.000000Z"
    (north, *_) = story.progress.show_sites(RUNNING, {NORTH: late})
    assert north.last_heard == late

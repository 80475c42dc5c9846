"""Kill -9 of each process of a space, in the middle of a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from whole_space import (
    LEAD,
    OTHER,
    THIRD,
    StudyWatch,
    WholeSpace,
    is_gone,
    moment_of,
    practice_plan,
    wait_until,
    whole_space,
)

from consilium.space.plans import HUB_NAME
from consilium.space.record import ResultRecord

pytestmark = pytest.mark.scenario

LONGEST_GAP_S = 12.0
ROUNDS = 16
KILLED_IN = 4
"""The round from which on a test kills."""
UNHEARD = 3
"""Rounds that close while the hub does not listen."""


@dataclass(frozen=True)
class Undisturbed:
    """A study to which nothing happened, and its result."""

    study: StudyWatch
    result: ResultRecord


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSpace]:
    """Four hospitals and a hub that all tests here share."""
    folder = tmp_path_factory.mktemp("kills")
    settings = {"learning_rate": 0.01, "batch_size": 8, "local_steps": 200}
    plan = practice_plan(folder / "data", settings=settings, rounds=ROUNDS, quorum=3, deadline_s=60)
    with whole_space(plan, folder / "space") as found:
        found.await_ready()
        yield found
        assert found.unproved() == []


@pytest.fixture(autouse=True)
def rest(space: WholeSpace) -> Iterator[None]:
    """Begin each test with everybody there; end it with nothing left of its study."""
    space.await_ready()
    yield
    space.await_ready()
    space.await_rest()


@pytest.fixture(scope="module")
def undisturbed(space: WholeSpace) -> Undisturbed:
    study = space.begin()
    return Undisturbed(study, study.await_result())


def ids(space: WholeSpace, *names: str) -> list[str]:
    return sorted(space.plan.id_of(name) for name in names or space.names)


def kept_rounds(study: StudyWatch) -> list[int]:
    """The rounds that made the model: of a round that closed twice, the last."""
    return sorted({event["facts"]["round"] for event in study.closed})


def test_an_undisturbed_study_takes_one_segment_with_everybody(
    space: WholeSpace, undisturbed: Undisturbed
) -> None:
    study = undisturbed.study
    assert len(study.segments) == 1
    assert [event["facts"]["round"] for event in study.closed] == list(range(1, ROUNDS + 1))
    assert [event["facts"]["missing"] for event in study.closed] == [[]] * ROUNDS
    assert sorted(site.id for site in undisturbed.result.sites) == ids(space)


@pytest.mark.parametrize("what", ["node", "job process"])
def test_a_killed_hospital_costs_one_round_a_few_seconds_and_is_back_in_the_next_segment(
    space: WholeSpace, what: str
) -> None:
    study = space.begin()
    study.await_round(KILLED_IN)
    victim = space.serving(OTHER) if what == "node" else space.jobs(OTHER)[0]
    killed = space.kill(victim)
    who = space.plan.id_of(OTHER)
    without = study.await_event("round_closed", holds=lambda facts: who in facts["missing"])
    if what == "node":
        space.bring_back(OTHER, holding=THIRD)
    result = study.await_result()

    assert moment_of(without) - killed <= LONGEST_GAP_S, study.story()
    assert kept_rounds(study) == list(range(1, ROUNDS + 1))
    alone = [event for event in study.closed if event["facts"]["missing"]]
    assert {tuple(event["facts"]["missing"]) for event in alone} == {(who,)}
    _, second = study.segments
    after = [event for event in study.closed if event["id"] > second["id"]]
    assert after
    assert [event["facts"]["missing"] for event in after] == [[]] * len(after)
    assert sorted(site.id for site in result.sites) == ids(space)


def test_a_killed_lead_finds_its_study_again(space: WholeSpace) -> None:
    study = space.begin()
    study.await_round(KILLED_IN)
    space.kill(space.serving(LEAD))
    space.restart(LEAD)
    result = study.await_result()

    assert kept_rounds(study) == list(range(1, ROUNDS + 1))
    assert set(ids(space, *set(space.names) - {LEAD})) <= {site.id for site in result.sites}
    seen = [event["facts"].get("hub_event", 0) for event in study.events]
    seen = [number for number in seen if number]
    assert seen == sorted(set(seen))


def check_same(study: StudyWatch, undisturbed: Undisturbed) -> None:
    """Check that a study was resumed, not begun anew, and ended with the very same model."""
    result = study.await_result()
    assert len(study.segments) >= 2
    assert study.segments[-1]["facts"]["first_round"] >= KILLED_IN - 1
    assert kept_rounds(study) == list(range(1, ROUNDS + 1))
    assert [event["facts"]["missing"] for event in study.closed if event["facts"]["missing"]] == []
    assert result.model.digest == undisturbed.result.model.digest
    assert [site.figures["auroc"] for site in result.sites] == [
        site.figures["auroc"] for site in undisturbed.result.sites
    ]


def test_after_a_kill_of_the_hub_the_study_ends_with_the_same_model(
    space: WholeSpace, undisturbed: Undisturbed
) -> None:
    study = space.begin()
    study.await_round(KILLED_IN)
    hub = space.serving(HUB_NAME)
    below = hub.children(recursive=True)
    assert len(below) == 4, below  # signer, engine, its helper, the job
    # A hub that hears nothing for a while: what its engine does then must be told all the same.
    hub.suspend()
    attempt = space.newest_attempt()
    wait_until(
        lambda: max(attempt.rounds(), default=0) > KILLED_IN + UNHEARD,
        within_s=30,
        what="rounds that the hub does not hear of",
    )
    space.kill(hub)
    wait_until(lambda: all(map(is_gone, below)), within_s=5, what="its children's end")
    space.restart(HUB_NAME)
    check_same(study, undisturbed)
    assert study.segments[-1]["facts"]["first_round"] > KILLED_IN + 1


@pytest.mark.parametrize("what", ["engine", "job process"])
def test_after_a_kill_of_the_hubs_engine_the_study_ends_with_the_same_model(
    space: WholeSpace, undisturbed: Undisturbed, what: str
) -> None:
    study = space.begin()
    study.await_round(KILLED_IN)
    (job,) = space.jobs(HUB_NAME)
    space.kill(space.engine(HUB_NAME) if what == "engine" else job)
    check_same(study, undisturbed)

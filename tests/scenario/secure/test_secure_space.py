"""Secure studies in a whole space: real nodes, gates, agreements, engine; four hospitals' data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from whole_space import (
    OTHER,
    THIRD,
    StudyWatch,
    WholeSpace,
    practice_plan,
    whole_space,
)

from consilium.models.weights import unpack_arrays
from consilium.space.plans import HUB_NAME, SpacePlan
from consilium.space.record import ResultRecord

pytestmark = pytest.mark.scenario

ROUNDS = 8
KILLED_IN = 3
MASKS = {"clip": 8.0, "max_cases": 400, "bits": 32}
SETTINGS = {"learning_rate": 0.01, "batch_size": 8, "local_steps": 200}


def demanding(plan: SpacePlan, name: str) -> SpacePlan:
    """Let one hospital demand that its updates are aggregated securely."""
    members = [
        replace(
            member,
            datasets=tuple(
                replace(one, terms=replace(one.terms, secure_aggregation=True))
                for one in member.datasets
            ),
        )
        if member.name == name
        else member
        for member in plan.participants
    ]
    return replace(plan, participants=tuple(members))


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSpace]:
    """Four hospitals and a hub that all tests here share."""
    folder = tmp_path_factory.mktemp("secure")
    plan = practice_plan(
        folder / "data", settings=SETTINGS, rounds=ROUNDS, quorum=3, deadline_s=60, secure=MASKS
    )
    with whole_space(demanding(plan, OTHER), folder / "space") as found:
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


def weights(space: WholeSpace) -> np.ndarray[Any, Any]:
    arrays = unpack_arrays(space.newest_attempt().final())
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])


@pytest.fixture(scope="module")
def undisturbed(space: WholeSpace) -> tuple[StudyWatch, ResultRecord]:
    study = space.begin()
    return study, study.await_result()


def kept_rounds(study: StudyWatch) -> list[int]:
    return sorted({event["facts"]["round"] for event in study.closed})


def kinds(space: WholeSpace, name: str, study: str) -> list[str]:
    """The kinds of a hospital's evidence on a study, in order."""
    log, found, after = space.connect(name).evidence, [], 0
    while page := log.list(after=after, limit=1000):
        found += [str(entry["kind"]) for entry in page if entry["subject"] == study]
        after = int(page[-1]["seq"])
    return found


def test_everybody_takes_part_in_a_secure_study_and_keeps_the_proof_of_it(
    space: WholeSpace, undisturbed: tuple[StudyWatch, ResultRecord]
) -> None:
    study, result = undisturbed
    assert len(result.sites) == 4
    assert [event["facts"]["missing"] for event in study.closed] == [[]] * ROUNDS
    assert [event["facts"]["facts"] for event in study.closed] == [{}] * ROUNDS
    for name in space.names:
        found = kinds(space, name, study.id)
        for step in ("sum.joined", "sum.confirmed", "sum.revealed"):
            assert found.count(step) == ROUNDS, (name, found)


def test_a_hospital_that_demands_it_stays_out_of_a_plain_study_and_both_end_with_one_model(
    space: WholeSpace,
) -> None:
    plain = space.begin(secure=None)
    plain.await_result()
    without = space.plan.id_of(OTHER)
    assert all(without not in event["facts"]["sites"] for event in plain.closed)
    expected = weights(space)
    datasets = {
        name: found for name, found in space.plan.studies[0].datasets.items() if name != OTHER
    }
    secure = space.begin(datasets=datasets)
    secure.await_result()
    np.testing.assert_allclose(weights(space), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("what", ["node", "job process"])
def test_a_hospital_killed_in_the_middle_is_lost_for_a_round_and_sums_again_when_it_is_back(
    space: WholeSpace, what: str
) -> None:
    study = space.begin()
    study.await_round(KILLED_IN)
    space.kill(space.serving(OTHER) if what == "node" else space.jobs(OTHER)[0])
    who = space.plan.id_of(OTHER)
    study.await_event("round_closed", holds=lambda facts: who in facts["missing"])
    if what == "node":
        space.bring_back(OTHER, holding=THIRD)
    result = study.await_result()
    assert kept_rounds(study) == list(range(1, ROUNDS + 1))
    assert who in study.closed[-1]["facts"]["sites"], study.story()
    assert who in {site.id for site in result.sites}


def test_after_a_kill_of_the_hub_the_study_ends_with_the_same_model(
    space: WholeSpace, undisturbed: tuple[StudyWatch, ResultRecord]
) -> None:
    study = space.begin()
    study.await_round(KILLED_IN)
    space.kill(space.serving(HUB_NAME))
    space.restart(HUB_NAME)
    result = study.await_result()
    assert len(study.segments) >= 2
    assert kept_rounds(study) == list(range(1, ROUNDS + 1))
    assert result.model.digest == undisturbed[1].model.digest

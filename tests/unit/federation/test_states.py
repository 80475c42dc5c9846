"""The states of a study: one table, and nothing beside it."""

from __future__ import annotations

from itertools import product

import pytest

from consilium.federation.states import LIVE, NEXT, StudyState, check_step
from consilium.kernel.errors import StateError

STEPS = {
    ("RECRUITING", "SUBMITTED"),
    ("RECRUITING", "FAILED"),
    ("RECRUITING", "STOPPED"),
    ("SUBMITTED", "RUNNING"),
    ("SUBMITTED", "FAILED"),
    ("SUBMITTED", "STOPPED"),
    ("RUNNING", "COMPLETED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "STOPPED"),
}
"""Every step there is, written out: a change of the table is a change of this test."""


@pytest.mark.parametrize(("now", "wanted"), list(product(StudyState, StudyState)))
def test_a_study_takes_exactly_the_steps_of_the_table(now: StudyState, wanted: StudyState) -> None:
    if (now.value, wanted.value) in STEPS:
        check_step(now, wanted)
        return
    with pytest.raises(StateError) as caught:
        check_step(now, wanted)
    assert caught.value.code == "study.cannot_go"
    assert (caught.value.facts["now"], caught.value.facts["wanted"]) == (now, wanted)


def test_every_state_has_its_row_and_the_ended_ones_lead_nowhere() -> None:
    assert set(NEXT) == set(StudyState)
    assert set(StudyState) - LIVE == {
        StudyState.COMPLETED,
        StudyState.FAILED,
        StudyState.STOPPED,
    }


def test_every_state_can_be_reached_and_every_live_one_can_be_left_for_an_end() -> None:
    reached, todo = {StudyState.RECRUITING}, [StudyState.RECRUITING]
    while todo:
        new = NEXT[todo.pop()] - reached
        reached |= new
        todo.extend(new)
    assert reached == set(StudyState)
    assert all({StudyState.FAILED, StudyState.STOPPED} <= NEXT[state] for state in LIVE)

"""Roles and actions: the table against one typed in apart from it, and default deny."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.persons.records import Grant, Person, PersonId, Role
from consilium.persons.roles import MAY, Action, holds, may

MATRIX = """
.  administrator steward research-lead doctor ethics-officer auditor office
person.manage      x . . . . . .
backup.make        x . . . . . .
dataset.register   . x . . . . .
agreement.request  . x x . . . .
agreement.revoke   . x . . x . .
study.run          . . x . . . .
study.stop         . x x . x . .
queue.settle       . x . . x . x
release.request    . x x . x x .
release.approve    . x . . x . .
model.export       . x x . . . .
evidence.export    . x . . . x .
evidence.read      . x . . x x .
annotation.write   . . x x . . .
assistant.ask      . . x x . . .
member.admit       . . . . . . x
"""
HEADER, *LINES = (line.split() for line in MATRIX.strip().splitlines())
WANTED = {
    (role, action): mark == "x"
    for action, *marks in LINES
    for role, mark in zip(HEADER[1:], marks, strict=True)
}
SCOPES = st.sampled_from(["", "one", "two"])
GRANTS = st.builds(Grant, role=st.sampled_from(Role), study=SCOPES, organisation=SCOPES)
PERSONS = st.builds(
    Person,
    id=st.just(PersonId("urn:uuid:1")),
    name=st.just("甲"),
    is_active=st.booleans(),
    grants=st.lists(GRANTS, max_size=4).map(tuple),
    created=st.just(""),
)


def somebody(*grants: Grant, is_active: bool = True) -> Person:
    return Person(
        id=PersonId("urn:uuid:1"), name="甲", is_active=is_active, grants=grants, created=""
    )


def test_the_typed_table_names_every_role_and_action() -> None:
    assert {*WANTED} == {(role.value, action.value) for role in Role for action in Action}
    assert MAY.keys() == {*Role}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_each_role_may_what_the_typed_table_says_and_nothing_else(
    role: Role, action: Action
) -> None:
    assert may(somebody(Grant(role=role)), action) is WANTED[role.value, action.value]


@pytest.mark.parametrize("action", Action)
def test_without_a_role_or_with_a_disabled_account_nothing_is_allowed(action: Action) -> None:
    everything = tuple(Grant(role=role) for role in Role)
    assert not may(somebody(), action)
    assert not may(somebody(*everything, is_active=False), action)
    assert may(somebody(*everything), action)


@given(person=PERSONS, action=st.sampled_from(Action), study=SCOPES, organisation=SCOPES)
def test_whatever_is_allowed_is_allowed_by_one_role_that_reaches_there(
    person: Person, action: Action, study: str, organisation: str
) -> None:
    reaching = [
        one
        for one in person.grants
        if WANTED[one.role.value, action.value]
        and (not one.study or one.study == study)
        and (not one.organisation or one.organisation == organisation)
    ]
    allowed = may(person, action, study=study, organisation=organisation)
    assert allowed is (person.is_active and bool(reaching))


@given(person=PERSONS, extra=GRANTS, action=st.sampled_from(Action), study=SCOPES)
def test_a_further_role_never_takes_anything_away(
    person: Person, extra: Grant, action: Action, study: str
) -> None:
    more = Person(
        id=person.id,
        name=person.name,
        is_active=person.is_active,
        grants=(*person.grants, extra),
        created="",
    )
    assert may(more, action, study=study) or not may(person, action, study=study)


@given(person=PERSONS, action=st.sampled_from(Action), study=SCOPES, organisation=SCOPES)
def test_what_is_allowed_everywhere_is_allowed_anywhere(
    person: Person, action: Action, study: str, organisation: str
) -> None:
    assert not may(person, action) or may(person, action, study=study, organisation=organisation)


@given(person=PERSONS, role=st.sampled_from(Role), study=SCOPES)
def test_a_role_that_is_held_allows_what_it_allows(person: Person, role: Role, study: str) -> None:
    if holds(person, role, study=study):
        assert all(may(person, action, study=study) for action in MAY[role])

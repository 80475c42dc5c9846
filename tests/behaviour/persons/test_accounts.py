"""Accounts: made, recognised, locked, given roles, disabled; each with its evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from persons_bench import CHEAP, PASSWORD, Office
from sqlalchemy import select

from consilium.kernel.errors import ConsiliumError, DeniedError, StateError
from consilium.persons.accounts import (
    LOCK,
    MOST_TRIES,
    add_first,
    disable,
    enable,
    grant_role,
    recognise,
    set_password,
    withdraw_role,
)
from consilium.persons.passwords import hash_password
from consilium.persons.records import Grant, Person, Role
from consilium.persons.store import PERSONS, get_person, list_persons

SECRET = hash_password(PASSWORD, name="first", cost=CHEAP)


def enter(office: Office, name: str, password: str = PASSWORD) -> Person:
    return recognise(office.database, name, password, clock=office.clock, cost=CHEAP)


def refusal(office: Office, name: str, password: str = PASSWORD) -> str:
    with pytest.raises(DeniedError) as refused:
        enter(office, name, password)
    return refused.value.code


def test_the_first_account_is_an_administrators_and_only_the_first_is_free(office: Office) -> None:
    with office.database.write() as tx:
        first = add_first(tx, name="管理员 甲", secret=SECRET, clock=office.clock)
    assert first.grants == (Grant(role=Role.ADMINISTRATOR),)
    assert office.kinds() == ["person.added", "role.granted"]
    with pytest.raises(StateError) as refused, office.database.write() as tx:
        add_first(tx, name="another", secret=SECRET, clock=office.clock)
    assert refused.value.code == "persons.not_first"


def test_two_first_accounts_at_once_make_one(office: Office) -> None:
    def add(name: str) -> str:
        with office.database.write() as tx:
            return add_first(tx, name=name, secret=SECRET, clock=office.clock).name

    found = office.race(*[lambda name=f"first {n}": add(name) for n in range(8)])
    assert len([one for one in found if one != "persons.not_first"]) == 1


def test_a_person_is_recognised_by_name_and_password_in_any_writing(office: Office) -> None:
    made = office.person("甲 Ｏne")
    assert enter(office, "甲 one") == made
    assert enter(office, "  甲  ONE ") == made


def test_a_name_is_given_once_whatever_its_case(office: Office) -> None:
    office.person("One")
    with pytest.raises(StateError) as refused:
        office.person("ONE")
    assert refused.value.code == "persons.name_taken"


def test_unknown_mistaken_and_disabled_look_alike(office: Office) -> None:
    office.person("admin", Role.ADMINISTRATOR)
    person = office.person("one")
    assert refusal(office, "nobody") == "persons.not_recognised"
    assert refusal(office, "one", "wrong wrong wrong") == "persons.not_recognised"
    with office.database.write() as tx:
        disable(tx, person, by="test", reason="left the hospital")
    assert refusal(office, "one") == "persons.not_recognised"
    kinds = [kind for kind in office.kinds() if kind != "person.added"]
    assert kinds == ["role.granted", "person.refused", "person.disabled", "person.refused"]


def test_wrong_passwords_lock_the_account_for_a_while(office: Office) -> None:
    office.person("one")
    for _ in range(MOST_TRIES):
        assert refusal(office, "one", "wrong wrong wrong") == "persons.not_recognised"
    assert office.kinds()[-1] == "person.locked"
    assert refusal(office, "one") == "persons.locked"
    office.clock.advance(LOCK + timedelta(seconds=1))
    assert enter(office, "one").name == "one"
    assert refusal(office, "one", "wrong wrong wrong") == "persons.not_recognised"


def test_a_right_password_forgets_the_wrong_ones(office: Office) -> None:
    office.person("one")
    for _ in range(3):
        for _ in range(MOST_TRIES - 1):
            refusal(office, "one", "wrong wrong wrong")
        enter(office, "one")


def test_many_guesses_at_once_are_still_only_five(office: Office) -> None:
    office.person("one")
    guesses = [lambda n=n: enter(office, "one", f"guess number {n}") for n in range(30)]
    codes = office.race(*guesses)
    assert codes.count("persons.not_recognised") == MOST_TRIES
    assert codes.count("persons.locked") == 30 - MOST_TRIES


def test_a_new_password_replaces_the_old_one_and_ends_the_lock(office: Office) -> None:
    person = office.person("one")
    for _ in range(MOST_TRIES):
        refusal(office, "one", "wrong wrong wrong")
    with office.database.write() as tx:
        secret = hash_password("another fine one", name="one", cost=CHEAP)
        set_password(tx, person, secret, by="test")
    assert refusal(office, "one") == "persons.not_recognised"
    assert enter(office, "one", "another fine one") == person


def test_the_last_administrator_stays(office: Office) -> None:
    admin = office.person("admin", Role.ADMINISTRATOR)
    office.person("limited", Grant(role=Role.ADMINISTRATOR, study="urn:uuid:study"))
    for act in (
        lambda tx: disable(tx, admin, by="test", reason="x"),
        lambda tx: withdraw_role(tx, admin, Grant(role=Role.ADMINISTRATOR), by="test"),
    ):
        with pytest.raises(StateError) as refused, office.database.write() as tx:
            act(tx)
        assert refused.value.code == "persons.last_administrator"
    with office.database.read() as connection:
        assert get_person(connection, "admin") == admin
    assert "person.disabled" not in office.kinds()


def test_of_two_administrators_who_leave_at_once_one_stays(office: Office) -> None:
    admins = [office.person(f"admin {n}", Role.ADMINISTRATOR) for n in range(2)]

    def leave(person: Person) -> str:
        with office.database.write() as tx:
            return disable(tx, person, by=person.id, reason="leaves").name

    found = office.race(*[lambda one=one: leave(one) for one in admins])
    assert found.count("persons.last_administrator") == 1


def test_an_account_can_be_opened_again_with_its_roles(office: Office) -> None:
    office.person("admin", Role.ADMINISTRATOR)
    person = office.person("one", Role.STEWARD)
    with office.database.write() as tx:
        closed = disable(tx, person, by="test", reason="away")
        assert not closed.is_active
        with pytest.raises(StateError):
            disable(tx, closed, by="test", reason="again")
    with office.database.write() as tx:
        assert enable(tx, closed, by="test", reason="back") == person
        assert enable(tx, person, by="test", reason="again") == person
    assert office.kinds().count("person.enabled") == 1


def test_a_role_is_given_once_and_taken_as_it_was_given(office: Office) -> None:
    person = office.person("one")
    grant = Grant(role=Role.STEWARD, study="urn:uuid:study")
    with office.database.write() as tx:
        person = grant_role(tx, person, grant, by="test", clock=office.clock)
        assert grant_role(tx, person, grant, by="test", clock=office.clock) == person
    with pytest.raises(StateError) as refused, office.database.write() as tx:
        withdraw_role(tx, person, Grant(role=Role.STEWARD), by="test")
    assert refused.value.code == "persons.role_not_held"
    office.person("admin", Role.ADMINISTRATOR)
    with office.database.write() as tx:
        assert withdraw_role(tx, person, grant, by="test").grants == ()
    assert office.kinds().count("role.withdrawn") == 1


def test_a_password_stands_nowhere_but_as_its_hash(office: Office) -> None:
    office.person("one")
    refusal(office, "one", "a wrong password of hers")
    enter(office, "one")
    with office.database.read() as connection:
        row = connection.execute(select(PERSONS)).one()
        assert list_persons(connection)[0].name == "one"
    assert row.hash.startswith("$argon2id$")
    told = repr(row) + "".join(repr(entry) for entry in office.entries())
    assert PASSWORD not in told
    assert "a wrong password of hers" not in told
    assert row.hash not in "".join(repr(entry) for entry in office.entries())


def test_a_change_without_evidence_does_not_happen(office: Office) -> None:
    def add_without_evidence() -> None:
        with office.database.write() as tx:
            add_first(tx, name="one", secret=SECRET, clock=office.clock)
            tx.record("", "an entry that cannot be written", {})

    with pytest.raises(ConsiliumError):
        add_without_evidence()
    with office.database.read() as connection:
        assert list_persons(connection) == []

"""The second factor, and the first administrator's code, on a real database."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
from persons_bench import CHEAP, PASSWORD, Office
from sqlalchemy import text

from consilium.kernel.errors import ConsiliumError, IntegrityError
from consilium.persons.accounts import add_first, recognise
from consilium.persons.passwords import hash_password
from consilium.persons.records import Person, Role
from consilium.persons.sessions import begin, find_session
from consilium.persons.totp import (
    Sealer,
    address_of,
    confirm,
    has_factor,
    offer,
    reset,
    second_proof,
)
from consilium.persons.welcome import accept_code, check_code, renew_code

STEP = timedelta(seconds=30)
SEALER = Sealer(b"k" * 32)


class Telephone:
    """Makes the codes of one secret by the office's clock."""

    def __init__(self, office: Office, secret: str) -> None:
        self._office = office
        self._totp = pyotp.TOTP(secret)

    def code(self, steps: int = 0) -> str:
        return str(self._totp.at(self._office.clock.now(), counter_offset=steps))


def give_factor(office: Office, person: Person) -> Telephone:
    with office.database.write() as tx:
        secret = offer(tx, person, sealer=SEALER, clock=office.clock)
    telephone = Telephone(office, secret)
    with office.database.write() as tx:
        confirm(tx, person, telephone.code(), sealer=SEALER, clock=office.clock, session="")
    office.clock.advance(STEP)
    return telephone


def sign_in(office: Office, code: str = "", password: str = PASSWORD) -> str:
    """Say how signing in as `one` ends: a code of refusal, or the name."""
    second = second_proof(code, sealer=SEALER, clock=office.clock)
    try:
        person = recognise(
            office.database, "one", password, clock=office.clock, cost=CHEAP, second=second
        )
    except ConsiliumError as error:
        return error.code
    return person.name


def test_who_has_a_factor_needs_its_code_besides_the_password(office: Office) -> None:
    telephone = give_factor(office, office.person("one"))
    assert sign_in(office) == "persons.code_needed"
    assert sign_in(office, "000000") == "persons.wrong_code"
    assert sign_in(office, telephone.code(), "a wrong password") == "persons.not_recognised"
    assert sign_in(office, f" {telephone.code()[:3]} {telephone.code()[3:]}") == "one"


def test_a_code_is_taken_once_and_drifts_by_one_step_only(office: Office) -> None:
    telephone = give_factor(office, office.person("one"))
    assert sign_in(office, telephone.code(-2)) == "persons.wrong_code"
    assert sign_in(office, telephone.code(2)) == "persons.wrong_code"
    assert sign_in(office, telephone.code(1)) == "one"
    assert sign_in(office, telephone.code(1)) == "persons.wrong_code"
    assert sign_in(office, telephone.code(0)) == "persons.wrong_code"
    office.clock.advance(2 * STEP)
    assert sign_in(office, telephone.code()) == "one"


def test_wrong_codes_lock_the_account_as_wrong_passwords_do(office: Office) -> None:
    telephone = give_factor(office, office.person("one"))
    for _ in range(3):
        assert sign_in(office) == "persons.code_needed"  # not enough is not wrong
    for _ in range(5):
        assert sign_in(office, "12345") == "persons.wrong_code"
    assert sign_in(office, telephone.code()) == "persons.locked"
    office.clock.advance(timedelta(minutes=15))
    assert sign_in(office, telephone.code()) == "one"
    assert office.kinds().count("person.refused") == 5
    assert office.kinds().count("person.locked") == 1


def test_a_factor_counts_once_a_first_code_was_given(office: Office) -> None:
    person = office.person("one")
    with office.database.write() as tx:
        offer(tx, person, sealer=SEALER, clock=office.clock)
    assert sign_in(office) == "one"
    with pytest.raises(ConsiliumError, match="digits"), office.database.write() as tx:
        confirm(tx, person, "1", sealer=SEALER, clock=office.clock, session="")
    assert sign_in(office) == "one"
    give_factor(office, person)
    with pytest.raises(ConsiliumError) as refused, office.database.write() as tx:
        offer(tx, person, sealer=SEALER, clock=office.clock)
    assert refused.value.code == "persons.factor_on"


def test_another_administrator_resets_a_lost_factor_and_sessions_end(office: Office) -> None:
    person, admin = office.person("one"), office.person("two", Role.ADMINISTRATOR)
    give_factor(office, person)
    with office.database.write() as tx:
        _, token = begin(tx, person, agent="", factors=2, clock=office.clock)
    with pytest.raises(ConsiliumError) as refused, office.database.write() as tx:
        reset(tx, person, by=person.id, reason="lost")
    assert refused.value.code == "persons.own_factor"
    with office.database.write() as tx:
        reset(tx, person, by=admin.id, reason="lost")
        assert not has_factor(tx.connection, person.id)
    assert find_session(office.database, token, clock=office.clock) is None
    assert sign_in(office) == "one"
    assert {"factor.added", "factor.reset", "session.ended"} <= set(office.kinds())


def test_the_secret_is_sealed_for_its_person_with_a_key_that_is_not_in_the_database(
    office: Office,
) -> None:
    person = office.person("one")
    with office.database.write() as tx:
        secret = offer(tx, person, sealer=SEALER, clock=office.clock)
    with office.database.read() as connection:
        (row,) = connection.execute(text("SELECT secret FROM second_factor")).all()
    assert secret not in row.secret
    assert SEALER.unseal(row.secret, about=person.id) == secret
    for sealer, about in ((Sealer(b"l" * 32), person.id), (SEALER, "another")):
        with pytest.raises(IntegrityError):
            sealer.unseal(row.secret, about=about)
    assert address_of(secret, name="医生", issuer="Consilium").startswith("otpauth://totp/")


def test_the_first_administrators_code_opens_one_account(office: Office) -> None:
    old = renew_code(office.database, clock=office.clock)
    code = renew_code(office.database, clock=office.clock)
    secret = hash_password(PASSWORD, name="first", cost=CHEAP)
    check_code(office.database, code.lower().replace("-", " "))

    def accept(given: str) -> str:
        with office.database.write() as tx:
            person = accept_code(tx, given, name="first", secret=secret, clock=office.clock)
        return str([grant.role for grant in person.grants])

    told = office.race(lambda: accept(old), lambda: accept(""))
    assert told == ["persons.wrong_welcome"] * 2
    told = office.race(lambda: accept(code), lambda: accept(code))
    assert sorted(told) == [str([Role.ADMINISTRATOR]), "persons.wrong_welcome"]
    assert renew_code(office.database, clock=office.clock) == ""
    added = next(one for one in office.entries() if one.kind == "person.added")
    assert added.facts["by"] == "console"


def test_an_account_made_at_the_command_line_ends_the_code(office: Office) -> None:
    code = renew_code(office.database, clock=office.clock)
    with office.database.read() as connection:
        (row,) = connection.execute(text("SELECT code FROM welcome_code")).all()
    assert code.replace("-", "") not in row.code
    secret = hash_password(PASSWORD, name="first", cost=CHEAP)
    with office.database.write() as tx:
        add_first(tx, name="first", secret=secret, clock=office.clock)
    with pytest.raises(ConsiliumError) as refused:
        check_code(office.database, code)
    assert refused.value.code == "persons.wrong_welcome"

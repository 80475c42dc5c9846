"""Release: two different persons whose roles fit, of one thing named by its digest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from persons_bench import MODEL, Office

from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import ConsiliumError, DeniedError
from consilium.persons.accounts import disable
from consilium.persons.approvals import approve, check_released, find_release, withdraw_release
from consilium.persons.records import Grant, Person, Release, ReleaseState, Role


def say_yes(office: Office, release: Release, by: Person) -> Release:
    with office.database.write() as tx:
        return approve(tx, release.id, by=by, clock=office.clock)


def refusal(office: Office, release: Release, by: Person) -> str:
    with pytest.raises(ConsiliumError) as refused:
        say_yes(office, release, by)
    return refused.value.code


def is_released(
    office: Office, *, kind: str = "model", digest: str = MODEL, needed: int = 2
) -> bool:
    now = office.clock.now()
    with office.database.read() as connection:
        found = find_release(connection, kind=kind, digest=digest, now=now, needed=needed)
    return found is not None


def test_two_different_persons_release_a_thing(office: Office) -> None:
    lead = office.person("lead", Role.RESEARCH_LEAD)
    steward, ethics = office.person("one", Role.STEWARD), office.person("two", Role.ETHICS_OFFICER)
    release = office.release(lead)
    assert say_yes(office, release, steward).state is ReleaseState.OPEN
    assert not is_released(office)
    assert say_yes(office, release, ethics).state is ReleaseState.RELEASED
    assert is_released(office)
    assert office.kinds()[-3:] == ["approval.given", "approval.given", "approval.released"]
    assert {*office.entries()[-1].facts["by"]} == {steward.id, ethics.id}


def test_whoever_asks_may_be_one_of_the_two_and_never_both(office: Office) -> None:
    steward, other = office.person("one", Role.STEWARD), office.person("two", Role.STEWARD)
    release = office.release(steward)
    assert say_yes(office, release, steward).state is ReleaseState.OPEN
    assert refusal(office, release, steward) == "persons.said_already"
    assert not is_released(office)
    assert say_yes(office, release, other).state is ReleaseState.RELEASED


@pytest.mark.parametrize("role", sorted({*Role} - {Role.STEWARD, Role.ETHICS_OFFICER}))
def test_a_person_without_a_fitting_role_approves_nothing(office: Office, role: Role) -> None:
    release = office.release(office.person("one", Role.STEWARD))
    assert refusal(office, release, office.person("two", role)) == "persons.not_allowed"
    assert "approval.given" not in office.kinds()


def test_a_role_for_another_study_does_not_fit(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    release = office.release(steward, study="urn:uuid:one")
    other = office.person("two", Grant(role=Role.STEWARD, study="urn:uuid:two"))
    fit = office.person("three", Grant(role=Role.STEWARD, study="urn:uuid:one"))
    say_yes(office, release, steward)
    assert refusal(office, release, other) == "persons.not_allowed"
    assert say_yes(office, release, fit).state is ReleaseState.RELEASED


def test_two_approvals_at_once_release_exactly_once(office: Office) -> None:
    stewards = [office.person(f"steward {n}", Role.STEWARD) for n in range(9)]
    release = office.release(stewards[0])
    say_yes(office, release, stewards[0])
    found = office.race(
        *[lambda one=one: say_yes(office, release, one).state for one in stewards[1:]]
    )
    assert found.count(ReleaseState.RELEASED) == 1
    assert found.count("persons.release_settled") == 7
    assert office.kinds().count("approval.released") == 1


def test_one_person_many_times_at_once_counts_once(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    release = office.release(steward)
    found = office.race(*[lambda: say_yes(office, release, steward).state for _ in range(8)])
    assert found.count(ReleaseState.OPEN) == 1
    assert found.count("persons.said_already") == 7
    assert not is_released(office)


def test_another_byte_or_kind_is_another_thing(office: Office) -> None:
    steward, other = office.person("one", Role.STEWARD), office.person("two", Role.STEWARD)
    release = office.release(steward)
    say_yes(office, release, steward)
    say_yes(office, release, other)
    assert not is_released(office, digest=digest_of(b"weights."))
    assert not is_released(office, kind="evidence")


def test_the_approval_of_somebody_disabled_meanwhile_does_not_count(office: Office) -> None:
    office.person("admin", Role.ADMINISTRATOR)
    first, second, third = (office.person(name, Role.STEWARD) for name in ("a1", "b2", "c3"))
    release = office.release(first)
    say_yes(office, release, first)
    with office.database.write() as tx:
        disable(tx, first, by="test", reason="left")
    assert say_yes(office, release, second).state is ReleaseState.OPEN
    assert say_yes(office, release, third).state is ReleaseState.RELEASED


def test_a_release_expires(office: Office) -> None:
    steward, other = office.person("one", Role.STEWARD), office.person("two", Role.STEWARD)
    release = office.release(steward, lasts=timedelta(days=1))
    say_yes(office, release, steward)
    say_yes(office, release, other)
    office.clock.advance(timedelta(days=1))
    assert is_released(office)
    office.clock.advance(timedelta(seconds=1))
    assert not is_released(office)


def test_an_expired_request_is_not_approved_and_a_new_one_can_be_made(office: Office) -> None:
    steward, other = office.person("one", Role.STEWARD), office.person("two", Role.STEWARD)
    release = office.release(steward, lasts=timedelta(days=1))
    say_yes(office, release, steward)
    with pytest.raises(ConsiliumError) as refused:
        office.release(other)
    assert refused.value.code == "persons.release_open"
    office.clock.advance(timedelta(days=2))
    assert refusal(office, release, other) == "persons.release_expired"
    assert office.release(other).id != release.id


def test_a_withdrawn_release_lets_nothing_go(office: Office) -> None:
    lead, doctor = office.person("lead", Role.RESEARCH_LEAD), office.person("doc", Role.DOCTOR)
    steward, other = office.person("one", Role.STEWARD), office.person("two", Role.STEWARD)
    release = office.release(lead)
    say_yes(office, release, steward)
    say_yes(office, release, other)

    def withdraw(by: Person) -> Release:
        with office.database.write() as tx:
            return withdraw_release(tx, release.id, by=by, reason="a mistake", clock=office.clock)

    with pytest.raises(DeniedError):
        withdraw(doctor)
    assert withdraw(lead).state is ReleaseState.WITHDRAWN
    assert not is_released(office)
    assert refusal(office, release, other) == "persons.release_settled"
    assert office.entries()[-1].kind == "approval.withdrawn"
    assert office.release(lead).id != release.id


def test_the_number_of_persons_that_the_steward_demands_is_kept(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    release = office.release(steward, needed=1)
    assert say_yes(office, release, steward).state is ReleaseState.RELEASED
    assert is_released(office, needed=1)
    assert not is_released(office, needed=2)
    now = office.clock.now()
    with office.database.read() as connection:
        assert check_released(connection, kind="model", digest="x", now=now, needed=0) is None
        with pytest.raises(DeniedError) as refused:
            check_released(connection, kind="model", digest=MODEL, now=now)
    assert refused.value.code == "persons.not_released"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "rows"}, "persons.bad_release"),
        ({"digest": "sha256:short"}, "persons.bad_release"),
        ({"needed": 0}, "persons.bad_number"),
        ({"reason": " "}, "persons.no_reason"),
    ],
)
def test_a_faulty_request_is_refused(office: Office, changes: dict[str, object], code: str) -> None:
    steward = office.person("one", Role.STEWARD)
    with pytest.raises(ConsiliumError) as refused:
        office.release(steward, **changes)
    assert refused.value.code == code
    assert "approval.requested" not in office.kinds()


def test_a_doctor_asks_for_no_release(office: Office) -> None:
    with pytest.raises(DeniedError) as refused:
        office.release(office.person("doc", Role.DOCTOR))
    assert refused.value.code == "persons.not_allowed"

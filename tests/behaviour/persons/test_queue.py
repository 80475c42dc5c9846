"""The queue: asked once, settled once, by whoever is in charge or the delegate."""

from __future__ import annotations

from datetime import timedelta

import pytest
from persons_bench import Office

from consilium.kernel.errors import ConsiliumError
from consilium.persons.accounts import disable
from consilium.persons.queue import delegate, is_overdue, lapse, settle
from consilium.persons.records import Grant, Person, QueueItem, Role, Ruling
from consilium.persons.store import get_item, list_items

YES, NO = Ruling.PROCEED, Ruling.REFUSE


def decide(
    office: Office, item: QueueItem, by: Person, ruling: Ruling = YES, *, reason: str = "as agreed"
) -> QueueItem:
    with office.database.write() as tx:
        return settle(tx, item.id, by=by, ruling=ruling, reason=reason, clock=office.clock)


def refusal(
    office: Office, item: QueueItem, by: Person, ruling: Ruling = YES, *, reason: str = "as agreed"
) -> str:
    with pytest.raises(ConsiliumError) as refused:
        decide(office, item, by, ruling, reason=reason)
    return refused.value.code


def hand_on(office: Office, item: QueueItem, by: Person, to: Person) -> QueueItem:
    with office.database.write() as tx:
        return delegate(tx, item.id, by=by, to=to, reason="on leave")


def test_an_item_is_settled_once_with_person_reason_and_evidence(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    item = decide(office, office.item(), steward)
    assert (item.ruling, item.settled_by, item.settled_reason) == (YES, steward.id, "as agreed")
    assert refusal(office, item, steward, NO) == "persons.item_settled"
    entry = office.entries()[-1]
    assert (entry.kind, entry.subject) == ("queue.settled", item.id)
    assert entry.facts["by"] == steward.id
    assert entry.facts["reason"] == "as agreed"


def test_what_waits_already_is_not_asked_twice(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    item = office.item()
    assert office.item() == item
    assert office.item(kind="study").id != item.id
    decide(office, item, steward, NO)
    assert office.item().id != item.id


@pytest.mark.parametrize("role", sorted({*Role} - {Role.STEWARD}))
def test_another_role_settles_nothing(office: Office, role: Role) -> None:
    assert refusal(office, office.item(), office.person("two", role)) == "persons.not_in_charge"


def test_a_role_for_another_study_or_organisation_settles_nothing(office: Office) -> None:
    item = office.item(study="urn:uuid:one", organisation="did:web:space:north")
    for number, grant in enumerate(
        (
            Grant(role=Role.STEWARD, study="urn:uuid:two"),
            Grant(role=Role.STEWARD, organisation="did:web:space:south"),
            Grant(role=Role.STEWARD, study="urn:uuid:one", organisation="did:web:space:south"),
        )
    ):
        assert (
            refusal(office, item, office.person(f"other {number}", grant))
            == "persons.not_in_charge"
        )
    fit = Grant(role=Role.STEWARD, study="urn:uuid:one", organisation="did:web:space:north")
    assert not decide(office, item, office.person("one", fit)).is_open


def test_the_delegate_may_settle_and_the_evidence_says_in_whose_place(office: Office) -> None:
    steward, doctor = office.person("one", Role.STEWARD), office.person("three", Role.DOCTOR)
    item = hand_on(office, office.item(), steward, doctor)
    assert (item.delegate, item.delegated_by) == (doctor.id, steward.id)
    assert decide(office, item, doctor).settled_by == doctor.id
    kinds = office.kinds()
    assert kinds.index("queue.delegated") < kinds.index("queue.settled")
    assert office.entries()[-1].facts["delegated_by"] == steward.id


def test_whoever_handed_an_item_on_has_no_voice_until_it_is_taken_back(office: Office) -> None:
    steward, doctor = office.person("one", Role.STEWARD), office.person("three", Role.DOCTOR)
    item = hand_on(office, office.item(), steward, doctor)
    assert refusal(office, item, steward) == "persons.not_in_charge"
    item = hand_on(office, item, steward, steward)
    assert refusal(office, item, doctor) == "persons.not_in_charge"
    assert not decide(office, item, steward).is_open


def test_a_delegate_hands_nothing_on_and_a_disabled_person_is_none(office: Office) -> None:
    office.person("admin", Role.ADMINISTRATOR)
    steward, doctor = office.person("one", Role.STEWARD), office.person("three", Role.DOCTOR)
    item = hand_on(office, office.item(), steward, doctor)
    with pytest.raises(ConsiliumError) as refused:
        hand_on(office, item, doctor, office.person("four"))
    assert refused.value.code == "persons.not_in_charge"
    with office.database.write() as tx:
        gone = disable(tx, doctor, by="test", reason="left")
    assert refusal(office, item, gone) == "persons.not_in_charge"
    with pytest.raises(ConsiliumError) as refused:
        hand_on(office, item, steward, gone)
    assert refused.value.code == "persons.is_disabled"


def test_two_different_persons_are_needed_where_two_are_asked_for(office: Office) -> None:
    first, second = (office.person(name, Role.STEWARD) for name in ("one", "two"))
    item = office.item(needed=2)
    assert decide(office, item, first).is_open
    assert refusal(office, item, first) == "persons.said_already"
    assert decide(office, item, second).ruling == YES
    assert office.kinds().count("queue.settled") == 1


def test_one_no_of_two_ends_it(office: Office) -> None:
    first, second = (office.person(name, Role.STEWARD) for name in ("one", "two"))
    item = office.item(needed=2)
    decide(office, item, first)
    assert decide(office, item, second, NO).ruling == NO


def test_nobody_speaks_twice_through_a_delegate(office: Office) -> None:
    steward, doctor = office.person("one", Role.STEWARD), office.person("three", Role.DOCTOR)
    item = office.item(needed=2)
    hand_on(office, item, steward, doctor)
    assert decide(office, item, doctor).is_open
    hand_on(office, item, steward, steward)
    assert decide(office, item, steward).is_open
    with pytest.raises(ConsiliumError) as refused:
        hand_on(office, item, steward, doctor)
    assert refused.value.code == "persons.said_already"
    assert decide(office, item, office.person("two", Role.STEWARD)).ruling == YES


def test_the_yes_of_somebody_disabled_meanwhile_does_not_count(office: Office) -> None:
    office.person("admin", Role.ADMINISTRATOR)
    first, second = (office.person(name, Role.STEWARD) for name in ("one", "two"))
    item = office.item(needed=2)
    decide(office, item, first)
    with office.database.write() as tx:
        disable(tx, first, by="test", reason="left")
    assert decide(office, item, second).is_open
    assert not decide(office, item, office.person("three", Role.STEWARD)).is_open


def test_of_many_who_settle_at_once_one_does(office: Office) -> None:
    stewards = [office.person(f"steward {n}", Role.STEWARD) for n in range(8)]
    item = office.item()
    found = office.race(*[lambda one=one: decide(office, item, one).ruling for one in stewards])
    assert found.count(YES) == 1
    assert found.count("persons.item_settled") == 7
    assert office.kinds().count("queue.settled") == 1


def test_an_item_is_overdue_after_its_date_and_waits_on(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    late = office.item("urn:uuid:late")
    soon = office.item("urn:uuid:soon", due=office.clock.now() + timedelta(hours=1))
    office.clock.advance(timedelta(hours=2))
    with office.database.read() as connection:
        assert list_items(connection) == [soon, late]
    assert [is_overdue(one, office.clock.now()) for one in (soon, late)] == [True, False]
    assert not is_overdue(decide(office, soon, steward), office.clock.now())
    assert office.entries()[-1].facts["overdue"] is True
    with office.database.read() as connection:
        assert list_items(connection) == [late]
        assert [one.id for one in list_items(connection, settled=True)] == [late.id, soon.id]


def test_an_item_without_anything_left_to_decide_lapses(office: Office) -> None:
    item = office.item()
    with office.database.write() as tx:
        assert lapse(tx, item.id, reason="the peer gave up", clock=office.clock).ruling == "lapse"
    with office.database.read() as connection:
        assert get_item(connection, item.id).settled_by == ""


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"role": Role.DOCTOR}, "persons.role_settles_nothing"),
        ({"role": Role.ADMINISTRATOR}, "persons.role_settles_nothing"),
        ({"needed": 3}, "persons.bad_number"),
        ({"needed": 0}, "persons.bad_number"),
    ],
)
def test_what_nobody_could_settle_is_not_asked(
    office: Office, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(ConsiliumError) as refused:
        office.item(**changes)
    assert refused.value.code == code
    assert office.kinds() == []


def test_a_decision_has_a_reason(office: Office) -> None:
    steward = office.person("one", Role.STEWARD)
    item = office.item()
    for reason in ("", "  ", "x" * 501):
        assert refusal(office, item, steward, reason=reason) == "persons.no_reason"

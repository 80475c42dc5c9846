"""Sessions on a real database: begun, found, ended, and what stands in database and evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from persons_bench import CHEAP, Office
from sqlalchemy import text

from consilium.kernel.errors import ConsiliumError
from consilium.persons.accounts import disable, set_password
from consilium.persons.passwords import hash_password
from consilium.persons.records import Person, Role
from consilium.persons.sessions import (
    IDLE,
    LONGEST,
    Session,
    Token,
    begin,
    end,
    end_all,
    find_session,
    is_open,
    is_page_token,
    list_sessions,
    page_token,
    sweep,
)

MINUTE = timedelta(minutes=1)


def begun(office: Office, person: Person, agent: str = "a browser") -> tuple[Session, Token]:
    with office.database.write() as tx:
        return begin(tx, person, agent=agent, factors=1, clock=office.clock)


def find(office: Office, token: str, *, is_use: bool = True) -> tuple[Session, Person] | None:
    return find_session(office.database, token, clock=office.clock, is_use=is_use)


def ends(office: Office) -> list[str]:
    return [str(one.facts["why"]) for one in office.entries() if one.kind == "session.ended"]


def test_a_session_is_found_by_its_token_alone(office: Office) -> None:
    person = office.person("one", Role.STEWARD)
    session, token = begun(office, person)
    assert find(office, token) == (session, person)
    assert find(office, token + "x") is None
    assert find(office, session.id) is None
    assert find(office, "") is None


def test_no_token_lies_in_the_database_or_in_the_evidence(office: Office) -> None:
    _, token = begun(office, office.person("one"))
    with office.database.read() as connection:
        rows = connection.execute(text("SELECT * FROM session")).all()
    kept = f"{rows} {[one.as_record() for one in office.entries()]}"
    assert token not in kept
    assert page_token(token) not in kept


def test_a_session_ends_after_half_an_hour_without_use(office: Office) -> None:
    person = office.person("one")
    session, token = begun(office, person)
    for _ in range(4):
        office.clock.advance(IDLE - MINUTE)
        assert find(office, token) is not None
    office.clock.advance(IDLE)
    assert not is_open(office.database, session.id, clock=office.clock)
    assert find(office, token) is None
    assert ends(office) == ["idle"]


def test_a_page_that_refreshes_by_itself_is_no_use(office: Office) -> None:
    _, token = begun(office, office.person("one"))
    office.clock.advance(IDLE - MINUTE)
    assert find(office, token, is_use=False) is not None
    office.clock.advance(MINUTE)
    assert find(office, token) is None


def test_a_session_in_use_all_day_ends_after_twelve_hours(office: Office) -> None:
    _, token = begun(office, office.person("one"))
    for _ in range(int(LONGEST / (20 * MINUTE)) - 1):
        office.clock.advance(20 * MINUTE)
        assert find(office, token) is not None
    office.clock.advance(20 * MINUTE)
    assert find(office, token) is None
    assert ends(office) == ["age"]


def test_whatever_takes_trust_away_ends_the_persons_sessions_and_nobody_elses(
    office: Office,
) -> None:
    person, other = office.person("one", Role.ADMINISTRATOR), office.person("two")
    keeper = office.person("three", Role.ADMINISTRATOR)
    _, others = begun(office, other)
    _, first = begun(office, person)
    mine, second = begun(office, person)
    secret = hash_password("another password of length", name="one", cost=CHEAP)
    with office.database.write() as tx:
        set_password(tx, person, secret, by=person.id, session=mine.id)
    assert find(office, first) is None
    assert find(office, second) is not None
    with office.database.write() as tx:
        disable(tx, person, by=keeper.id, reason="left")
    assert find(office, second) is None
    assert find(office, others) is not None
    assert ends(office) == ["password", "disabled"]


def test_a_session_is_ended_once(office: Office) -> None:
    person = office.person("one")
    session, token = begun(office, person)

    def stop() -> None:
        with office.database.write() as tx:
            end(tx, session.id, by=person.id)

    assert sorted(map(str, office.race(stop, stop))) == ["None", "persons.session_over"]
    assert find(office, token) is None
    assert office.kinds().count("session.ended") == 1
    with office.database.write() as tx:
        assert end_all(tx, person.id, by="", why="again") == 0


def test_a_sweep_ends_what_nobody_asks_for_any_more(office: Office) -> None:
    person = office.person("one")
    begun(office, person)
    office.clock.advance(IDLE - MINUTE)
    session, _ = begun(office, person)
    office.clock.advance(2 * MINUTE)
    assert sweep(office.database, clock=office.clock) == 1
    with office.database.read() as connection:
        assert list_sessions(connection) == [session]
    assert sweep(office.database, clock=office.clock) == 0


def test_what_a_browser_calls_itself_is_shortened_and_printable(office: Office) -> None:
    session, _ = begun(office, office.person("one"), agent="a\x1b[31m\nb" + "x" * 1000)
    assert session.agent.startswith("a[31mb")
    assert len(session.agent) == 200


def test_a_page_token_fits_its_own_session_alone(office: Office) -> None:
    person = office.person("one")
    (_, first), (_, second) = begun(office, person), begun(office, person)
    assert is_page_token(first, page_token(first))
    for wrong in ("", page_token(second), page_token(first)[:-1], "ß"):
        assert not is_page_token(first, wrong)


def test_nothing_of_a_session_that_was_not_committed_stays(office: Office) -> None:
    person = office.person("one")
    tokens: list[str] = []

    def fail() -> None:
        with office.database.write() as tx:
            tokens.append(begin(tx, person, agent="", factors=1, clock=office.clock)[1])
            end(tx, "urn:uuid:none", by="")

    with pytest.raises(ConsiliumError):
        fail()
    assert find(office, tokens[0]) is None
    assert "session.began" not in office.kinds()

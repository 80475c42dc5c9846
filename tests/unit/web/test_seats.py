"""How far somebody sees, what the cookie carries, what a problem says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.kernel.errors import DeniedError, InputError, StateError
from consilium.persons.records import Grant, Role
from consilium.web.cookies import SessionCookie
from consilium.web.problems import answer_problem
from consilium.web.seats import Scope

STUDY = Grant(role=Role.DOCTOR, study="a")
HOSPITAL = Grant(role=Role.DOCTOR, organisation="west")
BOTH = Grant(role=Role.DOCTOR, study="a", organisation="west")


def test_the_socket_sees_everything_and_nobody_without_a_role_anything() -> None:
    assert Scope().is_whole
    assert Scope().sees(study="a", organisations=())
    assert not Scope(grants=()).is_whole
    assert not Scope(grants=()).sees()


@pytest.mark.parametrize(
    ("grant", "study", "organisations", "is_seen"),
    [
        (STUDY, "a", ("west",), True),
        (STUDY, "b", ("west",), False),
        (STUDY, "", ("west",), False),
        (HOSPITAL, "b", ("west",), True),
        (HOSPITAL, "b", ("east", "west"), True),
        (HOSPITAL, "b", ("east",), False),
        (BOTH, "a", ("west",), True),
        (BOTH, "a", ("east",), False),
        (Grant(role=Role.DOCTOR), "b", ("east",), True),
    ],
)
def test_a_limited_role_sees_within_its_limits(
    grant: Grant, study: str, organisations: tuple[str, ...], is_seen: bool
) -> None:
    assert Scope(grants=(grant,)).sees(study=study, organisations=organisations) is is_seen


@given(st.text())
def test_any_cookie_header_is_read_without_harm(header: str) -> None:
    assert len(SessionCookie(port=1).read(header)) <= 200


def test_the_cookie_of_another_port_is_another_cookie() -> None:
    header = "consilium_session_1=a; consilium_session_2=b; x=y"
    assert SessionCookie(port=1).read(header) == "a"
    assert SessionCookie(port=2).read(header) == "b"
    assert SessionCookie(port=3).read(header) == ""


def test_who_is_nobody_yet_gets_401_and_a_rule_403() -> None:
    for error, status in (
        (DeniedError("persons.no_session"), 401),
        (DeniedError("persons.locked", minutes=15), 403),
        (InputError("web.too_large", most=5), 413),
        (StateError("persons.item_settled", now="proceed", wanted="open"), 409),
    ):
        answer = answer_problem(error)
        told = json.loads(bytes(answer.body))
        assert (answer.status_code, told["status"]) == (status, status)
        assert told["facts"] == error.facts

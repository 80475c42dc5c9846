"""Requests and answers are signed for one receiver, one moment and one content."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consilium.dataspace.directory import HeldDirectory
from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.tokens import (
    LIFETIME_S,
    SKEW_S,
    TokenError,
    check_answer,
    check_token,
    make_answer,
    make_token,
)
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import IntegrityError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import peek_statement, sign_statement

NORTH, SOUTH = ParticipantId("did:web:x:north"), ParticipantId("did:web:x:south")
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
BODY = b'{"a":1}'


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(datetime(2026, 11, 23, 8, tzinfo=UTC))


def token(clock: HeldClock, **changes: Any) -> str:
    given: dict[str, Any] = {
        "issuer": NORTH,
        "audience": SOUTH,
        "method": "POST",
        "path": "/p",
        "body": BODY,
        "clock": clock,
    }
    return make_token(KEY, **(given | changes))


def check(text: str, clock: HeldClock, **changes: Any) -> ParticipantId:
    given: dict[str, Any] = {
        "key_of": HeldDirectory({NORTH: KEY.public}).key_of,
        "audience": SOUTH,
        "method": "POST",
        "path": "/p",
        "body": BODY,
        "clock": clock,
        "seen": ReplayGuard(),
    }
    return check_token(text, **(given | changes))


def test_a_fresh_token_says_who_asks(clock: HeldClock) -> None:
    assert check(token(clock), clock) == NORTH


def test_a_token_is_a_json_web_token_with_the_usual_claims(clock: HeldClock) -> None:
    claims = peek_statement(token(clock))
    assert claims["iss"] == claims["sub"] == NORTH
    assert claims["exp"] - claims["iat"] == LIFETIME_S
    assert {"aud", "jti"} <= claims.keys()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"audience": NORTH}, "token-audience"),
        ({"method": "GET"}, "token-request"),
        ({"path": "/q"}, "token-request"),
        ({"body": b"{}"}, "token-request"),
        ({"key_of": HeldDirectory({}).key_of}, "token-issuer"),
        ({"key_of": HeldDirectory({NORTH: OTHER.public}).key_of}, "token-signature"),
    ],
)
def test_a_token_opens_nothing_else(clock: HeldClock, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(TokenError) as refused:
        check(token(clock), clock, **changes)
    assert refused.value.rule == rule
    assert refused.value.http_status == 401


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "....", "é.b.c", "e30.e30.e30"])
def test_what_is_no_token_is_refused(clock: HeldClock, text: str) -> None:
    with pytest.raises(TokenError):
        check(text, clock)


@pytest.mark.parametrize("seconds", [LIFETIME_S + SKEW_S + 1, -SKEW_S - 1])
def test_a_token_of_another_time_is_refused(clock: HeldClock, seconds: int) -> None:
    text = token(clock)
    clock.advance(timedelta(seconds=seconds))
    with pytest.raises(TokenError) as refused:
        check(text, clock)
    assert refused.value.rule == "token-time"


@pytest.mark.parametrize("seconds", [LIFETIME_S + SKEW_S, -SKEW_S])
def test_clocks_may_be_apart_a_little(clock: HeldClock, seconds: int) -> None:
    text = token(clock)
    clock.advance(timedelta(seconds=seconds))
    assert check(text, clock) == NORTH


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c | {"sub": SOUTH},
        lambda c: c | {"exp": c["iat"] + 301},
        lambda c: c | {"exp": None},
        lambda c: c | {"iat": "now"},
        lambda c: c | {"jti": 7},
        lambda c: {k: v for k, v in c.items() if k != "aud"},
    ],
)
def test_a_token_with_odd_claims_is_refused(
    clock: HeldClock, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    text = sign_statement(KEY, "request", change(peek_statement(token(clock))))
    with pytest.raises(TokenError):
        check(text, clock)


def test_a_statement_of_another_kind_is_no_token(clock: HeldClock) -> None:
    text = sign_statement(KEY, "study", peek_statement(token(clock)))
    with pytest.raises(TokenError) as refused:
        check(text, clock)
    assert refused.value.rule == "token-signature"


def test_a_token_is_taken_once(clock: HeldClock) -> None:
    text, seen = token(clock), ReplayGuard()
    check(text, clock, seen=seen)
    with pytest.raises(TokenError) as refused:
        check(text, clock, seen=seen)
    assert refused.value.rule == "token-replayed"


def test_a_token_of_somebody_else_does_not_use_up_ours(clock: HeldClock) -> None:
    text, seen = token(clock), ReplayGuard()
    stolen = sign_statement(OTHER, "request", peek_statement(text))
    with pytest.raises(TokenError):
        check(stolen, clock, seen=seen)
    assert check(text, clock, seen=seen) == NORTH


def test_a_full_guard_forgets_what_has_expired_and_else_refuses() -> None:
    guard = ReplayGuard(room=2)
    assert guard.claim(NORTH, "a", expires=10, now=0)
    assert guard.claim(NORTH, "b", expires=20, now=0)
    assert not guard.claim(NORTH, "c", expires=30, now=5)
    assert guard.claim(NORTH, "c", expires=30, now=15)


def test_what_was_taken_is_known_after_a_crash_until_it_expires(tmp_path: Path) -> None:
    file = tmp_path / "run" / "tokens.seen"
    guard = ReplayGuard(file)
    assert guard.claim(NORTH, "a", expires=10, now=0)
    assert guard.claim(NORTH, "b", expires=20, now=0)
    guard.close()
    with file.open("ab") as torn:
        torn.write(b"30 abc")  # the crash came in the middle of a line
    again = ReplayGuard(file, now=15)
    assert not again.claim(NORTH, "b", expires=20, now=15)
    assert again.claim(SOUTH, "b", expires=20, now=15)
    again.close()
    assert len(file.read_text().splitlines()) == 2


def test_the_file_of_taken_tokens_does_not_grow_without_end(tmp_path: Path) -> None:
    file = tmp_path / "tokens.seen"
    guard = ReplayGuard(file, room=10)
    for number in range(200):
        assert guard.claim(NORTH, str(number), expires=number + 5, now=number)
    assert len(file.read_text().splitlines()) <= 30
    guard.close()
    last = ReplayGuard(file, now=199)
    assert not last.claim(NORTH, "199", expires=204, now=199)
    last.close()


def test_an_answer_is_believed_only_as_it_was_given() -> None:
    text = make_answer(KEY, issuer=NORTH, request="t", status=200, body=BODY)
    given: dict[str, Any] = {
        "key": KEY.public,
        "issuer": NORTH,
        "request": "t",
        "status": 200,
        "body": BODY,
    }
    check_answer(text, **given)
    wrong: list[dict[str, Any]] = [
        {"key": OTHER.public},
        {"issuer": SOUTH},
        {"request": "u"},
        {"status": 201},
        {"body": b""},
    ]
    for changes in wrong:
        with pytest.raises(IntegrityError) as refused:
            check_answer(text, **(given | changes))
        assert refused.value.code == "dataspace.forged_answer"
    with pytest.raises(IntegrityError):
        check_answer("no.such.token", **given)
    with pytest.raises(PeerError) as unsigned:
        check_answer("", **given)
    assert unsigned.value.retryable

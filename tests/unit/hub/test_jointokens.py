"""Join tokens as they are pasted."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from signer_bench import Bench

from consilium.kernel.errors import DeniedError, InputError
from consilium.ledger.jointokens import JoinToken, check_hub_address, check_title, read_token


def test_a_token_reads_back_also_with_line_breaks(bench: Bench) -> None:
    token = bench.mint()
    text = token.as_text()
    broken = "\n  ".join(text[start : start + 60] for start in range(0, len(text), 60))
    assert read_token(f" {broken}\n") == token
    assert token.participant == "did:web:glioma:tiantan"
    assert token.hub == "https://hub.example.org:8440"
    assert token.title == "天坛医院"


def test_a_mistyped_token_is_noticed_before_anybody_is_asked(bench: Bench) -> None:
    text = bench.mint().as_text()
    for place in range(0, len(text), 7):
        wrong = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        with pytest.raises(InputError) as caught:
            read_token(wrong)
        assert caught.value.code in {"link.token_damaged", "link.token_version"}


@pytest.mark.parametrize("text", ["", "hello", "é", "e30", "W10", "x" * 9000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_token(text)


@pytest.mark.parametrize(
    "change",
    [
        {"member": "../etc"},
        {"hub": "http://hub.example.org"},
        {"hub": "https://user@hub.example.org"},
        {"secret": "AAAA"},
        {"title": "a\nb"},
        {"expires": "tomorrow"},
        {"space": "../x"},
    ],
)
def test_a_token_with_an_impossible_field_is_refused(bench: Bench, change: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        read_token(replace(bench.mint(), **change).as_text())
    assert caught.value.code == "link.token_damaged"


def test_a_token_of_a_later_kind_says_so(bench: Bench) -> None:
    with pytest.raises(InputError) as caught:
        read_token(replace(bench.mint(), v=2).as_text())
    assert caught.value.code == "link.token_version"


def test_a_token_with_a_foreign_field_is_refused(bench: Bench) -> None:
    text = bench.mint().as_text()
    facts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    facts["role"] = "administrator"
    word = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")
    with pytest.raises(InputError) as caught:
        read_token(word)
    assert caught.value.code == "link.token_damaged"


def test_an_expired_token_says_when(bench: Bench) -> None:
    token: JoinToken = bench.mint(hours=1)
    token.check_time(bench.clock)
    bench.clock.advance(timedelta(hours=2))
    with pytest.raises(DeniedError) as caught:
        token.check_time(bench.clock)
    assert token.expires in caught.value.public


@pytest.mark.parametrize(
    "address",
    ["https://hub.example.org", "https://127.0.0.1:8440/", "https://[::1]:8440"],
)
def test_an_address_of_a_hub_is_taken(address: str) -> None:
    assert check_hub_address(address) == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    ["http://hub", "https://", "https://hub/path", "https://hub:0", "https://hub:x", "hub:8440"],
)
def test_another_address_is_refused(address: str) -> None:
    with pytest.raises(InputError) as caught:
        check_hub_address(address)
    assert caught.value.code == "link.bad_address"


@pytest.mark.parametrize("title", ["", "  ", "a\tb", "x" * 65])
def test_a_display_name_must_fit_a_certificate(title: str) -> None:
    with pytest.raises(InputError):
        check_title(title)
    assert check_title(" 天坛医院 ") == "天坛医院"

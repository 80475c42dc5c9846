"""A member's place: named by the operator, kept by the signer, proved by the certificate."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from signer_bench import Bench, join_request, redeem, renewal_request

from consilium.kernel.errors import InputError
from consilium.ledger.certificates import identify_participant, read_certificate
from consilium.ledger.jointokens import read_token
from consilium.ledger.keys import SigningKey


def place_of(bench: Bench, certificate: str) -> str:
    leaf, now = read_certificate(certificate), bench.clock.now()
    return identify_participant(leaf, bench.authority.root, space="glioma", now=now).location


@pytest.mark.parametrize("place", ["CN", "CN-BJ", "CN-11", "DE-BY", ""])
def test_the_certificate_says_where_a_member_is_and_goes_on_saying_it(
    bench: Bench, place: str
) -> None:
    key, token = SigningKey.generate(), bench.mint(location=place)
    assert token.location == place
    answer = redeem(bench, join_request(token, key))
    assert place_of(bench, answer["participant"]) == place
    bench.clock.advance(timedelta(hours=100))
    renewed = bench.signer.renew(renewal_request(bench, key))
    assert place_of(bench, str(renewed["participant"])) == place


@pytest.mark.parametrize("place", ["China", "cn", "CN-", "CN-BEIJING", "C", 86, None])
def test_what_is_no_place_is_refused(bench: Bench, place: object) -> None:
    with pytest.raises(InputError) as caught:
        bench.mint(location=place)
    assert caught.value.code == "link.bad_location"


def test_a_token_without_a_place_reads_as_it_always_did(bench: Bench) -> None:
    text = bench.mint().as_text()
    facts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert "location" not in facts
    assert read_token(text).location == ""


def test_a_token_with_an_impossible_place_is_damaged(bench: Bench) -> None:
    token = replace(bench.mint(), location="nowhere")
    with pytest.raises(InputError) as caught:
        read_token(token.as_text())
    assert caught.value.code == "link.token_damaged"

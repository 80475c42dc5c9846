"""Messages come back as they were written, and anything else is refused."""

from __future__ import annotations

from typing import Any

import pytest
from summing import KEYS, MODEL, named, planned

from consilium.federation.secure.messages import (
    BOX_BYTES,
    Announcement,
    Announcements,
    Confirmation,
    Delivery,
    MaskedUpdate,
    Revealed,
    SealedShares,
    SurvivorCall,
    sign_message,
    verify_message,
)
from consilium.federation.secure.sharing import SHARE_BYTES
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError
from consilium.ledger.statements import sign_statement

A, B = named(0), named(1)
PLAN = planned(4)
MESSAGES: list[Any] = [
    Announcement(site=A, masking=b"m" * 32, sealing=b"s" * 32, commitment=MODEL),
    SealedShares(site=A, boxes={B: b"b" * BOX_BYTES}),
    MaskedUpdate(site=A, body=MODEL),
    Confirmation(site=A, transcript=MODEL, survivors=MODEL),
    Revealed(site=A, seeds={A: b"a" * SHARE_BYTES}, keys={B: b"k" * SHARE_BYTES}),
]
DOCUMENTS: list[Any] = [
    Announcements(statements=("x", "y")),
    Delivery(boxes={B: b"b" * BOX_BYTES}),
    SurvivorCall(survivors=(A,), lost=(B,), confirmations=("x",)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: one.KIND)
def test_a_message_comes_back_as_it_was_signed(message: Any) -> None:
    text = sign_message(KEYS[0], message, plan=PLAN)
    assert verify_message(text, type(message), plan=PLAN) == message
    with pytest.raises(IntegrityError, match="does not belong"):
        verify_message(text, type(message), plan=planned(4, round=2))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: one.KIND)
def test_a_message_is_not_taken_for_one_of_another_kind(message: Any) -> None:
    text = sign_message(KEYS[0], message, plan=PLAN)
    for other in MESSAGES:
        if other is not message:
            with pytest.raises(IntegrityError) as caught:
                verify_message(text, type(other), plan=PLAN)
            assert caught.value.code == "ledger.bad_signature"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: one.KIND)
@pytest.mark.parametrize("wrong", [None, 7, "", "ä", "AAAA", "A", {"x": "AAAA"}, {"x": 1}], ids=str)
def test_a_message_with_a_wrong_missing_or_further_key_is_refused(message: Any, wrong: Any) -> None:
    facts = {"plan": PLAN.digest, "site": A, **message.facts()}
    spoilt = [facts | {key: wrong} for key in message.facts()]
    spoilt += [{k: v for k, v in facts.items() if k != key} for key in facts if key != "site"]
    spoilt.append(facts | {"more": 1})
    for one in spoilt:
        text = sign_statement(KEYS[0], message.KIND, one)
        with pytest.raises(ConsiliumError) as caught:
            verify_message(text, type(message), plan=PLAN)
        assert caught.value.code == "secure.not_a_message"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: type(one).__name__)
def test_a_word_of_the_hub_comes_back_and_is_read_strictly(document: Any) -> None:
    plain = document.as_document()
    assert type(document).from_document(plain) == document
    for key in plain:
        for wrong in (
            {k: v for k, v in plain.items() if k != key},
            plain | {key: 7},
            plain | {"more": 1},
        ):
            with pytest.raises(InputError) as caught:
                type(document).from_document(wrong)
            assert caught.value.code == "secure.not_a_message"

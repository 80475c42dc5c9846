"""Contract ids: their form, and what their check character finds."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.dataspace.contract_id import (
    ALPHABET,
    LENGTH,
    Register,
    check_character,
    is_placeholder,
    placeholder_code,
    read_contract_id,
    verify_credit_code,
)
from consilium.dataspace.records import Agreement, Role
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, ProcessId

HOSPITAL = ParticipantId("did:web:glioma:tiantan")
CODE = "91350100M000100Y43"
"""The example of GB 32100-2015."""

moments = st.datetimes(datetime(2020, 1, 1), datetime(2999, 1, 1))
ids = st.uuids().map(lambda one: AgreementId(one.urn))


def agreement(name: AgreementId, timestamp: str, role: Role = Role.CONSUMER) -> Agreement:
    policy = {
        "@id": name,
        "@type": "Agreement",
        "timestamp": timestamp,
        "target": "urn:uuid:1",
    }
    return Agreement(
        id=name,
        role=role,
        dataset=DatasetId("urn:uuid:1"),
        provider=HOSPITAL,
        consumer=ParticipantId("did:web:glioma:north"),
        provider_key="",
        consumer_key="",
        policy=policy,
        terms=None,  # type: ignore[arg-type]  # not looked at
        negotiation=ProcessId("urn:uuid:2"),
        state="FINALIZED",
        agreed="2026-01-01T00:00:00.000000Z",
    )


@given(name=ids, moment=moments, node=st.sampled_from([1, 2, 3]), known=st.booleans())
def test_an_id_has_47_characters_and_comes_apart_into_what_it_was_made_of(
    name: AgreementId, moment: datetime, node: int, known: bool
) -> None:
    register = Register(node_type=node, area="1100", subjects={HOSPITAL: CODE} if known else {})
    text = register.id_of(agreement(name, f"{moment:%Y-%m-%dT%H:%M:%S}Z"))
    assert len(text) == LENGTH == 47
    assert not set(text) - set(ALPHABET)
    parts = read_contract_id(text)
    assert "".join(parts.values()) == text
    assert (parts["kind"], parts["node"], parts["area"]) == ("C", str(node), "1100")
    assert parts["subject"] == (CODE if known else placeholder_code(HOSPITAL))
    assert is_placeholder(text) is not known


@given(name=ids, moment=moments)
def test_both_parties_compute_the_same_id(name: AgreementId, moment: datetime) -> None:
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}Z"
    both = {Register().id_of(agreement(name, stamp, role)) for role in Role}
    assert len(both) == 1


@given(name=ids, place=st.integers(0, 46), letter=st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_found(name: AgreementId, place: int, letter: str) -> None:
    text = Register().id_of(agreement(name, "2026-11-23T09:05:00Z"))
    wrong = text[:place] + letter + text[place + 1 :]
    assert (check_character(wrong[:-1]) == wrong[-1]) is (wrong == text)


@given(name=ids, place=st.integers(0, 45))
def test_two_exchanged_neighbours_are_always_found(name: AgreementId, place: int) -> None:
    text = Register().id_of(agreement(name, "2026-11-23T09:05:00Z"))
    wrong = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert (check_character(wrong[:-1]) == wrong[-1]) is (wrong == text)


@given(place=st.integers(0, 17), letter=st.sampled_from(ALPHABET))
def test_a_credit_code_with_one_wrong_character_is_refused(place: int, letter: str) -> None:
    wrong = CODE[:place] + letter + CODE[place + 1 :]
    if wrong == CODE:
        verify_credit_code(wrong)
        return
    with pytest.raises(InputError):
        verify_credit_code(wrong)


@given(member=st.from_regex(r"[a-z][a-z0-9-]{1,39}", fullmatch=True))
def test_a_placeholder_is_never_a_valid_code(member: str) -> None:
    with pytest.raises(InputError):
        verify_credit_code(placeholder_code(ParticipantId(f"did:web:glioma:{member}")))


@given(text=st.text(max_size=60) | st.text(alphabet=ALPHABET, min_size=46, max_size=48))
def test_anything_else_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_contract_id(f"9{text}")
    assert caught.value.code == "dataspace.bad_contract_id"

"""Statements: one meaning has one text, and any other text is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.kernel.errors import IntegrityError
from consilium.ledger.keys import SigningKey
from consilium.ledger.notes import read_checkpoint, sign_checkpoint, verify_checkpoint
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

KEY = SigningKey.generate()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)
FACTS = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(FACTS)
def test_what_was_signed_is_read(facts: dict[str, Any]) -> None:
    text = sign_statement(KEY, "study", facts)
    assert verify_statement(text, "study", KEY.public) == facts
    assert peek_statement(text) == facts
    assert sign_statement(KEY, "study", dict(reversed(facts.items()))) == text


@given(FACTS, st.data())
def test_any_changed_letter_is_refused(facts: dict[str, Any], data: st.DataObject) -> None:
    text = sign_statement(KEY, "study", facts)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="ascii").filter(lambda found: found != text[place]))
    with pytest.raises(IntegrityError):
        verify_statement(text[:place] + letter + text[place + 1 :], "study", KEY.public)


@given(st.text(max_size=60))
def test_any_text_is_refused_and_none_breaks_the_reader(text: str) -> None:
    with pytest.raises(IntegrityError):
        verify_statement(text, "study", KEY.public)


@given(st.integers(0, 2**53), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_back(size: int, root: bytes) -> None:
    note = sign_checkpoint(KEY, "did:web:space:tiantan", size=size, root=root)
    assert verify_checkpoint(note.text, KEY.public) == note == read_checkpoint(note.text)

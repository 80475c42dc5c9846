"""Canonical JSON bytes and digests."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from consilium.kernel.canonical import canonical_bytes, digest_json, digest_of, read_json
from consilium.kernel.errors import InputError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=12,
)


@given(VALUES)
def test_reading_and_writing_again_gives_the_same_bytes(value: object) -> None:
    written = canonical_bytes(value)
    assert canonical_bytes(read_json(written)) == written


def test_key_order_and_number_form_do_not_matter() -> None:
    assert canonical_bytes({"b": 1.0, "a": 1e-7}) == b'{"a":1e-7,"b":1}'
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, object(), {1: 2}, b"x"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="canonical JSON"):
        canonical_bytes(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "[NaN]", "{", "[" * 100_000])
def test_what_is_not_plain_json_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_json(text)


def test_a_digest_names_its_function() -> None:
    assert digest_of(b"") == (
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )

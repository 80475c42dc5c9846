"""What is at the edge of what JSON, the calendar and a sentence can hold."""

from __future__ import annotations

import math
import string
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.clock import read_time, write_time
from consilium.kernel.errors import (
    FAMILIES,
    ConsiliumError,
    DeniedError,
    InputError,
    PeerError,
    error_from_record,
    texts,
)
from consilium.kernel.identifiers import check_name, participant_id


@pytest.mark.parametrize("text", ["1e999", "-1e999", "[1e400]", "9" * 400, "-" + "9" * 400])
def test_a_number_beyond_a_double_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_json(text)


@given(st.text(string.digits + "eE+-.", min_size=1, max_size=12))
def test_whatever_number_is_read_can_be_written_again(text: str) -> None:
    try:
        value = read_json(text)
    except InputError:
        return
    assert isinstance(value, int | float)
    assert math.isfinite(value)
    assert canonical_bytes(read_json(canonical_bytes(value))) == canonical_bytes(value)


def test_whole_numbers_are_kept_exactly_as_far_as_every_reader_can() -> None:
    assert read_json(str(2**53 - 1)) == 2**53 - 1
    assert isinstance(read_json(str(2**53)), float)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b'{"a": "\xff"}', b""])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_json(data)


def test_half_a_character_cannot_be_written() -> None:
    with pytest.raises(InputError):
        canonical_bytes({"a": "\ud800"})


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "yesterday", "", "2026-13-01"],
)
def test_a_moment_that_utc_does_not_have_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_time(text)


@given(st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30)))
def test_times_are_written_so_that_text_sorts_as_time_does(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    later = datetime(9999, 12, 31, tzinfo=UTC)
    assert read_time(write_time(aware)) == aware
    assert write_time(aware) < write_time(later)
    assert len(write_time(aware)) == len("2026-11-23T08:00:00.000000Z")


def test_a_long_name_is_not_repeated_whole() -> None:
    for refuse in (check_name, lambda name: participant_id(name, "north")):
        with pytest.raises(InputError) as caught:
            refuse("X" * 10_000)
        assert len(caught.value.public) < 300


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_an_error_of_each_family_comes_back_as_that_family(family: str) -> None:
    code = next(code for code, entry in sorted(texts().items()) if entry["family"] == family)
    back = error_from_record({"code": code, "en": "A.", "zh": "甲。"})
    assert type(back) is FAMILIES[family]
    assert back.as_record() == {"code": code, "en": "A.", "zh": "甲。"}
    assert (back.exit_code, back.http_status) == (
        FAMILIES[family].exit_code,
        FAMILIES[family].http_status,
    )


def test_a_record_without_anything_is_still_an_error() -> None:
    back = error_from_record({})
    assert isinstance(back, PeerError)
    assert back.code == "kernel.remote"


def test_a_refusal_names_its_rule_and_without_one_its_code() -> None:
    assert DeniedError("study.not_the_lead", lead="x", rule="lead").rule == "lead"
    back = error_from_record({"code": "study.not_the_lead", "en": "No.", "zh": "否。"})
    assert isinstance(back, DeniedError)
    assert back.rule == "study.not_the_lead"


def test_exit_codes_and_statuses_are_one_for_each_family() -> None:
    assert sorted(kind.exit_code for kind in FAMILIES.values()) == [2, 3, 4, 5, 6, 7, 8]
    assert len({kind.http_status for kind in FAMILIES.values()}) == len(FAMILIES)


def test_facts_may_hold_braces() -> None:
    error: ConsiliumError = InputError("kernel.bad_name", name="{0.__class__}")
    assert "{0.__class__}" in error.public

"""Identifiers and times."""

from datetime import UTC, datetime, timedelta

import pytest

from consilium.kernel.clock import HeldClock, SystemClock, read_time, write_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import check_name, member_name, new_urn, participant_id


def test_a_member_is_named_by_space_and_short_name() -> None:
    participant = participant_id("demo.consilium", "tiantan")
    assert participant == "did:web:demo.consilium:tiantan"
    assert member_name(participant) == "tiantan"


@pytest.mark.parametrize("name", ["", "a", "Tiantan", "天坛", "a b", "-a", "a/b", "a" * 41])
def test_a_name_that_is_unsafe_in_paths_or_certificates_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        check_name(name)


def test_fresh_identifiers_differ() -> None:
    assert new_urn() != new_urn()


def test_a_moment_is_read_as_it_was_written() -> None:
    moment = datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=UTC)
    assert read_time(write_time(moment)) == moment
    assert read_time("2026-11-23T16:00:00.000005+08:00") == moment


def test_a_held_clock_moves_only_when_told() -> None:
    clock = HeldClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(timedelta(hours=1))
    assert clock.now().hour == 1
    assert SystemClock().now().tzinfo is UTC

"""Settings are checked by kind and range before anything runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.kernel.errors import InputError

SCHEMA = read_schema(
    {
        "rate": {"kind": "number", "default": 0.1, "above": 0, "most": 1},
        "steps": {"kind": "whole", "default": 10, "least": 1},
        "init": {"kind": "choice", "default": "zeros", "choices": ["zeros", "uniform"]},
    }
)


def test_what_was_not_given_takes_its_default() -> None:
    assert fill_settings(SCHEMA, {"steps": 3}, owner="x") == {
        "rate": 0.1,
        "steps": 3,
        "init": "zeros",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0),
        ("rate", 1.1),
        ("rate", math.nan),
        ("rate", "0.1"),
        ("rate", True),
        ("rate", None),
        ("steps", 0),
        ("steps", 1.5),
        ("steps", math.inf),
        ("init", "ones"),
        ("init", 1),
        ("init", ["zeros"]),
    ],
)
def test_an_impossible_value_is_refused_with_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        fill_settings(SCHEMA, {name: value}, owner="x")
    assert caught.value.code == "federation.bad_setting"
    assert caught.value.facts["setting"] == name


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError) as caught:
        fill_settings(SCHEMA, {"learning_rate": 0.1}, owner="x")
    assert caught.value.code == "federation.unknown_setting"
    assert "init, rate, steps" in caught.value.public


def test_whole_numbers_stay_whole_and_numbers_become_floats() -> None:
    filled = fill_settings(SCHEMA, {"rate": 1, "steps": 7.0}, owner="x")
    assert [type(filled[name]) for name in ("rate", "steps")] == [float, int]


def test_a_default_outside_its_own_range_is_refused() -> None:
    with pytest.raises(InputError):
        read_schema({"rate": {"kind": "number", "default": 2, "most": 1}})


def test_a_range_is_said_for_people() -> None:
    assert Setting(name="a", kind="number", default=1, above=0, most=10).range == "number > 0 <= 10"

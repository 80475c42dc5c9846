"""A plan: who, of what, in which round, and how many may be lost."""

from __future__ import annotations

from typing import Any

import pytest
from summing import KEYS, named, planned

from consilium.federation.secure import threshold_of
from consilium.kernel.errors import InputError, IntegrityError


@pytest.mark.parametrize(
    ("sites", "lost"), [(3, 0), (4, 1), (5, 1), (6, 2), (9, 3), (10, 3), (20, 6), (1000, 333)]
)
def test_up_to_a_third_of_the_sites_may_be_lost(sites: int, lost: int) -> None:
    assert sites - threshold_of(sites) == lost


@pytest.mark.parametrize("sites", [0, 1, 2])
def test_sums_of_fewer_than_three_sites_are_refused(sites: int) -> None:
    with pytest.raises(InputError, match="at least 3"):
        threshold_of(sites)
    with pytest.raises(InputError, match="at least 3"):
        planned(4, roster={named(number): KEYS[number].public for number in range(sites)})


def test_no_two_survivor_sets_can_be_signed_while_fewer_than_a_third_collude() -> None:
    for sites in range(3, 200):
        most = 2 * threshold_of(sites) - sites - 1  # 2t > K + c
        assert most >= (sites + 2) // 3 - 1


@pytest.mark.parametrize(
    "change",
    [
        {"round": 0},
        {"attempt": 0},
        {"segment": -1},
        {"size": 0},
        {"model": "sha256:x"},
        {"roster": {named(number): KEYS[0].public for number in range(4)}},
        {"roster": {named(number): KEYS[number].public for number in range(5)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_impossible_plan_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        planned(4, **change)


def test_too_many_sites_are_refused() -> None:
    with pytest.raises(InputError, match="1000"):
        threshold_of(1001)


def test_plans_that_differ_in_anything_have_other_digests() -> None:
    plans = [
        planned(4),
        planned(5),
        planned(4, size=6),
        planned(4, round=2),
        planned(4, attempt=2),
        planned(4, segment=2),
        planned(4, encoding={"bits": 64}),
        planned(4, encoding={"max_cases": 2}),
        planned(4, roster={named(number): KEYS[number + 1].public for number in range(4)}),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert planned(4).digest == plans[0].digest


def test_a_stranger_has_no_key() -> None:
    for stranger in (named(9), None, 7):
        with pytest.raises(IntegrityError, match="does not belong"):
            planned(4).key_of(stranger, kind="x")


def test_the_encoding_is_for_exactly_these_sites() -> None:
    with pytest.raises(InputError, match="other sites"):
        planned(4, roster={named(number): KEYS[number].public for number in range(3)})

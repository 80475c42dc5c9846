"""Subgroup tables: right figures, and no small group to be found by subtraction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.kernel.errors import InputError
from consilium.measures import measure, subgroup_table

GENERATOR = np.random.default_rng(0)
Y, P = GENERATOR.integers(0, 2, 60), GENERATOR.random(60)


def test_each_row_is_the_measure_of_its_own_cases() -> None:
    category = np.array(["f", "m", "m"] * 20)
    rows = subgroup_table(
        Y, P, category=category, group=np.arange(60), least=10, seed=3, resamples=50
    )
    assert [(one.name, one.n, one.patients) for one in rows] == [("f", 20, 20), ("m", 40, 40)]
    for row in rows:
        mine = category == row.name
        alone = measure(Y[mine], P[mine], group=np.arange(mine.sum()), seed=3, resamples=50)
        assert row.figures == alone
        assert row.reason is None


def rows_of(sizes: dict[str, int], least: int) -> dict[str, tuple[int | None, str | None]]:
    category = np.repeat([*sizes], [*sizes.values()])
    rows = subgroup_table(
        Y[: category.size],
        P[: category.size],
        category=category,
        group=np.arange(category.size),
        least=least,
        seed=0,
        metrics=["brier"],
        resamples=5,
    )
    return {one.name: (one.patients, one.reason) for one in rows}


def test_a_small_group_is_hidden_and_takes_the_next_smallest_with_it() -> None:
    assert rows_of({"a": 30, "b": 4, "c": 12}, 10) == {
        "a": (30, None),
        "b": (None, "measures.too_few"),
        "c": (None, "measures.hidden_with_others"),
    }


def test_small_groups_that_are_enough_together_hide_alone() -> None:
    assert rows_of({"a": 30, "b": 5, "c": 5}, 10) == {
        "a": (30, None),
        "b": (None, "measures.too_few"),
        "c": (None, "measures.too_few"),
    }


def test_patients_are_counted_and_not_cases() -> None:
    (row,) = subgroup_table(
        Y, P, category=["a"] * 60, group=np.repeat([0, 1, 2], 20), least=4, seed=0
    )
    assert row.reason == "measures.too_few"
    assert (row.n, row.figures) == (None, {})
    assert row.as_record() == {
        "name": "a",
        "n": None,
        "patients": None,
        "figures": {},
        "reason": "measures.too_few",
    }


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 10))
def test_hidden_rows_have_no_patient_or_at_least_the_least_number_unless_all_are_hidden(
    sizes: list[int], least: int
) -> None:
    names = {str(place): size for place, size in enumerate(sizes)}
    rows = rows_of(names, least)
    shown = [name for name, (patients, _) in rows.items() if patients is not None]
    hidden = sum(names[name] for name in rows if name not in shown)
    assert all(names[name] >= least for name in shown)
    assert hidden == 0 or hidden >= least or not shown


def test_no_case_has_no_row() -> None:
    assert subgroup_table([], [], category=[], group=[], least=5, seed=0) == ()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError):
        subgroup_table(Y, P, category=["a"], group=np.arange(60), least=5, seed=0)
    with pytest.raises(InputError, match="1 or more"):
        subgroup_table(Y, P, category=["a"] * 60, group=np.arange(60), least=0, seed=0)

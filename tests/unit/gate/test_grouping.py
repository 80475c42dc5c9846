"""Bins and categories are joined until each holds enough, alike at every hospital."""

import numpy as np

from consilium.gate.columns import Table, grid_step
from consilium.gate.grouping import Groups, coarse_first, finest_groups, merge_groups


def table(**columns: list[float]) -> Table:
    values = {name: np.array(column, dtype=float) for name, column in columns.items()}
    size = len(next(iter(values.values())))
    kinds = dict.fromkeys(values, "number")
    return Table(values=values, kinds=kinds, patients=np.arange(size))


def anything(_groups: tuple[Groups, ...]) -> bool:
    return True


def test_edges_stay_where_both_sides_hold_enough() -> None:
    found = table(age=[31.0] * 12 + [45.0] * 3 + [55.0] * 20)
    groups = finest_groups("age", edges=(40.0, 50.0), categories=())
    merged = merge_groups(found, np.ones(35, dtype=bool), (groups,), fits=anything, k=10)
    assert merged is not None
    assert merged[0].describe() == {"edges": [50.0]}


def test_small_categories_are_joined_to_the_next_smallest_and_empty_ones_stand() -> None:
    found = table(ward=[0.0] * 30 + [1.0] * 4 + [2.0] * 15)
    groups = finest_groups("ward", edges=(), categories=("a", "b", "c", "d"))
    merged = merge_groups(found, np.ones(49, dtype=bool), (groups,), fits=anything, k=10)
    assert merged is not None
    assert merged[0].describe() == {"categories": [["a"], ["b", "c"], ["d"]]}


def test_one_group_that_tells_too_much_is_not_answered() -> None:
    found = table(age=[31.0] * 50)
    groups = finest_groups("age", edges=(40.0, 50.0), categories=())
    rows = np.ones(50, dtype=bool)
    assert merge_groups(found, rows, (groups,), fits=lambda _groups: False, k=10) is None


def test_edges_are_tried_in_one_order_coarse_ones_first() -> None:
    assert coarse_first(7) == [3, 1, 5, 0, 2, 4, 6]
    assert sorted(coarse_first(100)) == list(range(100))


def test_bounds_lie_on_a_grid_that_follows_from_the_range() -> None:
    assert grid_step(65, (18, 110)) == 1
    assert grid_step(140, (60, 260)) == 10
    assert grid_step(1.5, None) == 0.1

"""The small hospital's curve: who joins, with which images, and how the table is made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from extras import need

need("torch")
need("monai")

from benchmarks import small_hospitals as small  # noqa: E402
from benchmarks.images import Sides  # noqa: E402

from consilium.federation.contract import Cases  # noqa: E402

SEEDS = (42, 43)


def cases(n: int) -> Cases:
    return Cases(x=np.empty((n, 0)), y=(np.arange(n) % 3).astype(float), group=np.arange(n))


@pytest.fixture(scope="module")
def sides() -> Sides:
    return Sides(train=cases(960), test=cases(90))


def test_the_smallest_hospital_with_a_hundred_images_joins_and_the_others_are_without_its_own(
    sides: Sides,
) -> None:
    space = small.federation(sides, seed=42)
    others = np.concatenate([part.group for part in space.others.values()])
    assert sorted([*others, *space.guest.group]) == list(range(960))
    assert space.guest.n >= small.FEWEST
    assert all(part.n < small.FEWEST or part.n >= space.guest.n for part in space.others.values())


def test_each_draw_of_the_hospitals_images_lies_within_the_next(sides: Sides) -> None:
    space = small.federation(sides, seed=42)
    drawn = [set(space.cut(size, seed=42).group) for size in small.SIZES]
    assert [len(one) for one in drawn] == [10, 25, 50, 100, space.guest.n]
    assert all(one <= more for one, more in pairwise(drawn))
    assert set(space.cut(10, seed=43).group) != drawn[0]


def test_the_table_tells_means_over_seeds_and_differences_on_the_same_images(sides: Sides) -> None:
    cells = {}
    for name in small.wanted(sides, SEEDS):
        way = name.partition(",")[0]
        rows = [way, small.OWN] if way == "federated head" else [way]
        marks = "1" * 60 + "0" * 30 if way == small.ALONE else "1" * 90
        cells[name] = {"right": dict.fromkeys(rows, marks), "cpu_s": 1.0}
    rows = small.summarise(cells, sides, seeds=SEEDS)["rows"]
    assert rows[f"n=10 {small.ALONE}"]["test"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert rows["n=all shared"]["own"]["by_seed"] == [1.0, 1.0]
    gain = rows[f"n=25 {small.OWN} - {small.ALONE}"]["test"]
    assert gain["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert gain["low"] < gain["value"] < gain["high"]
    assert rows["n=50 majority"]["test"]["value"] == pytest.approx(1 / 3, abs=1e-4)

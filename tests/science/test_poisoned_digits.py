"""One poisoned hospital of five on digits: a deep model, hospitals that differ, two attacks.

The whole table with all rules is `python -m benchmarks.poisoning`. Judged on the test parts of
the four honest hospitals, after the last round; mean of seeds 42 to 46.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(next(p for p in Path(__file__).parents if (p / "benchmarks").is_dir())))

from benchmarks.digits import SEEDS
from benchmarks.digits_data import deal
from benchmarks.poisoning import ALPHA, ATTACKS, POINTS, SITES, compare, run

pytestmark = [pytest.mark.science, pytest.mark.slow]

DEAL = deal(alpha=ALPHA, seeds=SEEDS, sites=SITES)
PLAIN = f"fedavg | {ATTACKS[0]}"


@cache
def lost(rule: str, attack: str) -> float:
    """Points of accuracy below plain averaging that nobody attacks."""
    name = f"{rule} | {attack}"
    cells = {each: _cell(each) for each in {PLAIN, name}}
    return -compare(cells, DEAL).difference(name, PLAIN).points


@cache
def _cell(name: str):  # type: ignore[no-untyped-def]
    return run(name, DEAL)


@pytest.mark.parametrize("attack", ATTACKS[1:], ids=["update", "labels"])
def test_plain_averaging_falls_to_either_attack(attack: str) -> None:
    # The positive control: the attacks work where nothing stands against them.
    assert lost("fedavg", attack) > POINTS


@pytest.mark.parametrize("attack", ATTACKS, ids=["nobody", "update", "labels"])
def test_the_screened_median_loses_at_most_three_points(attack: str) -> None:
    assert lost("screened_median", attack) <= POINTS

"""Differencing attacks on the gate of statistics, in small; the benchmark does ten thousand."""

from __future__ import annotations

import numpy as np
from benchmarks import statistics


def test_no_pair_of_answers_and_no_combination_gives_a_patient_away() -> None:
    found = statistics.run(200, defended=True)
    assert found.pairs == 200
    assert found.answered > 50
    assert found.small_differences == 0
    assert (found.patients_by_pairs, found.patients_by_algebra) == (0, 0)


def test_the_same_attacks_succeed_where_nothing_is_remembered() -> None:
    found = statistics.run(60, defended=False)
    assert found.patients_by_pairs > 0
    assert found.patients_by_algebra > found.patients_by_pairs


def test_the_solver_finds_a_patient_that_three_answers_isolate() -> None:
    everybody = np.ones(40, dtype=bool)
    first, second = everybody.copy(), everybody.copy()
    first[:20], second[21:] = False, False
    assert statistics.recovered([everybody, first]) == 0
    assert statistics.recovered([everybody, first, second]) == 1

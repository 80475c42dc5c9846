"""The held-out part: scikit-learn's draw, whole patients, every time the same."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from consilium.kernel.errors import InputError
from consilium.readers.records import Split
from consilium.readers.split import count_sides, hold_out


@pytest.mark.parametrize("positives", [0, 1, 2, 3, 9, 60])
@pytest.mark.parametrize("seed", [0, 43])
def test_the_draw_is_that_of_scikit_learn(positives: int, seed: int) -> None:
    y = np.zeros(103, dtype=np.int8)
    y[np.random.default_rng(seed).permutation(103)[:positives]] = 1
    strata = y if min(positives, 103 - positives) > 2 else None
    _, expected = train_test_split(
        np.arange(103), train_size=0.66, random_state=seed, shuffle=True, stratify=strata
    )
    part, stratified = hold_out(y, None, Split(seed=seed))
    assert np.array_equal(np.flatnonzero(part), np.sort(expected))
    assert stratified == (strata is not None)


def test_a_held_out_share_rounds_up_and_a_training_share_down() -> None:
    assert count_sides(10, Split(train_size=None, held_out=0.25)) == (7, 3)
    assert count_sides(10, Split(train_size=0.75)) == (7, 3)


def test_patients_with_one_row_each_are_split_like_rows() -> None:
    y = (np.arange(50) % 3 == 0).astype(np.int8)
    alone, _ = hold_out(y, None, Split())
    numbered, _ = hold_out(y, np.arange(50), Split())
    assert np.array_equal(alone, numbered)


def test_all_rows_of_a_patient_stay_on_one_side() -> None:
    group = np.repeat(np.arange(30), 4)
    y = (np.arange(120) % 7 == 0).astype(np.int8)
    part, _ = hold_out(y, group, Split())
    assert all(np.ptp(part[group == number]) == 0 for number in range(30))
    assert 0 < part.sum() < 120


def test_without_stratification_the_classes_are_left_to_chance() -> None:
    y = (np.arange(60) % 2).astype(np.int8)
    _, expected = train_test_split(np.arange(60), train_size=0.66, random_state=43)
    part, stratified = hold_out(y, None, Split(stratify=False))
    assert np.array_equal(np.flatnonzero(part), np.sort(expected))
    assert not stratified


def test_one_patient_cannot_be_split() -> None:
    with pytest.raises(InputError) as caught:
        hold_out(np.zeros(20, dtype=np.int8), np.zeros(20, dtype=np.int64), Split())
    assert caught.value.code == "readers.too_few_rows"

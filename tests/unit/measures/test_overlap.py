"""The Dice coefficient against scikit-learn's F1, which it is on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from consilium.kernel.errors import InputError
from consilium.measures import dice, measure_masks


def test_dice_is_the_f1_score_of_pixels() -> None:
    generator = np.random.default_rng(0)
    truth, drawn = generator.random((2, 8, 9, 3)) < 0.3
    found = dice(truth, drawn)
    assert found.value == pytest.approx(f1_score(truth.ravel(), drawn.ravel()))
    assert found.n == 8 * 9 * 3


def test_same_masks_have_one_and_disjoint_masks_nought() -> None:
    mask = np.array([[1, 0], [0, 0]])
    assert dice(mask, mask).value == 1
    assert dice(mask, 1 - mask).value == 0
    assert dice(mask, np.zeros((2, 2))).value == 0


def test_two_empty_masks_have_none() -> None:
    assert dice(np.zeros((2, 2)), np.zeros((2, 2))).reason == "measures.nothing_marked"


@pytest.mark.parametrize("drawn", [[[1, 0]], [[2, 0], [0, 0]], [[0.5, 0], [0, 0]]])
def test_other_shapes_and_values_are_refused(drawn: object) -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        dice([[1, 0], [0, 0]], drawn)  # type: ignore[arg-type]


def test_masks_are_measured_image_by_image_and_undefined_ones_left_out() -> None:
    truth = np.zeros((3, 2, 2), dtype=np.uint8)
    drawn = np.zeros((3, 2, 2), dtype=np.uint8)
    truth[0, 0] = 1  # two pixels marked, one of them drawn
    drawn[0, 0, 0] = 1
    drawn[1, 0, 0] = 1  # nothing marked, one drawn; the third image is empty in both
    found = measure_masks(truth, drawn, group=[0, 1, 2], seed=0, resamples=50)
    assert (found["dice"].value, found["dice"].n) == (pytest.approx((2 / 3 + 0) / 2), 2)
    assert (found["sensitivity"].value, found["sensitivity"].n) == (0.5, 1)
    assert (found["precision"].value, found["precision"].n) == (0.5, 2)


def test_masks_without_a_mark_or_without_images_say_why() -> None:
    empty = np.zeros((2, 3, 3))
    assert {one.reason for one in measure_masks(empty, empty, group=[0, 1], seed=0).values()} == {
        "measures.nothing_marked"
    }
    none = np.zeros((0, 3, 3))
    assert {one.reason for one in measure_masks(none, none, group=[], seed=0).values()} == {
        "measures.too_few_cases"
    }
    with pytest.raises(InputError):
        measure_masks(empty, empty + 2, group=[0, 1], seed=0)

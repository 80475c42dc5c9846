"""The Dice coefficient against scikit-learn's F1, which it is on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from consilium.kernel.errors import InputError
from consilium.measures import dice


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

"""AUROC and accuracy against scikit-learn and by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, roc_auc_score

from consilium.kernel.errors import InputError
from consilium.measures import accuracy, auroc, balanced_accuracy, measure
from consilium.measures.records import Measurement


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_auroc_is_that_of_scikit_learn_with_and_without_ties(seed: int, decimals: int) -> None:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, 200)
    p = np.clip(0.3 * y + 0.7 * generator.random(200), 0, 1).round(decimals)
    assert auroc(y, p).value == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert accuracy(y, p).value == pytest.approx(accuracy_score(y, p > 0.5))


def test_auroc_by_hand() -> None:
    assert auroc([0, 1], [0.2, 0.8]).value == 1.0
    assert auroc([1, 0], [0.2, 0.8]).value == 0.0
    assert auroc([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]).value == 0.5
    assert auroc([0, 1, 1], [0.5, 0.5, 0.9]).value == 0.75


def test_one_class_has_no_auroc_but_an_accuracy() -> None:
    assert auroc([1, 1], [0.2, 0.8]) == Measurement(value=None, n=2, reason="measures.one_class")
    assert accuracy([1, 1], [0.2, 0.8]).value == 0.5


def test_no_case_has_no_figure() -> None:
    assert accuracy([], []) == Measurement(value=None, n=0, reason="measures.too_few_cases")


def test_a_prediction_on_the_threshold_counts_as_negative() -> None:
    assert accuracy([0, 1], [0.5, 0.5]).value == 0.5
    assert accuracy([0, 1], [0.5, 0.5], threshold=0.4).value == 0.5
    assert accuracy([1, 1], [0.5, 0.5], threshold=0.4).value == 1.0


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([0, 1], [0.5]),
        ([0, 2], [0.5, 0.5]),
        ([0, 1], [0.5, 1.5]),
        ([0, 1], [0.5, float("nan")]),
        ([0, float("nan")], [0.5, 0.5]),
        ([[0, 1]], [[0.5, 0.5]]),
    ],
)
def test_what_is_no_label_or_no_chance_is_refused(y: list[object], p: list[object]) -> None:
    with pytest.raises(InputError) as caught:
        auroc(y, p)  # type: ignore[arg-type]
    assert caught.value.code == "measures.bad_cases"


def test_the_measures_need_numpy_alone() -> None:
    look = (
        "import sys, consilium.measures; "
        "print([m for m in ('sklearn', 'scipy', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_balanced_accuracy_sensitivity_and_specificity_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    y, p = generator.integers(0, 2, 90), generator.integers(0, 11, 90) / 10
    said = p > 0.5
    names = ["balanced_accuracy", "sensitivity", "specificity"]
    found = measure(y, p, group=np.arange(90), seed=0, metrics=names, resamples=50)
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(y, said))
    assert found["sensitivity"].value == pytest.approx(recall_score(y, said))
    assert found["specificity"].value == pytest.approx(recall_score(y, said, pos_label=0))
    assert balanced_accuracy(y, p).value == found["balanced_accuracy"].value
    assert balanced_accuracy(y, p, threshold=0.2).value == pytest.approx(
        balanced_accuracy_score(y, p > 0.2)
    )


def test_what_asks_for_an_absent_class_is_undefined() -> None:
    names = ["balanced_accuracy", "sensitivity", "specificity"]
    found = measure([0, 0], [0.2, 0.7], group=[0, 1], seed=0, metrics=names)
    assert [found[name].reason for name in names[:2]] == ["measures.one_class"] * 2
    assert found["specificity"].value == 0.5
    assert measure([1], [0.2], group=[0], seed=0, metrics=names)["specificity"].value is None

"""Several classes against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from consilium.kernel.errors import InputError
from consilium.measures import auroc, measure, measure_classes


def cases(seed: int, n: int = 120, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), generator.integers(0, k, n - k)])
    score = np.exp(generator.normal(size=(n, k)) + np.eye(k)[y])
    return y, score / score.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    y, p = cases(seed)
    found = measure_classes(y, p, group=np.arange(120), seed=0, resamples=50)
    said = p.argmax(axis=1)
    assert found["accuracy"].value == pytest.approx(accuracy_score(y, said))
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(y, said))
    assert found["auroc_macro"].value == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))


def test_intervals_are_the_percentiles_of_resamples_done_the_slow_way() -> None:
    y, p = cases(5, 60, 3)
    found = measure_classes(y, p, group=np.arange(60), seed=7, resamples=100)["auroc_macro"]
    draws = np.random.default_rng(7).integers(0, 60, size=(100, 60))
    slow = [roc_auc_score(y[row], p[row], multi_class="ovr") for row in draws]
    assert found.low == pytest.approx(np.quantile(slow, 0.025))
    assert found.high == pytest.approx(np.quantile(slow, 0.975))


def test_two_classes_are_as_the_binary_figures() -> None:
    generator = np.random.default_rng(1)
    y, p = generator.integers(0, 2, 50), generator.random(50)
    found = measure_classes(y, np.stack([1 - p, p], axis=1), group=np.arange(50), seed=0)
    binary = measure(y, p, group=np.arange(50), seed=0, metrics=["balanced_accuracy", "accuracy"])
    assert found["auroc_macro"].value == pytest.approx(auroc(y, p).value)
    assert found["accuracy"] == binary["accuracy"]
    assert found["balanced_accuracy"].value == pytest.approx(binary["balanced_accuracy"].value)


def test_an_absent_class_leaves_only_the_accuracy() -> None:
    found = measure_classes([0, 1], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], group=[0, 1], seed=0)
    assert found["accuracy"].value == 1
    assert found["auroc_macro"].reason == "measures.class_absent"
    assert found["balanced_accuracy"].reason == "measures.class_absent"


def test_no_case_is_no_error() -> None:
    found = measure_classes([], np.empty((0, 3)), group=[], seed=0)
    assert {one.reason for one in found.values()} == {"measures.too_few_cases"}


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]]),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]]),
        ([0, 1], [[0.5, 0.5]]),
        ([0.5, 1], [[0.5, 0.5], [0.5, 0.5]]),
        ([0, 0], [[1.0], [1.0]]),
        ([0, 1], [0.5, 0.5]),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]]),
    ],
)
def test_what_are_no_chances_of_classes_is_refused(y: object, p: object) -> None:
    with pytest.raises(InputError, match="one row for each case"):
        measure_classes(y, p, group=[0, 1], seed=0)  # type: ignore[arg-type]


def test_the_brier_score_of_two_classes_is_the_usual_one() -> None:
    generator = np.random.default_rng(3)
    p, y = generator.random(40), generator.integers(0, 2, 40)
    found = measure_classes(y, np.stack([1 - p, p], axis=1), group=np.arange(40), seed=0)
    usual = measure(y, p, group=np.arange(40), seed=0, metrics=["brier"])["brier"]
    assert found["brier"].value == pytest.approx(usual.value)
    assert found["brier"].low == pytest.approx(usual.low)

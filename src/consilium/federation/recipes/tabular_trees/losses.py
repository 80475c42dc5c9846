"""What boosting needs to know of a target: loss, its derivatives, XGBoost's name for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilium.federation.contract import Matrix, Vector

KINDS = ("binary", "number", "classes")
"""Kinds of target that trees serve; a model says its own by the place in this list."""

_LEAST_BEND = 1e-16
"""XGBoost's floor of a second derivative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A kind of target.

    Attributes
    ----------
    outputs : int
        Trees in each step: one for each class, else 1.
    parameters : mapping
        XGBoost's objective.
    heaviest : float
        The greatest second derivative that a single case can have.
    mean : callable
        From labels (n,) and margins (n, outputs) to the mean loss.
    derivatives : callable
        From the same to first and second derivative, each (n, outputs).
    """

    outputs: int
    parameters: Mapping[str, Any]
    heaviest: float
    mean: Callable[[Vector, Matrix], float]
    derivatives: Callable[[Vector, Matrix], tuple[Matrix, Matrix]]


def loss_of(kind: str, *, classes: int) -> Loss:
    """Return the loss of one of `KINDS`; `classes` only counts for that kind.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    if kind == "classes":
        return _for_classes(classes)
    return BINARY if kind == "binary" else NUMBER


def _binary_mean(y: Vector, margin: Matrix) -> float:
    z = margin[:, 0]
    return float(np.mean(np.logaddexp(0.0, z) - y * z))


def _binary_derivatives(y: Vector, margin: Matrix) -> tuple[Matrix, Matrix]:
    p = 0.5 * (1.0 + np.tanh(0.5 * margin))
    return p - y[:, None], np.maximum(p * (1 - p), _LEAST_BEND)


def _number_mean(y: Vector, margin: Matrix) -> float:
    return float(np.mean((margin[:, 0] - y) ** 2))


def _number_derivatives(y: Vector, margin: Matrix) -> tuple[Matrix, Matrix]:
    return margin - y[:, None], np.ones(margin.shape)


def _classes_mean(y: Vector, margin: Matrix) -> float:
    shifted = margin - margin.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(y)), y.astype(np.intp)]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - own))


def _classes_derivatives(y: Vector, margin: Matrix) -> tuple[Matrix, Matrix]:
    odds = np.exp(margin - margin.max(axis=1, keepdims=True))
    p = odds / odds.sum(axis=1, keepdims=True)
    own = (y[:, None] == np.arange(margin.shape[1])).astype(np.float64)
    return p - own, np.maximum(2 * p * (1 - p), _LEAST_BEND)


def _for_classes(classes: int) -> Loss:
    return Loss(
        outputs=classes,
        parameters={"objective": "multi:softprob", "num_class": classes},
        heaviest=0.5,
        mean=_classes_mean,
        derivatives=_classes_derivatives,
    )


BINARY = Loss(
    outputs=1,
    parameters={"objective": "binary:logistic"},
    heaviest=0.25,
    mean=_binary_mean,
    derivatives=_binary_derivatives,
)
NUMBER = Loss(
    outputs=1,
    parameters={"objective": "reg:squarederror"},
    heaviest=1.0,
    mean=_number_mean,
    derivatives=_number_derivatives,
)

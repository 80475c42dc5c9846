"""Figures of predictions among several classes: accuracy, balanced accuracy, AUROC, Brier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.discrimination import Auroc
from consilium.measures.records import CLASS_ABSENT, TOO_FEW_CASES, Measurement
from consilium.measures.resampling import RESAMPLES, measure_figures, number_patients
from consilium.measures.weighted import BlockOf, Figure, Matrix, Vector, mean_of

SUM_OFF = 1e-4
"""The chances of one case may sum to 1 within this (single precision and rounding)."""


def measure_classes(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, Measurement]:
    """Measure predictions among several classes, with intervals over patients.

    Parameters
    ----------
    y : array of shape (n,), integer
        Class of each case, from 0 to k - 1.
    p : array of shape (n, k)
        Predicted chance of each class, within [0, 1], each row summing to 1;
        k is at least 2.
    group, seed, resamples, level
        As in `measure`.

    Returns
    -------
    dict of str to Measurement
        `accuracy`: the class of greatest chance is right (the first of equals).
        `balanced_accuracy`: mean over classes of the share of its cases called
        right. `auroc_macro`: mean over classes of the AUROC of one against the
        rest. `brier`: half the squared distance between the chances and the
        true class, so that with k = 2 it is the score of two classes. All
        within [0, 1]; balanced accuracy and AUROC are undefined
        (`measures.class_absent`) when one of the k classes has no case.

    Raises
    ------
    InputError
        `measures.bad_classes`, `measures.bad_cases`.

    Sources
    -------
    Provost and Domingos, CeDER working paper IS-00-04, 2000 (one against the
    rest; here with equal weights); Brodersen et al., ICPR 2010; Brier, Monthly
    Weather Review 78, 1950 (halved).
    """
    labels, chances = _check_classes(y, p)
    number_patients(group, labels.size)
    return measure_figures(
        prepare_classes(labels, chances), group=group, seed=seed, resamples=resamples, level=level
    )


def prepare_classes(y: npt.ArrayLike, p: npt.ArrayLike) -> dict[str, Figure]:
    """Make the figures of `measure_classes` ready: for comparisons and other intervals."""
    labels, chances = _check_classes(y, p)
    n, k = chances.shape
    if not n:
        names = ("accuracy", "balanced_accuracy", "auroc_macro", "brier")
        return dict.fromkeys(names, Figure(n=0, reason=TOO_FEW_CASES))
    member = (labels[:, None] == np.arange(k)).astype(np.float64)
    right = (chances.argmax(axis=1) == labels).astype(np.float64)
    distance = ((chances - member) ** 2).sum(axis=1) / 2
    found = {
        "accuracy": Figure(n=n, block=mean_of(right)),
        "brier": Figure(n=n, block=mean_of(distance)),
    }
    if not member.any(axis=0).all():
        absent = Figure(n=n, reason=CLASS_ABSENT)
        return found | {"balanced_accuracy": absent, "auroc_macro": absent}
    return found | {
        "balanced_accuracy": Figure(n=n, block=_mean_recall(right, member)),
        "auroc_macro": Figure(n=n, block=_mean_area(member, chances)),
    }


def _mean_recall(right: Vector, member: Matrix) -> BlockOf:
    def block(weights: Matrix) -> Vector:
        with np.errstate(invalid="ignore"):  # a resample without a class: 0 / 0
            found: Vector = ((weights @ (member * right[:, None])) / (weights @ member)).mean(
                axis=1
            )
        return found

    return block


def _mean_area(member: Matrix, chances: Matrix) -> BlockOf:
    areas = [Auroc().prepare(member[:, one], chances[:, one]) for one in range(member.shape[1])]

    def block(weights: Matrix) -> Vector:
        found: Vector = np.mean([area(weights) for area in areas], axis=0)
        return found

    return block


def _check_classes(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], Matrix]:
    labels, chances = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    wrong = InputError("measures.bad_classes", labels=labels.size, shape=chances.shape)
    if labels.ndim != 1 or chances.ndim != 2 or chances.shape[1] < 2:
        raise wrong
    whole = np.isin(labels, np.arange(chances.shape[1])).all()
    within = ((chances >= 0) & (chances <= 1)).all()
    sums = (np.abs(chances.sum(axis=1) - 1) <= SUM_OFF).all()
    if labels.size != len(chances) or not (whole and within and sums):
        raise wrong
    return labels.astype(np.intp), chances

"""Membership inference: who was in the training, told from the model alone.

The likelihood-ratio attack (LiRA). Many models are trained, each on a random
half of the cases. For one of them, the target, the others show how sure a model
is of a case that it has seen and of one that it has not; the attack compares
the two. Every model is the target once. A rate of finding members is worth
reading where hardly anybody is accused wrongly, so it is given at 1% and 0.1%
of false accusations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Members = npt.NDArray[np.bool_]

Fit = Callable[[Members, int], Vector]
"""Trains the model of a number on the members; returns how sure it is of each case's
true label, as log-odds, for members and others alike."""

FEWEST_MODELS = 18
"""A target and at least 16 shadow models, half of them with each case."""
_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipReport:
    """What the attack found: 0.5 and the false rates themselves are what guessing finds.

    `auc` is the area under the attack's curve; `tpr_at_1` and `tpr_at_01` are
    the shares of members found at 1% and 0.1% of false accusations.
    """

    models: int
    cases: int
    auc: float
    tpr_at_1: float
    tpr_at_01: float

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return asdict(self)


def audit_membership(fit: Fit, *, cases: int, models: int, seed: int) -> MembershipReport:
    """Attack a way of training.

    Parameters
    ----------
    fit : callable
        Trains one model.
    cases : int
        Of the training part, at least 4.
    models : int
        Even, at least `FEWEST_MODELS`.
    seed : int
        Chooses the members.

    Raises
    ------
    InputError
        `federation.bad_audit`.

    Discloses
    ---------
    To whoever reads the report: three figures about all cases together.

    Sources
    -------
    Carlini et al., "Membership inference attacks from first principles", IEEE
    S&P 2022, arXiv:2112.03570 (online attack, variances over all cases).
    """
    if models < FEWEST_MODELS or models % 2 or cases < 4:
        raise InputError("federation.bad_audit", models=FEWEST_MODELS)
    members = deal_members(cases, models, np.random.default_rng(seed))
    sure = np.stack([fit(mask, number) for number, mask in enumerate(members)])
    scores = np.stack([_scores(sure, members, target) for target in range(models)])
    return _report(scores, members)


def memorising_fit(x: Matrix, y: Vector, *, width: int = 2000) -> Fit:
    """Return a way of training that learns its members by heart: the positive control.

    Least squares on so many random cosine features that every member is met
    exactly; labels are shuffled, so there is nothing else to learn.

    Parameters
    ----------
    x : array of shape (n, d)
        Inputs of the order of 1.
    y : array of shape (n,)
        0 or 1.

    Discloses
    ---------
    Nothing.

    Sources
    -------
    Rahimi and Recht, NeurIPS 2007 (random features).
    """
    generator = np.random.default_rng(0)
    signs = 2.0 * generator.permutation(y) - 1.0
    directions = generator.normal(size=(x.shape[1], width))
    features = np.cos(x @ directions + generator.uniform(0, 2 * np.pi, size=width))

    def fit(members: Members, number: int) -> Vector:
        del number
        inside = features[members]
        kernel = inside @ inside.T + 1e-6 * width * np.eye(len(inside))
        weights = inside.T @ np.linalg.solve(kernel, signs[members])
        return np.asarray(signs * (features @ weights), dtype=np.float64)

    return fit


def deal_members(cases: int, models: int, generator: np.random.Generator) -> Members:
    """Put each case into exactly half of the models.

    Returns
    -------
    array of shape (models, cases), bool

    Discloses
    ---------
    Nothing.
    """
    order = np.argsort(generator.random((models, cases)), axis=0)
    return np.asarray(order < models // 2, dtype=np.bool_)


def _scores(sure: Matrix, members: Members, target: int) -> Vector:
    """Return the log likelihood ratio of each case for one target."""
    others = np.arange(len(sure)) != target
    shown, inside = sure[others], members[others]
    ratio = np.zeros(sure.shape[1])
    for sign, group in ((1.0, inside), (-1.0, ~inside)):
        count = group.sum(axis=0)
        mean = np.where(group, shown, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(group, shown - mean, 0.0) ** 2).sum() / count.sum())
        spread = max(spread, _SMALLEST_SPREAD)
        ratio += sign * (-0.5 * ((sure[target] - mean) / spread) ** 2 - np.log(spread))
    return ratio


def _report(scores: Matrix, members: Members) -> MembershipReport:
    inside, outside = scores[members], np.sort(scores[~members])
    below = np.searchsorted(outside, inside, side="left")
    not_above = np.searchsorted(outside, inside, side="right")
    return MembershipReport(
        models=len(scores),
        cases=scores.shape[1],
        auc=float((below + not_above).mean() / (2 * len(outside))),
        tpr_at_1=_found(inside, outside, 0.01),
        tpr_at_01=_found(inside, outside, 0.001),
    )


def _found(inside: Vector, outside: Vector, accused: float) -> float:
    """Return the share of members above a score that at most `accused` of the others exceed."""
    limit = outside[len(outside) - 1 - int(accused * len(outside))]
    return float((inside > limit).mean())

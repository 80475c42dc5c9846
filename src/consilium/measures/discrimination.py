"""How well predictions tell the classes apart: AUROC, accuracy, sensitivity, specificity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.measures.records import ONE_CLASS, Measurement
from consilium.measures.weighted import BlockOf, Matrix, Vector, measure_plain


def auroc(y: npt.ArrayLike, p: npt.ArrayLike) -> Measurement:
    """Measure the area under the ROC curve; ties count half (midranks).

    Parameters
    ----------
    y : array of shape (n,)
        Labels, each 0 or 1.
    p : array of shape (n,)
        Predicted chances of the positive class, within [0, 1].

    Returns
    -------
    Measurement
        Within [0, 1]; undefined (`measures.one_class`) when a class is absent.

    Sources
    -------
    Hanley and McNeil, Radiology 143, 1982: the area is the Mann-Whitney statistic.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    return measure_plain(Auroc(), y, p)


def accuracy(y: npt.ArrayLike, p: npt.ArrayLike, *, threshold: float = 0.5) -> Measurement:
    """Measure the share of cases on the right side of the threshold.

    A prediction equal to the threshold counts as negative, as in FLamby.
    """
    return measure_plain(Accuracy(threshold=threshold), y, p)


def balanced_accuracy(y: npt.ArrayLike, p: npt.ArrayLike, *, threshold: float = 0.5) -> Measurement:
    """Measure the mean of sensitivity and specificity, within [0, 1].

    A prediction equal to the threshold counts as negative. Undefined
    (`measures.one_class`) when a class is absent.

    Sources
    -------
    Brodersen et al., ICPR 2010, "The balanced accuracy and its posterior distribution".
    """
    return measure_plain(BalancedAccuracy(threshold=threshold), y, p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auroc:
    """Area under the ROC curve as a weighted metric."""

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Both classes are needed."""
        return None if 0 < y.sum() < y.size else ONE_CLASS

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Sort once; each resample is then two running sums."""
        order = np.argsort(p, kind="stable")
        positive = y[order]
        # Cases with the same prediction form one step, so ties count half.
        ends = np.flatnonzero(np.diff(p[order], append=np.inf))

        def block(weights: Matrix) -> Vector:
            sorted_weights = weights[:, order]
            below = np.cumsum(sorted_weights * (1 - positive), axis=1)[:, ends]
            above = np.cumsum(sorted_weights * positive, axis=1)[:, ends]
            gained = np.diff(above, axis=1, prepend=0.0)
            before = np.concatenate([np.zeros((len(weights), 1)), below[:, :-1]], axis=1)
            area = (gained * (before + below)).sum(axis=1) / 2
            pairs = above[:, -1] * below[:, -1]
            with np.errstate(invalid="ignore"):  # a resample without a class has no pair: 0 / 0
                found: Vector = area / pairs
            return found

        return block


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Share of right decisions as a weighted metric."""

    threshold: float = 0.5

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Any case will do."""
        return None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Compare once; each resample is a weighted mean."""
        right = ((p > self.threshold) == (y > 0)).astype(np.float64)
        return lambda weights: (weights @ right) / weights.sum(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Share of positives called positive, as a weighted metric."""

    threshold: float = 0.5

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Positives are needed."""
        return None if y.any() else ONE_CLASS

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Compare once; each resample is a weighted mean over positives."""
        return _share((p > self.threshold).astype(np.float64), among=y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specificity:
    """Share of negatives called negative, as a weighted metric."""

    threshold: float = 0.5

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Negatives are needed."""
        return ONE_CLASS if y.all() else None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Compare once; each resample is a weighted mean over negatives."""
        return _share((p <= self.threshold).astype(np.float64), among=1 - y)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancedAccuracy:
    """Mean of sensitivity and specificity as a weighted metric."""

    threshold: float = 0.5

    def reason(self, y: Vector, p: Vector) -> str | None:  # noqa: ARG002 (the protocol's form)
        """Both classes are needed."""
        return None if 0 < y.sum() < y.size else ONE_CLASS

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Prepare both halves; a resample without a class has no figure."""
        positives = Sensitivity(threshold=self.threshold).prepare(y, p)
        negatives = Specificity(threshold=self.threshold).prepare(y, p)
        return lambda weights: (positives(weights) + negatives(weights)) / 2


def _share(right: Vector, *, among: Vector) -> BlockOf:
    def block(weights: Matrix) -> Vector:
        with np.errstate(invalid="ignore"):  # a resample without such cases: 0 / 0
            found: Vector = (weights @ (right * among)) / (weights @ among)
        return found

    return block

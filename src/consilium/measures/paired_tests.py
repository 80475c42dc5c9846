"""Classical tests of two models on the same patients: DeLong, McNemar, Wilcoxon.

They are exact or fast where the paired bootstrap is neither, but all three want
cases that are independent: one for each patient. With more than one they say so
and give no p-value; `comparing.compare` draws whole patients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from consilium.measures.comparing import ModelComparison
from consilium.measures.records import (
    NO_DIFFERENCE,
    NO_VARIANCE,
    ONE_CLASS,
    REPEATED_PATIENTS,
    TOO_FEW_CASES,
    TOO_FEW_OF_A_CLASS,
    Measurement,
)
from consilium.measures.resampling import number_patients
from consilium.measures.weighted import Vector, check_cases, check_finite

_NO_SPREAD = 1e-24  # one pair of a hundred thousand squared would still lie above


def delong(
    y: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    level: float = 0.95,
) -> ModelComparison:
    """Test whether two models have the same AUROC on the same patients.

    Parameters
    ----------
    y : array of shape (n,)
        Labels, each 0 or 1.
    first, second : array of shape (n,)
        Predicted chances of the positive class, within [0, 1].
    group : array of shape (n,), integer
        Patient number of each case.
    level : float, optional
        Share that the interval covers, within (0, 1).

    Returns
    -------
    ModelComparison
        Undefined with one class (`measures.one_class`). Without test when a
        class has one case (`measures.too_few_of_a_class`), a patient several
        (`measures.repeated_patients`), both order all pairs alike
        (`measures.no_difference`), or the difference has no spread
        (`measures.no_variance`).

    Raises
    ------
    InputError
        `measures.bad_cases`.

    Sources
    -------
    DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988; by midranks in
    n log n: Sun and Xu, IEEE Signal Processing Letters 21, 2014.
    """
    labels, one = check_cases(y, first)
    labels, other = check_cases(labels, second)
    repeated = _has_repeats(group, labels.size)
    if not 0 < labels.sum() < labels.size:
        absent = ONE_CLASS if labels.size else TOO_FEW_CASES
        return _untested("delong", Measurement(value=None, n=labels.size, reason=absent))
    parts = [_components(labels, one), _components(labels, other)]
    areas = [float(positives.mean()) for positives, _ in parts]
    among = [parts[0][side] - parts[1][side] for side in (0, 1)]
    plain = Measurement(value=areas[0] - areas[1], n=labels.size)
    reason = REPEATED_PATIENTS if repeated else _no_spread(among)
    if reason:
        return _untested("delong", replace(plain, reason=reason), *areas)
    error = math.sqrt(_variance(among))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    difference = areas[0] - areas[1]
    return ModelComparison(
        first=areas[0],
        second=areas[1],
        difference=replace(plain, low=difference - reach, high=difference + reach),
        p_value=math.erfc(abs(difference) / error / math.sqrt(2)),
        method="delong",
    )


def mcnemar(
    y: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    threshold: float = 0.5,
) -> ModelComparison:
    """Test whether two models are right equally often, by the exact binomial test.

    Only the cases count in which one model is right and the other wrong.

    Parameters
    ----------
    y, first, second, group
        As in `delong`.
    threshold : float, optional
        A prediction equal to it counts as negative.

    Returns
    -------
    ModelComparison
        Of accuracies, without interval. Without test when the models are right
        on the same cases (`measures.no_difference`) or a patient has several
        cases (`measures.repeated_patients`).

    Raises
    ------
    InputError
        `measures.bad_cases`.

    Sources
    -------
    McNemar, Psychometrika 12, 1947; exact form: Liddell, Journal of
    Epidemiology and Community Health 37, 1983.
    """
    labels, one = check_cases(y, first)
    labels, other = check_cases(labels, second)
    repeated = _has_repeats(group, labels.size)
    n = labels.size
    if not n:
        return _untested("mcnemar", Measurement(value=None, n=0, reason=TOO_FEW_CASES))
    right = [(chances > threshold) == (labels > 0) for chances in (one, other)]
    only_first = int(np.count_nonzero(right[0] & ~right[1]))
    only_second = int(np.count_nonzero(right[1] & ~right[0]))
    reason = REPEATED_PATIENTS if repeated else None
    if not only_first + only_second:
        reason = NO_DIFFERENCE
    p_value = None
    if reason is None:
        from scipy.special import bdtr  # slow to import, and seldom needed

        fewer = min(only_first, only_second)
        p_value = min(1.0, 2 * float(bdtr(fewer, only_first + only_second, 0.5)))
    return ModelComparison(
        first=float(right[0].mean()),
        second=float(right[1].mean()),
        difference=Measurement(value=(only_first - only_second) / n, n=n, reason=reason),
        p_value=p_value,
        method="mcnemar",
    )


def wilcoxon(
    first: npt.ArrayLike, second: npt.ArrayLike, *, group: npt.ArrayLike
) -> ModelComparison:
    """Test whether paired numbers, such as errors or Dice coefficients, differ in rank.

    Pairs without difference are left out, as Wilcoxon did. Exact up to 50
    differing pairs without ties, else by the normal approximation.

    Parameters
    ----------
    first, second : array of shape (n,)
        One number of each model for each patient, finite.
    group : array of shape (n,), integer
        Patient number of each pair.

    Returns
    -------
    ModelComparison
        `difference` is the median of the differences, without interval. Without
        test when no pair differs (`measures.no_difference`) or a patient has
        several (`measures.repeated_patients`).

    Raises
    ------
    InputError
        `measures.bad_values`, `measures.bad_cases`.

    Sources
    -------
    Wilcoxon, Biometrics Bulletin 1, 1945; computed by SciPy.
    """
    one, other = check_finite(first, second)
    repeated = _has_repeats(group, one.size)
    if not one.size:
        return _untested("wilcoxon", Measurement(value=None, n=0, reason=TOO_FEW_CASES))
    apart = one - other
    plain = Measurement(
        value=float(np.median(apart)),
        n=one.size,
        reason=NO_DIFFERENCE if not apart.any() else REPEATED_PATIENTS if repeated else None,
    )
    if plain.reason:
        return _untested("wilcoxon", plain)
    from scipy import stats  # slow to import, and seldom needed

    p_value = float(stats.wilcoxon(apart, zero_method="wilcox", correction=False).pvalue)
    return ModelComparison(
        first=None, second=None, difference=plain, p_value=min(1.0, p_value), method="wilcoxon"
    )


def _has_repeats(group: npt.ArrayLike, cases: int) -> bool:
    patients = number_patients(group, cases)
    return cases > 0 and int(patients.max()) + 1 < cases


def _no_spread(among: Sequence[Vector]) -> str | None:
    """Say why the variance of a difference of areas is unknown or nought, or None."""
    if min(part.size for part in among) < 2:
        return TOO_FEW_OF_A_CLASS
    if not any(part.any() for part in among):
        return NO_DIFFERENCE
    return NO_VARIANCE if _variance(among) < _NO_SPREAD else None


def _variance(among: Sequence[Vector]) -> float:
    return sum(float(part.var(ddof=1)) / part.size for part in among)


def _untested(
    method: str, difference: Measurement, first: float | None = None, second: float | None = None
) -> ModelComparison:
    return ModelComparison(
        first=first, second=second, difference=difference, p_value=None, method=method
    )


def _components(y: Vector, p: Vector) -> tuple[Vector, Vector]:
    """Return each positive's share of negatives below it, and each negative's of positives above.

    Equal predictions count half. The mean of either is the AUROC.
    """
    positives, negatives = p[y > 0], p[y == 0]
    together = _midranks(np.concatenate([positives, negatives]))
    above = (together[: positives.size] - _midranks(positives)) / negatives.size
    below = 1 - (together[positives.size :] - _midranks(negatives)) / positives.size
    return above, below


def _midranks(values: Vector) -> Vector:
    """Rank from 1; equal values share the mean of their ranks."""
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    found: Vector = (np.cumsum(times) - (times - 1) / 2)[place.reshape(-1)]
    return found

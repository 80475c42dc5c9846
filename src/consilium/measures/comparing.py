"""Whether one model is better than another on the same patients, and by how much.

Two intervals that overlap say little about a difference: both models meet the
same hard cases. So the same patients are drawn for both, and the difference is
taken on each draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.measures.intervals import METRICS, prepare_binary
from consilium.measures.records import TOO_FEW_PATIENTS, Measurement
from consilium.measures.resampling import RESAMPLES, number_patients, resample, with_interval
from consilium.measures.weighted import BlockOf, Figure, Vector, take_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelComparison:
    """A figure of two models on the same cases, and whether they differ.

    Attributes
    ----------
    first, second : float, optional
        The figure of each; None where undefined or where the test has none.
    difference : Measurement
        First minus second, with its interval where the method gives one;
        `reason` says why the value, the interval or the test is missing.
    p_value : float, optional
        Two-sided, within [0, 1]; None when there is no test.
    method : str
        `bootstrap`, `delong`, `mcnemar` or `wilcoxon`.
    """

    first: float | None
    second: float | None
    difference: Measurement
    p_value: float | None
    method: str

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.as_record(),
            "p_value": self.p_value,
            "method": self.method,
        }


def compare(
    y: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    metrics: Sequence[str] = tuple(METRICS),
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, ModelComparison]:
    """Compare two models' chances for the same cases by paired bootstrap over patients.

    Parameters
    ----------
    y : array of shape (n,)
        Labels, each 0 or 1.
    first, second : array of shape (n,)
        Predicted chances of the positive class, within [0, 1].
    group, seed, metrics, resamples, level
        As in `measure`.

    Returns
    -------
    dict of str to ModelComparison

    Raises
    ------
    InputError
        `measures.bad_cases`, `measures.unknown_metric`.
    """
    return compare_figures(
        prepare_binary(y, first, metrics=metrics),
        prepare_binary(y, second, metrics=metrics),
        group=group,
        seed=seed,
        resamples=resamples,
        level=level,
    )


def compare_figures(
    first: Mapping[str, Figure],
    second: Mapping[str, Figure],
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, ModelComparison]:
    """Compare figures of any kind on the same cases by paired bootstrap over patients.

    Parameters
    ----------
    first, second : mapping of str to Figure
        The same names, over the same n cases in the same order, such as
        `prepare_binary`, `prepare_classes`, `prepare_errors` give.
    group, seed, resamples, level
        As in `measure_figures`.

    Returns
    -------
    dict of str to ModelComparison
        The p-value is twice the smaller share of draws on either side of zero,
        so at least 2 / (draws + 1); draws at zero count on both sides. Missing
        with the interval, for the same reasons.

    Raises
    ------
    InputError
        `measures.not_paired` when names or numbers of cases differ;
        `measures.bad_cases` when the patients do not fit.

    Sources
    -------
    Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    sections 3.8 (whole patients) and 4.2 (counting the sample itself).
    """
    sizes = {figure.n for figure in (*first.values(), *second.values())}
    if first.keys() != second.keys() or len(sizes) > 1:
        raise InputError("measures.not_paired", first=len(first), second=len(second))
    plain = {name: (take_plain(first[name]), take_plain(second[name])) for name in first}
    found = {name: _subtract(*pair) for name, pair in plain.items()}
    blocks = {
        name: _difference(one.block, other.block)
        for name, one, other in ((name, first[name], second[name]) for name in first)
        if one.block is not None and other.block is not None and found[name].value is not None
    }
    patients = number_patients(group, max(sizes, default=0))
    draws: dict[str, Vector] = {}
    if blocks and patients.max() > 0:
        draws = resample(blocks, patients=patients, seed=seed, resamples=resamples)
    for name in blocks:
        found[name] = (
            with_interval(found[name], draws[name], level)
            if draws
            else replace(found[name], reason=TOO_FEW_PATIENTS)
        )
    return {
        name: ModelComparison(
            first=plain[name][0].value,
            second=plain[name][1].value,
            difference=found[name],
            p_value=None if found[name].low is None else _p_value(draws[name]),
            method="bootstrap",
        )
        for name in first
    }


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Adjust the p-values of several comparisons, so that one chance find in all stays rare.

    A comparison whose adjusted p-value is below a is declared different at a
    risk of at most a of even one false declaration, whatever the comparisons
    have to do with one another.

    Parameters
    ----------
    p_values : mapping of str to float or None
        All comparisons that were made, each within [0, 1]; None for one that
        could not be tested: it stays None and does not count.

    Returns
    -------
    dict of str to float or None
        In the same order; never smaller than given, at most 1.

    Raises
    ------
    InputError
        `measures.bad_p_value`.

    Sources
    -------
    Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    tested = [(p, name) for name, p in p_values.items() if p is not None]
    found: dict[str, float | None] = dict.fromkeys(p_values)
    least = 0.0
    for p, name in tested:
        if not 0 <= p <= 1:
            raise InputError("measures.bad_p_value", name=name, p=p)
    for place, (p, name) in enumerate(sorted(tested)):
        least = max(least, min(1.0, (len(tested) - place) * p))
        found[name] = least
    return found


def _subtract(first: Measurement, second: Measurement) -> Measurement:
    if first.value is None or second.value is None:
        return Measurement(value=None, n=first.n, reason=first.reason or second.reason)
    return Measurement(value=first.value - second.value, n=first.n)


def _difference(first: BlockOf, second: BlockOf) -> BlockOf:
    return lambda weights: first(weights) - second(weights)


def _p_value(draws: Vector) -> float:
    valid = draws[np.isfinite(draws)]
    tail = min(np.count_nonzero(valid <= 0), np.count_nonzero(valid >= 0))
    return min(1.0, 2 * (tail + 1) / (valid.size + 1))

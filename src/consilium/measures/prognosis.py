"""How good predictions of the time until an event are: concordance index and Brier score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.records import (
    BEYOND_FOLLOW_UP,
    NO_PAIRS,
    TOO_FEW_CASES,
    Measurement,
)
from consilium.measures.resampling import RESAMPLES, measure_figures, number_patients
from consilium.measures.survival import check_times, count_at_risk
from consilium.measures.weighted import BlockOf, Figure, Matrix, Vector, check_finite

_PAIRS = 4_000_000  # pairs held at once: 32 MB


def concordance_index(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Measurement:
    """Measure Harrell's concordance index, with an interval over patients.

    It is the share of comparable pairs in which the one with the earlier event
    has the higher risk; equal risks count half. A pair is comparable when the
    earlier time is an event; at equal times an event comes before a time cut
    short, and two events are not compared. Its work grows with the square of
    the cases.

    Parameters
    ----------
    time, event : array of shape (n,)
        As in `kaplan_meier`.
    risk : array of shape (n,)
        Predicted risk, finite; higher means an earlier event.
    group, seed, resamples, level
        As in `measure`.

    Returns
    -------
    Measurement
        Within [0, 1]; undefined (`measures.no_pairs`) without a comparable pair.
        With much censoring it depends on who was censored when.

    Raises
    ------
    InputError
        `measures.bad_times`, `measures.bad_values`, `measures.bad_cases`.

    Sources
    -------
    Harrell et al., JAMA 247, 1982; Harrell, Lee and Mark, Statistics in
    Medicine 15, 1996. Dependence on censoring: Uno et al., ibid. 30, 2011.
    """
    figure = prepare_concordance(time, event, risk)
    number_patients(group, figure.n)
    figures = {"concordance": figure}
    return measure_figures(figures, group=group, seed=seed, resamples=resamples, level=level)[
        "concordance"
    ]


def prepare_concordance(time: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike) -> Figure:
    """Make the concordance index ready: for comparisons and other intervals."""
    times, events = check_times(time, event)
    times, risks = check_finite(times, risk)
    n = times.size
    if not n:
        return Figure(n=0, reason=TOO_FEW_CASES)
    first = times[events > 0].min(initial=np.inf)
    later = (times > first) | ((times == first) & (events == 0))
    if not later.any():
        return Figure(n=n, reason=NO_PAIRS)
    return Figure(n=n, block=_concordance(times, events, risks))


def brier_at(
    time: npt.ArrayLike, event: npt.ArrayLike, survival: npt.ArrayLike, *, at: float
) -> Measurement:
    """Measure the Brier score of predicted survival at one time, weighted for censoring.

    Patients cut short before the time stand for nothing themselves; those like
    them who were followed count more, by one over the chance of still being
    followed (Kaplan-Meier's estimate of the censoring, for all patients alike).

    Parameters
    ----------
    time, event : array of shape (n,)
        As in `kaplan_meier`.
    survival : array of shape (n,)
        Predicted chance of having no event until `at`, within [0, 1].
    at : float
        In the unit of the times, not negative.

    Returns
    -------
    Measurement
        At least 0, and 0.25 for a constant prediction of 0.5 in expectation;
        the weights let it rise a little above 1 on few cases. Undefined
        (`measures.beyond_follow_up`) when nobody was followed past `at` and
        the last to leave were cut short. No interval.

    Raises
    ------
    InputError
        `measures.bad_times`, `measures.bad_values`, `measures.bad_cases`.

    Sources
    -------
    Graf et al., Statistics in Medicine 18, 1999.
    """
    times, events = check_times(time, event)
    times, chances = check_finite(times, survival)
    if not ((chances >= 0) & (chances <= 1)).all():
        raise InputError("measures.bad_cases", labels=times.size, predictions=chances.size)
    if not times.size:
        return Measurement(value=None, n=0, reason=TOO_FEW_CASES)
    moments, followed = _follow_up(times, events)
    past = followed[np.searchsorted(moments, at, side="right")]
    if past <= 0:
        return Measurement(value=None, n=times.size, reason=BEYOND_FOLLOW_UP)
    # Just before their event these were still followed, so no weight is infinite.
    until = followed[np.searchsorted(moments, times, side="left")]
    came = (times <= at) & (events > 0)
    parts = np.where(came, chances**2 / np.where(came, until, 1.0), 0.0)
    parts = np.where(times > at, (1 - chances) ** 2 / past, parts)
    return Measurement(value=float(parts.mean()), n=times.size)


def _follow_up(times: Vector, events: Vector) -> tuple[Vector, Vector]:
    """Return the times of censoring, and the chance of being followed before the first, after each.

    Events at the same time come first, so those patients are no longer at risk.
    """
    moments, at_risk, lost = count_at_risk(times, 1 - events)
    ends = np.sort(times[events > 0])
    tied = np.searchsorted(ends, moments, side="right") - np.searchsorted(ends, moments)
    followed = np.cumprod(1 - lost / (at_risk - tied))
    return moments, np.concatenate([[1.0], followed])


def _concordance(times: Vector, events: Vector, risks: Vector) -> BlockOf:
    rows = np.flatnonzero(events > 0)
    step = max(1, _PAIRS // times.size)

    def block(weights: Matrix) -> Vector:
        won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for start in range(0, rows.size, step):
            part = rows[start : start + step, None]
            comparable = (times[part] < times) | ((times[part] == times) & (events == 0))
            credit = (risks[part] > risks) + 0.5 * (risks[part] == risks)
            mine = weights[:, part[:, 0]]
            pairs += (mine * (weights @ comparable.T.astype(np.float64))).sum(axis=1)
            won += (mine * (weights @ (comparable * credit).T)).sum(axis=1)
        with np.errstate(invalid="ignore"):  # a resample without a comparable pair: 0 / 0
            found: Vector = won / pairs
        return found

    return block

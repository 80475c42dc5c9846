"""Times until an event, some cut short: Kaplan-Meier's curve and the log-rank test."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.measures.records import NO_EVENTS, NO_PAIRS, ONE_GROUP, TOO_FEW_CASES
from consilium.measures.weighted import Matrix, Vector, check_finite


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalPoint:
    """One step of a survival curve.

    Attributes
    ----------
    time : float
        When events happened, in the unit of the times.
    at_risk, events : int
        Patients followed until this time, and events at it.
    survival : float
        Share without event after this time, within [0, 1].
    low, high : float, optional
        Pointwise interval within (0, 1); None once nobody is left without event.
    """

    time: float
    at_risk: int
    events: int
    survival: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """Whether groups differ in their times until an event.

    Attributes
    ----------
    statistic : float, optional
        Chi-square distributed without a difference, at least 0; None when
        undefined, and `reason` says why.
    freedom : int
        Degrees of freedom: groups with expected events, less one.
    p_value : float, optional
        Within [0, 1].
    observed, expected : dict of str to float
        Events of each group, and those it would have had without a difference.
    """

    statistic: float | None = None
    freedom: int = 0
    p_value: float | None = None
    observed: dict[str, float]
    expected: dict[str, float]
    reason: str | None = None

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {
            "statistic": self.statistic,
            "freedom": self.freedom,
            "p_value": self.p_value,
            "observed": {**self.observed},
            "expected": {**self.expected},
            "reason": self.reason,
        }


def kaplan_meier(
    time: npt.ArrayLike, event: npt.ArrayLike, *, level: float = 0.95
) -> tuple[SurvivalPoint, ...]:
    """Estimate the share without event over time from times some of which are cut short.

    At equal times events come before censorings. The intervals come from
    Greenwood's variance on the log-log scale, so they stay within (0, 1). Each
    step is the time of a real patient: what leaves a hospital is asked through
    the statistics' question `survival`, on a grid.

    Parameters
    ----------
    time : array of shape (n,)
        Time of event or last contact, finite, not negative.
    event : array of shape (n,)
        1 for an event, 0 for a time that was cut short.
    level : float, optional
        Share that the intervals cover, within (0, 1).

    Returns
    -------
    tuple of SurvivalPoint
        One for each time with an event, rising; empty without events, where
        the curve stays at 1 as far as anybody was followed.

    Raises
    ------
    InputError
        `measures.bad_times`, `measures.bad_values`.

    Sources
    -------
    Kaplan and Meier, JASA 53, 1958; Kalbfleisch and Prentice, The Statistical
    Analysis of Failure Time Data, 1980, section 1.3 (interval).
    """
    times, events = check_times(time, event)
    moments, at_risk, died = count_at_risk(times, events)
    survival = np.cumprod(1 - died / at_risk)
    with np.errstate(divide="ignore"):  # all die: the last term is infinite and not used
        greenwood = np.cumsum(died / (at_risk * (at_risk - died)))
    z = NormalDist().inv_cdf((1 + level) / 2)
    return tuple(
        SurvivalPoint(
            time=float(moments[one]),
            at_risk=int(at_risk[one]),
            events=int(died[one]),
            survival=float(survival[one]),
            low=_on_log_log(survival[one], z * math.sqrt(greenwood[one])),
            high=_on_log_log(survival[one], -z * math.sqrt(greenwood[one])),
        )
        for one in range(moments.size)
    )


def log_rank(time: npt.ArrayLike, event: npt.ArrayLike, *, group: npt.ArrayLike) -> LogRank:
    """Test whether two or more groups have the same times until an event.

    Every event weighs the same. A group without expected events (all its
    members left before the first event) does not count.

    Parameters
    ----------
    time, event : array of shape (n,)
        As in `kaplan_meier`.
    group : array of shape (n,)
        Name of each case's group.

    Returns
    -------
    LogRank
        Undefined without cases (`measures.too_few_cases`) or events
        (`measures.no_events`), with one group (`measures.one_group`), or when
        at no event two groups could be told apart (`measures.no_pairs`).

    Raises
    ------
    InputError
        `measures.bad_times`, `measures.bad_values`.

    Sources
    -------
    Mantel, Cancer Chemotherapy Reports 50, 1966; Peto and Peto, JRSS A 135, 1972.
    """
    times, events = check_times(time, event)
    names, place = np.unique(np.asarray(group).astype(str), return_inverse=True)
    if place.shape != times.shape:
        raise InputError("measures.bad_values", sizes=f"{times.size}, {place.size}")
    observed, expected, spread = _tally(times, events, place.reshape(-1), names.size)
    found = LogRank(
        observed=dict(zip(names.tolist(), observed.tolist(), strict=True)),
        expected=dict(zip(names.tolist(), expected.tolist(), strict=True)),
    )
    reason = TOO_FEW_CASES if not times.size else ONE_GROUP if names.size < 2 else None
    if reason is None and not events.any():
        reason = NO_EVENTS
    # The groups' excesses sum to nought, so one of them says nothing new.
    kept = np.flatnonzero(expected > 0)[1:]
    spread = spread[np.ix_(kept, kept)]
    if reason is None and (not kept.size or np.linalg.matrix_rank(spread) < kept.size):
        reason = NO_PAIRS
    if reason:
        return replace(found, reason=reason)
    from scipy.special import chdtrc  # slow to import, and seldom needed

    excess = (observed - expected)[kept]
    statistic = max(0.0, float(excess @ np.linalg.solve(spread, excess)))
    p_value = float(chdtrc(kept.size, statistic))
    return replace(found, statistic=statistic, freedom=kept.size, p_value=p_value)


def check_times(time: npt.ArrayLike, event: npt.ArrayLike) -> tuple[Vector, Vector]:
    """Return times and events as float64 vectors of one length.

    Raises
    ------
    InputError
        `measures.bad_values`; `measures.bad_times` when a time is negative or
        an event neither 0 nor 1.
    """
    times, events = check_finite(time, event)
    if (times < 0).any() or not np.isin(events, (0.0, 1.0)).all():
        raise InputError("measures.bad_times", cases=times.size)
    return times, events


def count_at_risk(times: Vector, events: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the distinct times with events, who was at risk at each, and its events."""
    moments, died = np.unique(times[events > 0], return_counts=True)
    gone = np.searchsorted(np.sort(times), moments, side="left")
    return moments, (times.size - gone).astype(np.float64), died.astype(np.float64)


def _tally(
    times: Vector, events: Vector, place: npt.NDArray[np.intp], groups: int
) -> tuple[Vector, Vector, Matrix]:
    """Sum observed and expected events of each group, and their covariance."""
    moments, at_risk, died = count_at_risk(times, events)
    share = np.zeros((groups, moments.size))
    observed = np.zeros(groups)
    for one in range(groups):
        mine = np.sort(times[place == one])
        share[one] = (mine.size - np.searchsorted(mine, moments, side="left")) / at_risk
        observed[one] = events[place == one].sum()
    # One drawn without replacement: variance of the hypergeometric distribution.
    factor = died * (at_risk - died) / np.maximum(at_risk - 1, 1)
    spread = np.diag((share * factor).sum(axis=1)) - (share * factor) @ share.T
    return observed, (share * died).sum(axis=1), spread


def _on_log_log(survival: float, shift: float) -> float | None:
    if not 0 < survival < 1:
        return None
    middle = math.log(survival)
    return math.exp(-math.exp(math.log(-middle) - shift / middle))

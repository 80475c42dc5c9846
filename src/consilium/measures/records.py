"""Records of the measures' room: one figure with its interval, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from consilium.kernel.canonical import Json

ONE_CLASS = "measures.one_class"
TOO_FEW_CASES = "measures.too_few_cases"
NO_SPREAD = "measures.no_spread"
NOT_CONVERGED = "measures.not_converged"
TOO_FEW_PATIENTS = "measures.too_few_patients"
TOO_FEW_RESAMPLES = "measures.too_few_resamples"
CLASS_ABSENT = "measures.class_absent"
NO_DIFFERENCE = "measures.no_difference"
NO_VARIANCE = "measures.no_variance"
TOO_FEW_OF_A_CLASS = "measures.too_few_of_a_class"
REPEATED_PATIENTS = "measures.repeated_patients"
NOTHING_MARKED = "measures.nothing_marked"
NO_EVENTS = "measures.no_events"
NO_PAIRS = "measures.no_pairs"
ONE_GROUP = "measures.one_group"
BEYOND_FOLLOW_UP = "measures.beyond_follow_up"
TOO_FEW = "measures.too_few"
HIDDEN_WITH_OTHERS = "measures.hidden_with_others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure about a model at one hospital.

    Attributes
    ----------
    value : float, optional
        The figure; None when it is undefined, and `reason` says why.
    low, high : float, optional
        Ends of its interval; None when there is none.
    n : int
        Cases it was taken over.
    reason : str, optional
        Code of a sentence: why the value, or only the interval, is missing.
    skipped : int
        Resamples in which the figure was undefined and which were left out.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    reason: str | None = None
    skipped: int = 0

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "reason": self.reason,
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Cases of like prediction: what was said, and what came.

    `predicted` is the mean prediction and `observed` the share of positives,
    both within [0, 1], over `n` cases.
    """

    predicted: float
    observed: float
    n: int

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {"predicted": self.predicted, "observed": self.observed, "n": self.n}

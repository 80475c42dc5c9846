"""What one run of the common study showed, on either side."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measuring import Memory


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run.

    Attributes
    ----------
    wall_s : float
        From the command to the result in hand.
    first_round_s : float
        From the command to the first round's start.
    last_round_s : float
        From the last round's end to the result in hand.
    overheads_s : list of float
        For each round, what it took beyond the slowest site's work.
    work_s : list of float
        For each round, the slowest site's work.
    wire_bytes : int
        Bytes between sites and hub, both directions, from command to result.
    peak : Memory
        At the greatest total.
    weights : list of float
        The final model: weights, then the intercept.
    """

    wall_s: float
    first_round_s: float
    last_round_s: float
    overheads_s: list[float]
    work_s: list[float]
    wire_bytes: int
    peak: Memory
    weights: list[float]

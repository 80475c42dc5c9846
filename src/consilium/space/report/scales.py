"""Scales of the report's drawings: where they begin and end, and where their ticks stand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)
MOST_TICKS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From `low` to `high` in steps of `step`; ticks are written with so many `digits`."""

    low: float
    high: float
    step: float
    digits: int = 1

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends."""
        return (self.low, self.high)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Where the ticks stand."""
        count = round((self.high - self.low) / self.step)
        return tuple(self.low + number * self.step for number in range(count + 1))

    def write(self, value: float) -> str:
        """Write a tick."""
        return f"{value:.{self.digits}f}"


def scale_shares(values: Iterable[float]) -> Scale:
    """Return a scale in tenths around shares, which end at 1."""
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=1.0)
    low, high = math.floor(low * 10) / 10, min(1.0, math.floor(high * 10 + 0.999) / 10)
    return Scale(low=low, high=high if high > low else low + 0.1, step=0.1)


def scale_numbers(values: Iterable[float], *, zero: bool = False) -> Scale:
    """Return a scale of round steps around any numbers; with `zero` it begins or ends there."""
    found = [*values, *([0.0] if zero else [])]
    low, high = min(found, default=0.0), max(found, default=1.0)
    span = (high - low) or max(abs(high), 1.0)
    size = 10 ** math.floor(math.log10(span / MOST_TICKS))
    step = next(each * size for each in _STEPS if span / (each * size) <= MOST_TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    last = max(last, first + 1)
    return Scale(low=first * step, high=last * step, step=step, digits=digits)

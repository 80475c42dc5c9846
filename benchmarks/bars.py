"""What a bar is: a claim, the command that anyone can run, and how to measure it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure as words, whether it meets its bar, and what stands behind it."""

    figure: str
    met: bool
    details: str = ""


Measure = Callable[[bool], Measured]
"""Called with true for a quick measurement: one seed, fewer repeats.

Raises `FailedError` when there is nothing to measure.
"""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One claim.

    Attributes
    ----------
    row : str
        The line of the area's table that it belongs to.
    name : str
        What is claimed, unique within the area.
    wanted : str
        The bar, as words.
    command : str
        What anyone can run to see the figure.
    measure : callable
        Measures it.
    long : bool
        Left out of a quick run.
    """

    row: str
    name: str
    wanted: str
    command: str
    measure: Measure
    long: bool = False

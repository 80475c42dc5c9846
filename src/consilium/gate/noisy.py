"""Figures with noise: what leaves when a question asks for it, and what it costs.

Everything that leaves is worked out from noisy numbers, the decision whether
there are enough patients too. So the privacy loss is the question's epsilon
and nothing besides, one patient more or less being the difference (Dwork and
Roth 2014, definition 2.4). A patient with several rows counts with the first
of the cohort.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from consilium.gate.columns import Numbers, Rows, Table
from consilium.gate.grouping import Groups
from consilium.gate.noise import Draw, add_noise
from consilium.gate.questions import COUNT, MEAN, Question
from consilium.kernel.canonical import Json

UNITS = 1 << 20
"""A number's half range is counted in so many whole units."""


def draw_figures(
    question: Question, table: Table, rows: Rows, groups: tuple[Groups, ...], *, k: int, draw: Draw
) -> tuple[dict[str, Json], int]:
    """Return the figures of a question with noise, and how many patients they say there are.

    Parameters
    ----------
    rows : array of bool
        The question's cohort.
    groups : tuple of Groups
        All bins and categories; they do not depend on the data.
    k : int
        Counts below it are withheld; the noisy count is compared, not the true one.
    draw : callable
        The secret generator.
    """
    rows = _first_rows(table, rows)
    epsilon = Fraction(repr(question.epsilon))
    if question.statistic == COUNT:
        found = add_noise(int(rows.sum()), sensitivity=1, epsilon=epsilon, draw=draw)
        return {"patients": found, "rows": found}, found
    if question.statistic == MEAN:
        share = epsilon / (3 * len(question.variables))
        figures = {
            name: _mean(table.values[name][rows], question.find_edges(name), share, draw)
            for name in question.variables
        }
        told: dict[str, Json] = {"variables": figures}
        return told, int(min(one["n"] for one in figures.values()))
    return _counts(table, rows & table.observed(*question.variables), groups, epsilon, k, draw)


def _first_rows(table: Table, rows: Rows) -> Rows:
    places = np.flatnonzero(rows)
    _, firsts = np.unique(table.patients[places], return_index=True)
    found = np.zeros(table.rows, dtype=np.bool_)
    found[places[firsts]] = True
    return found


def _mean(
    values: Numbers, edges: tuple[float, ...], epsilon: Fraction, draw: Draw
) -> dict[str, float]:
    """Draw number, mean and spread of a variable whose values are kept within its bounds."""
    low, high = edges[0], edges[-1]
    middle, half = (low + high) / 2, (high - low) / 2
    known = np.clip(values[~np.isnan(values)], low, high)
    units = [int(one) for one in np.rint((known - middle) / half * UNITS)]
    squares = [one * one // UNITS for one in units]
    n = add_noise(len(units), sensitivity=1, epsilon=epsilon, draw=draw)
    total = add_noise(sum(units), sensitivity=UNITS, epsilon=epsilon, draw=draw)
    square = add_noise(sum(squares), sensitivity=UNITS, epsilon=epsilon, draw=draw)
    shown = max(n, 1)
    mean = min(max(total / shown / UNITS, -1.0), 1.0)
    spread = max(square / shown / UNITS - mean * mean, 0.0)
    return {"n": n, "mean": middle + half * mean, "m2": shown * spread * half * half}


def _counts(
    table: Table,
    rows: Rows,
    groups: tuple[Groups, ...],
    epsilon: Fraction,
    k: int,
    draw: Draw,
) -> tuple[dict[str, Json], int]:
    """Draw a count for each group or pair of groups; a patient is in one of them."""
    shape = tuple(len(one.members) for one in groups)
    labels = [one.label(table.values[one.column][rows]) for one in groups]
    flat = np.ravel_multi_index(tuple(labels), shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape)))
    noisy = [add_noise(int(one), sensitivity=1, epsilon=epsilon, draw=draw) for one in counts]
    shown: list[int | None] = [one if one >= k else None for one in noisy]
    width = shape[-1]
    table_: Json = (
        shown
        if len(shape) == 1
        else [shown[start : start + width] for start in range(0, len(shown), width)]
    )
    told: dict[str, Json] = {"groups": [one.describe() for one in groups], "counts": table_}
    return told, sum(noisy)

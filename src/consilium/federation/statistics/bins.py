"""Tables of several hospitals in one, and what they say of quantiles.

A hospital joins bins that hold too few patients, each hospital others. The
pooled table has the bins that all of them tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from consilium.gate.questions import Question

Figures = Mapping[str, Any]


def pool_table(question: Question, answers: Sequence[Figures]) -> dict[str, Any]:
    """Add up tables over the groups that every hospital tells apart.

    A count that a hospital withheld makes the pooled one unknown, too.

    Returns
    -------
    dict
        `groups`, for each variable its `edges` or `categories`, and `counts`.

    Discloses
    ---------
    Nothing.
    """
    common = [
        _common(question, name, [answer["groups"][place] for answer in answers])
        for place, name in enumerate(question.variables)
    ]
    shape = tuple(_size(one) for one in common)
    total = np.zeros(shape)
    for answer in answers:
        counts = np.array(answer["counts"], dtype=np.float64)  # withheld becomes NaN
        for place, group in enumerate(common):
            counts = _gather(counts, _places(answer["groups"][place], group), shape[place], place)
        total += counts
    shown = [None if np.isnan(one) else int(one) for one in total.ravel()]
    width = shape[-1]
    rows = [shown[start : start + width] for start in range(0, len(shown), width)]
    return {"groups": common, "counts": shown if len(shape) == 1 else rows}


def find_quantile(answers: Sequence[Figures], share: float) -> dict[str, Any]:
    """Say between which edges a quantile of all hospitals' patients lies.

    It holds for every usual definition of a quantile: both neighbouring values
    of the sorted data lie between the edges. None is an open end.

    Parameters
    ----------
    share : float
        Within [0, 1]; 0.5 is the median.

    Discloses
    ---------
    Nothing.
    """
    edges = sorted({edge for one in answers for edge in one["groups"][0]["edges"]})
    n = sum(sum(int(count or 0) for count in one["counts"]) for one in answers)
    place = (n - 1) * share
    first, last = math.floor(place), math.ceil(place)
    low = [edge for edge in edges if _below(answers, edge, most=True) <= first]
    high = [edge for edge in edges if _below(answers, edge, most=False) > last]
    return {
        "share": share,
        "from": low[-1] if low and n else None,
        "to": high[0] if high and n else None,
        "n": n,
    }


def _below(answers: Sequence[Figures], edge: float, *, most: bool) -> int:
    """Count the patients below an edge, at the most or at the least that is possible."""
    total = 0
    for one in answers:
        counts = [int(count or 0) for count in one["counts"]]
        sums = [0, *accumulate(counts)]
        edges = [-math.inf, *one["groups"][0]["edges"], math.inf]
        fitting = [sum_ for sum_, known in zip(sums, edges, strict=True) if known <= edge]
        above = [sum_ for sum_, known in zip(sums, edges, strict=True) if known >= edge]
        total += above[0] if most else fitting[-1]
    return total


def _common(
    question: Question, name: str, groups: Sequence[Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """Return the groups that all hospitals tell apart."""
    if question.get_column(name).kind == "number":
        return {"edges": sorted(set.intersection(*(set(one["edges"]) for one in groups)))}
    joined: list[set[str]] = [{one} for one in question.get_column(name).categories]
    for group in (set(group) for one in groups for group in one["categories"]):
        touching = [one for one in joined if one & group]
        joined = [one for one in joined if not one & group]
        joined.append(set().union(*touching))
    order = question.get_column(name).categories
    lists = [sorted(one, key=order.index) for one in joined]
    return {"categories": sorted(lists, key=lambda one: order.index(one[0]))}


def _size(group: Mapping[str, Any]) -> int:
    return len(group["edges"]) + 1 if "edges" in group else len(group["categories"])


def _places(own: Mapping[str, Any], common: Mapping[str, Any]) -> list[int]:
    """Say into which common group each of a hospital's groups falls."""
    if "edges" in own:
        ends = [*own["edges"], math.inf]
        return [sum(1 for edge in common["edges"] if edge < end) for end in ends]
    homes = {one: place for place, group in enumerate(common["categories"]) for one in group}
    return [homes[group[0]] for group in own["categories"]]


def _gather(counts: Any, places: Sequence[int], size: int, axis: int) -> Any:
    """Add up along one axis what falls into the same place."""
    moved = np.moveaxis(counts, axis, 0)
    found = np.zeros((size, *moved.shape[1:]))
    for place, row in zip(places, moved, strict=True):
        found[place] += row
    return np.moveaxis(found, 0, axis)

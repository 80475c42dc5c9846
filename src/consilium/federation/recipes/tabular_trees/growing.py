"""One boosting step of a site: XGBoost grows the trees, small leaves are cut off.

Values in a leaf tell about those in it. So a leaf holds at least `min_leaf`
cases, by a bound on XGBoost's own measure of weight, and at least `min_leaf`
different patients, by counting afterwards and cutting.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from consilium.federation.contract import Matrix, Vector
from consilium.federation.recipes.tabular_trees.forest import (
    Block,
    ForestShape,
    Nodes,
    find_leaves,
)
from consilium.federation.recipes.tabular_trees.losses import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of `recipe.toml`, typed."""

    learning_rate: float = 0.3
    max_depth: int = 3
    min_leaf: int = 10
    l2: float = 1.0
    trees: int = 256


def grow(
    x: Matrix,
    y: Vector,
    margin: Matrix,
    *,
    group: npt.NDArray[np.int64],
    loss: Loss,
    settings: Settings,
) -> dict[str, Matrix]:
    """Grow the next tree of each output on one site's cases.

    Parameters
    ----------
    x : array of shape (n, inputs), float64
        Missing as NaN: XGBoost learns a side for them at each split.
    y : array of shape (n,), float64
    margin : array of shape (n, outputs), float64
        What the forest says so far; the trees are grown on what it misses.
    group : array of shape (n,), int64
        Patients.

    Returns
    -------
    dict
        A block of shape (outputs, nodes); see `forest`.

    Discloses
    ---------
    Thresholds are values of this site's patients, or lie between two; a leaf
    is a step of the mean error of at least `min_leaf` patients. The gate judges
    them like weights.

    Sources
    -------
    Chen, Guestrin, KDD 2016, arXiv:1603.02754 (trees, missing values).
    """
    block = ForestShape(1, loss.outputs, settings.max_depth).block()
    slope, bend = loss.derivatives(y, margin)
    rows = x.astype(np.float32).astype(np.float64)
    for output, tree in enumerate(_boost(x, y, margin, loss=loss, settings=settings)):
        found = {part: block[part][output] for part in block}
        _write(tree, found)
        _cut(found, rows, group, slope[:, output], bend[:, output], settings)
    return block


def level(
    y: Vector, *, group: npt.NDArray[np.int64], loss: Loss, settings: Settings
) -> dict[str, Matrix]:
    """Return a tree without splits that says the mean of a number: a forest's first.

    Boosting from 0 would spend its first trees on the mean, and the pull of the
    leaves to 0 would keep them from splitting at all.

    Discloses
    ---------
    The mean of the target over the site's training part, of at least
    `min_leaf` patients; else nothing.
    """
    block = ForestShape(1, loss.outputs, settings.max_depth).block()
    if len(np.unique(group)) >= settings.min_leaf:
        block["leaf"][:, 0] = y.mean()
    return block


def _boost(
    x: Matrix, y: Vector, margin: Matrix, *, loss: Loss, settings: Settings
) -> list[dict[str, Any]]:
    """Run XGBoost for one round; return its trees as plain records."""
    data = xgboost.DMatrix(x.astype(np.float32), label=y)
    data.set_base_margin(margin if loss.outputs > 1 else margin[:, 0])
    booster = xgboost.train(
        {
            **loss.parameters,
            "eta": settings.learning_rate,
            "max_depth": settings.max_depth,
            "lambda": settings.l2,
            # No case weighs more than this in XGBoost's sum over a leaf: so
            # the sum bounds the number of cases from below.
            "min_child_weight": loss.heaviest * settings.min_leaf,
            "tree_method": "hist",
            "nthread": 1,
            "verbosity": 0,
        },
        data,
        num_boost_round=1,
    )
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    return list(model["trees"])


def _write(tree: dict[str, Any], found: Block, node: int = 0, place: int = 0) -> None:
    """Write XGBoost's node `node` and all below it at `place`."""
    if tree["left_children"][node] < 0:
        found["leaf"][place] = tree["split_conditions"][node]
        return
    found["split"][place] = tree["split_indices"][node] + 1
    found["threshold"][place] = np.float32(tree["split_conditions"][node])
    found["missing_left"][place] = tree["default_left"][node]
    _write(tree, found, tree["left_children"][node], 2 * place + 1)
    _write(tree, found, tree["right_children"][node], 2 * place + 2)


def _cut(
    found: Block,
    rows: Matrix,
    group: npt.NDArray[np.int64],
    slope: Vector,
    bend: Vector,
    settings: Settings,
) -> None:
    """Undo splits with too few patients on a side, from the leaves up.

    What becomes a leaf gets XGBoost's value for all cases in it: -η G / (H + λ).
    """
    ends = find_leaves(rows, found)
    for place in reversed(range(len(found["split"]))):
        if not found["split"][place]:
            continue
        sides = [_is_below(ends, 2 * place + side) for side in (1, 2)]
        if all(len(np.unique(group[side])) >= settings.min_leaf for side in sides):
            continue
        inside = sides[0] | sides[1]
        _clear(found, place)
        weight = float(slope[inside].sum() / (bend[inside].sum() + settings.l2 + 1e-16))
        found["leaf"][place] = np.float32(-settings.learning_rate * weight)
        ends = np.where(inside, place, ends)
    if len(np.unique(group)) < settings.min_leaf:
        _clear(found, 0)


def _clear(found: Block, place: int) -> None:
    """Empty a place and all below it."""
    first, width = place, 1
    while first < len(found["split"]):
        for part in found.values():
            part[first : first + width] = 0.0
        first, width = 2 * first + 1, 2 * width


def _is_below(ends: Nodes, place: int) -> npt.NDArray[np.bool_]:
    """Say of each case whether it ends at a place or below it."""
    at = ends.copy()
    below: npt.NDArray[np.bool_] = ends == place
    while (at > place).any():
        at = np.where(at > place, (at - 1) // 2, at)
        below |= at == place
    return below

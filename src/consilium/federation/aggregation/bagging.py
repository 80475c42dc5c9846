"""Bagging: the sites' trees of a round stand side by side in the forest.

A model has the arrays `forest.NAME` (places first), `forest.count` (how many
places are taken) and `fresh.NAME` (one site's new trees; zeros in a global
model). The rule knows nothing else of trees: it moves each site's fresh arrays
to the next free place, sites in sorted order, and weighs what the leaves say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.records import (
    Aggregated,
    Contribution,
    Contributions,
    Rule,
)
from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

FRESH, FOREST = "fresh.", "forest."
LEAF, COUNT = "fresh.leaf", "forest.count"


def gather_trees(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Stack the sites' trees, sites in sorted order, and weigh their leaves.

    The weights sum to 1, so a round's trees together are one step, however
    many sites took part.

    Parameters
    ----------
    contributions : mapping of participant to Contribution
    settings : mapping
        `weights`: `cases` gives a site p_i = n_i / Σn, `equal` 1 / K.

    Returns
    -------
    dict
        Each fresh array with a first axis over the sites.

    Raises
    ------
    InputError
        `federation.bad_update` when the model is no forest.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.

    Sources
    -------
    Breiman, Machine Learning 24, 1996 (bagging). Boosting with the sites' trees
    of a round side by side is known from NVIDIA FLARE's tree-based XGBoost.
    """
    parts = [contributions[site] for site in sorted(contributions)]
    if LEAF not in parts[0].update or COUNT not in parts[0].update:
        raise InputError("federation.bad_update", site="all", reason="the model is no forest")
    names = sorted(name for name in parts[0].update if name.startswith(FRESH))
    stacked = {name: np.stack([part.update[name] for part in parts]) for name in names}
    weights = _weights(parts, settings["weights"])
    leaf = stacked[LEAF].astype(np.float64)
    return stacked | {LEAF: leaf * weights.reshape(-1, *[1] * (leaf.ndim - 1))}


def plant_trees(
    model: Arrays, update: Arrays, state: Arrays, settings: Mapping[str, Any]
) -> Aggregated:
    """Put stacked trees into the next free places of the forest.

    Raises
    ------
    InputError
        `federation.bad_update` when there are fewer places than trees.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    del state, settings
    first = int(model[COUNT][0])
    last = first + len(update[LEAF])
    planted = {name: array.copy() for name, array in sorted(model.items())}
    if last > len(model[f"{FOREST}leaf"]):
        raise InputError("federation.bad_update", site="all", reason="the forest has no place left")
    for name, trees in update.items():
        planted[FOREST + name.removeprefix(FRESH)][first:last] = trees
    planted[COUNT] = np.full_like(model[COUNT], last)
    return Aggregated(model=planted, state={})


def _weights(parts: list[Contribution], kind: str) -> Matrix:
    cases = np.array([part.n if kind == "cases" else 1 for part in parts], dtype=np.float64)
    share: Matrix = cases / cases.sum()
    return share


_SETTINGS = (
    Setting(
        name="weights",
        kind="choice",
        default="cases",
        choices=("cases", "equal"),
        meaning="Sites' trees weigh by their cases, or all the same.",
    ),
)

BAGGING = (Rule(name="bagging", combine=gather_trees, step=plant_trees, schema=_SETTINGS),)

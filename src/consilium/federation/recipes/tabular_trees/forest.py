"""A forest as arrays of fixed shape: what travels, and how it predicts.

A tree is a full binary tree written as a row: the children of node k are nodes
2k + 1 and 2k + 2. So no array says where a child is, every tree of one depth
has the same shape, and nothing but numbers leaves or arrives.

Each array has two parts in a model: `forest.NAME` of shape (trees, outputs,
nodes) holds what was put together so far, `fresh.NAME` of shape (outputs,
nodes) the trees of one site and one round. `forest.count` of shape (1,) says how
many places of the forest are taken. Everything is float64; zeros are the tree
that says 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Matrix, Vector
from consilium.models.weights import Arrays

PARTS = ("leaf", "missing_left", "split", "threshold")
"""`split` is the column plus 1, 0 for a leaf; a case goes left if it is below
`threshold`, or missing and `missing_left` is 1; `leaf` is what a leaf adds."""

COUNT = "forest.count"

Nodes = npt.NDArray[np.intp]
"""A node for each case."""

Block = Mapping[str, Matrix]
"""Arrays by the names of `PARTS`."""


@dataclass(frozen=True, slots=True)
class ForestShape:
    """How many trees a model has room for, for how many outputs, and how deep they are."""

    trees: int
    outputs: int
    depth: int

    @property
    def nodes(self) -> int:
        """Places of a tree."""
        return int(2 ** (self.depth + 1) - 1)

    def empty(self) -> dict[str, Matrix]:
        """Return the arrays of a forest without trees."""
        arrays = {COUNT: np.zeros(1)}
        for part in PARTS:
            arrays[f"forest.{part}"] = np.zeros((self.trees, self.outputs, self.nodes))
            arrays[f"fresh.{part}"] = np.zeros((self.outputs, self.nodes))
        return arrays

    def block(self) -> dict[str, Matrix]:
        """Return a round's trees that say 0."""
        return {part: np.zeros((self.outputs, self.nodes)) for part in PARTS}


def shape_of(model: Arrays) -> ForestShape:
    """Read a forest's shape off its arrays.

    Discloses
    ---------
    Nothing: it sees shapes.
    """
    trees, outputs, nodes = model["forest.leaf"].shape
    return ForestShape(trees, outputs, int(nodes + 1).bit_length() - 2)


def settle(model: Arrays) -> dict[str, Matrix]:
    """Move fresh trees into the forest: what a site alone does between its rounds.

    Where no place is left, they stay fresh.

    Discloses
    ---------
    Nothing by itself.
    """
    place = int(model[COUNT][0])
    if not is_fresh(model) or place >= len(model["forest.leaf"]):
        return dict(model)
    settled = {name: array.copy() for name, array in model.items()}
    for part in PARTS:
        settled[f"forest.{part}"][place] = settled[f"fresh.{part}"]
        settled[f"fresh.{part}"][:] = 0.0
    settled[COUNT] = settled[COUNT] + 1
    return settled


def is_fresh(model: Arrays) -> bool:
    """Say whether a model holds trees that are not in its forest yet.

    Discloses
    ---------
    Nothing by itself.
    """
    return any(model[f"fresh.{part}"].any() for part in PARTS)


def margins(x: Matrix, model: Arrays) -> Matrix:
    """Add up what every tree says of every case.

    Parameters
    ----------
    x : array of shape (n, inputs), float64
        Inputs as the trees were grown on; missing as NaN. Compared as float32,
        like XGBoost does.

    Returns
    -------
    array of shape (n, outputs), float64

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    rows = x.astype(np.float32).astype(np.float64)
    blocks = [
        {part: model[f"forest.{part}"][place] for part in PARTS}
        for place in range(int(model[COUNT][0]))
    ]
    if is_fresh(model):
        blocks.append({part: model[f"fresh.{part}"] for part in PARTS})
    total = np.zeros((len(x), model["fresh.leaf"].shape[0]))
    for block in blocks:
        for output in range(total.shape[1]):
            tree = {part: block[part][output] for part in PARTS}
            total[:, output] += tree["leaf"][find_leaves(rows, tree)]
    return total


def find_leaves(rows: Matrix, tree: Mapping[str, Vector]) -> Nodes:
    """Return the node at which each case ends, shape (n,), as int.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    node = np.zeros(len(rows), dtype=np.intp)
    cases = np.arange(len(rows))
    for _ in range(int(len(tree["split"]) + 1).bit_length() - 2):
        split = tree["split"][node].astype(np.intp)
        value = rows[cases, np.maximum(split - 1, 0)]
        missing = np.isnan(value)
        left = np.where(missing, tree["missing_left"][node] == 1.0, value < tree["threshold"][node])
        node = np.where(split > 0, 2 * node + np.where(left, 1, 2), node)
    return node

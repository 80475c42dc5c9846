"""From columns to inputs: indicator columns for categories, scaling per site.

The number of inputs follows from the study's features alone, so every site has
the same. By default the scaling follows from each site's own training part, so
no mean or spread is ever shared. The scaling `shared` travels in the model
instead: its first round averages each site's moments, so that a hospital
without cases of its own can use the model, and differences between hospitals
stay visible to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from consilium.federation.contract import Cases, Matrix, Needs, Prepared, Vector
from consilium.gate.orders import FieldNeed
from consilium.models.weights import Arrays

MOMENTS = ("input_mean", "input_present", "input_square")
"""Arrays of a model that carries its scaling, each of shape (inputs,), float64."""


def count_inputs(features: Sequence[FieldNeed]) -> int:
    """Count the inputs: one for a number, one less than its categories for a category.

    Discloses
    ---------
    Nothing: it sees names and categories, no data.
    """
    return sum(_width(need) for need in features)


def expand(x: Matrix, features: Sequence[FieldNeed]) -> Matrix:
    """Turn each category into indicators, its first category left out.

    Parameters
    ----------
    x : array of shape (n, len(features)), float64
        Categories as index; missing as NaN.

    Returns
    -------
    array of shape (n, count_inputs(features)), float64
        A missing category is missing in all its indicators.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    blocks = [_block(x[:, place], need) for place, need in enumerate(features)]
    return np.concatenate(blocks, axis=1) if blocks else np.empty((len(x), 0))


def prepare_inputs(train: Cases, held_out: Cases, *, needs: Needs, scaling: str) -> Prepared:
    """Make indicators, and z-scores learnt from `train` where the scaling is the site's own.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    parts = [expand(cases.x, needs.columns) for cases in (train, held_out)]
    if scaling == "site":
        learnt = learn_scaling(parts[0])
        parts = [learnt.apply(inputs) for inputs in parts]
    return Prepared(train=replace(train, x=parts[0]), held_out=replace(held_out, x=parts[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Mean and spread of each input over one site's training part."""

    mean: Vector
    spread: Vector

    def apply(self, inputs: Matrix) -> Matrix:
        """Scale to z-scores; what is missing becomes 0, the site's own mean."""
        scaled: Matrix = (inputs - self.mean) / self.spread
        return np.where(np.isnan(scaled), 0.0, scaled)


def learn_scaling(inputs: Matrix) -> Scaling:
    """Learn z-scores; an input that never varies, or is always missing, becomes 0.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    present = ~np.isnan(inputs)
    count = np.maximum(present.sum(axis=0), 1)
    known = np.where(present, inputs, 0.0)
    mean = known.sum(axis=0) / count
    spread = np.sqrt((np.where(present, inputs - mean, 0.0) ** 2).sum(axis=0) / count)
    # Rounding can leave a constant column with a spread of 1e-16: that is no spread.
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
    return Scaling(mean=mean, spread=np.where(varies, spread, 1.0))


def no_moments(width: int) -> dict[str, Matrix]:
    """Return the moments of a model that has not learnt its scaling yet.

    Discloses
    ---------
    Nothing: zeros.
    """
    return {name: np.zeros(width) for name in MOMENTS}


def lacks_scaling(model: Arrays) -> bool:
    """Say whether a model is to carry its scaling and has not learnt it yet.

    Discloses
    ---------
    Nothing by itself.
    """
    return "input_present" in model and not np.any(model["input_present"])


def scale_inputs(inputs: Matrix, model: Arrays) -> Matrix:
    """Scale inputs by the model's own moments, if it carries any.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    return read_moments(model).apply(inputs) if "input_present" in model else inputs


def take_moments(inputs: Matrix) -> dict[str, Matrix]:
    """Return share present, sum and sum of squares of each input, all divided by n.

    So the sites' moments, averaged by cases, are those of all cases together,
    whoever misses what.

    Parameters
    ----------
    inputs : array of shape (n, d), float64
        Missing as NaN; n is at least 1.

    Discloses
    ---------
    Three figures for each input over a site's whole training part: this is
    what `scaling = "shared"` costs. The gate judges them like weights.
    """
    present = ~np.isnan(inputs)
    known = np.where(present, inputs, 0.0)
    return {
        "input_mean": known.mean(axis=0),
        "input_present": present.mean(axis=0),
        "input_square": (known**2).mean(axis=0),
    }


def read_moments(arrays: Arrays) -> Scaling:
    """Turn a model's moments into z-scores; an input that never varies becomes 0.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    share = np.maximum(arrays["input_present"], 1e-12)
    mean = arrays["input_mean"] / share
    variance = np.maximum(arrays["input_square"] / share - mean**2, 0.0)
    # A difference of squares keeps half the digits: less than that is no spread.
    varies = variance > 1e-12 * np.maximum(1.0, mean**2)
    return Scaling(mean=mean, spread=np.where(varies, np.sqrt(variance), 1.0))


def _width(need: FieldNeed) -> int:
    return max(0, len(need.categories) - 1) if need.kind == "category" else 1


def _block(column: Vector, need: FieldNeed) -> Matrix:
    if need.kind != "category":
        return column[:, None]
    others = np.arange(1, len(need.categories))
    block: Matrix = (column[:, None] == others).astype(np.float64)
    block[np.isnan(column)] = np.nan
    return block

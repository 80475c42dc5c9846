"""FedAP: every hospital's model is a mean that listens most to hospitals like it.

How alike two hospitals are is read off the mean and variance of what each
normalisation layer of one common model is given on their data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

Vector = npt.NDArray[np.float64]
Statistics = Sequence[tuple[Vector, Vector]]
"""Channel means and variances of each normalisation layer's input, first layer first."""
Weights = Mapping[ParticipantId, Mapping[ParticipantId, float]]
"""W: for each hospital how much its model takes from every one; sums to 1."""

NEAREST = 1e-12
"""A distance counts as at least this, so that two hospitals alike in all can be weighed."""


def site_distance(one: Statistics, other: Statistics) -> float:
    """Return d = Σ over layers of √(‖μ - μ'‖² + ‖√v - √v'‖²).

    Parameters
    ----------
    one, other : sequence of (mean, variance), each of shape (channels,)
        Variances 0 or more.

    Discloses
    ---------
    Nothing new: it runs where the statistics already are.
    """
    return math.fsum(
        math.sqrt(
            float(np.sum((mean - mean_2) ** 2))
            + float(np.sum((np.sqrt(variance) - np.sqrt(variance_2)) ** 2))
        )
        for (mean, variance), (mean_2, variance_2) in zip(one, other, strict=True)
    )


def similarity_weights(
    statistics: Mapping[ParticipantId, Statistics], *, own: float
) -> dict[ParticipantId, dict[ParticipantId, float]]:
    """Return FedAP's W: W_ii = m, W_ij = (1 - m) (1/d_ij) / Σ over k ≠ i of (1/d_ik).

    Parameters
    ----------
    statistics : mapping of participant to statistics
        Under one common model. A hospital alone has W = 1.
    own : float
        m, what a hospital's own weights count in its model: 0 to 1. Published
        with .3 and .5.

    Raises
    ------
    InputError
        `federation.bad_setting`.

    Discloses
    ---------
    Nothing new: it runs where the statistics already are. To get there, each
    hospital tells means and variances over all its training cases: aggregates
    that fall under its minimum cohort and privacy budget.

    Sources
    -------
    Lu et al., IEEE Trans Big Data 2022, arXiv:2112.00734 (FedAP, AdaFed).
    """
    if not 0 <= own <= 1:
        raise InputError(
            "federation.bad_setting", owner="fedap", setting="own", allowed="number >= 0 <= 1"
        )
    sites, weights = sorted(statistics), {}
    for site in sites:
        near = {
            other: 1.0 / max(site_distance(statistics[site], statistics[other]), NEAREST)
            for other in sites
            if other != site
        }
        total = math.fsum(near.values())
        row = {other: (1 - own) * value / total for other, value in near.items()}
        weights[site] = {site: own if near else 1.0, **row}
    return weights


def personal_models(
    models: Mapping[ParticipantId, Arrays], weights: Weights
) -> dict[ParticipantId, dict[str, npt.NDArray[np.float64]]]:
    """Return each hospital's next model: w_i = Σ W_ij w_j, sites in sorted order, float64.

    Parameters
    ----------
    models : mapping of participant to arrays
        What each hospital shares: without its normalisation layers (`split_arrays`).
    weights : mapping of participant to mapping of participant to float
        Of `similarity_weights`.

    Discloses
    ---------
    Nothing new: it runs at the hub, on what the sites' gates have let out. The
    hub must see each hospital's model by itself.
    """
    sites = sorted(models)
    names = sorted(models[sites[0]])
    return {
        site: {
            name: sum(
                (weights[site][other] * models[other][name] for other in sites),
                start=np.zeros(models[site][name].shape),
            )
            for name in names
        }
        for site in sites
    }

"""Ditto: each site has a model of its own, held near the shared one by a pull."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def pulled_slope(slope: Array, weights: Array, *, anchor: Array, strength: float) -> Array:
    """Add to a slope that of strength/2 ‖weights - anchor‖².

    Parameters
    ----------
    slope : array, float64
        Slope of the site's own loss in `weights`.
    weights, anchor : array of the same shape, float64
        The weights that move, and those they are held near.
    strength : float
        λ of Ditto or μ of FedProx; 0 or more.

    Discloses
    ---------
    Nothing: the result stays in the job process.

    Sources
    -------
    Li, Hu, Beirami, Smith, ICML 2021, arXiv:2012.04221, algorithm 1 (Ditto);
    Li et al., MLSys 2020, arXiv:1812.06127 (FedProx; squared norm).
    """
    pulled: Array = slope + strength * (weights - anchor)
    return pulled

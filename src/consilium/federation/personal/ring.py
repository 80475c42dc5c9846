"""The ring: a model goes from hospital to hospital; no hub adds anything up.

Cyclic transfer hands the weights on; cyclic distillation (MetaFed) hands on a
teacher, and a hospital whose own model is good already keeps its weights and
learns only to see with the teacher's eyes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from consilium.federation.personal.splitting import split_arrays
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

Array = npt.NDArray[np.float64]

POOR = 0.5
"""A teacher below this score, and no better than its pupil, teaches nothing."""


def ring_order(sites: Collection[ParticipantId], *, seed: int) -> list[ParticipantId]:
    """Return who hands on to whom: one order for all rounds, the last to the first.

    Discloses
    ---------
    Nothing: it sees names alone.
    """
    names = sorted(sites)
    return [names[place] for place in np.random.default_rng(seed).permutation(len(names))]


def pass_on(teacher: Arrays, own: Arrays, *, local: Collection[str]) -> Arrays:
    """Return what a hospital begins with: the one before's weights, its own local arrays.

    Parameters
    ----------
    teacher, own : mapping of str to array
        Whole models of the same layout.
    local : collection of str
        Parts of names that stay at each hospital; none hands all on.

    Discloses
    ---------
    Nothing by itself. On a ring each hospital sees the model of the one before
    it, unmixed: more than under a hub that only adds up.

    Sources
    -------
    Chang et al., JAMIA 25(8), 2018 (cyclic weight transfer); Chen et al.,
    arXiv:2206.08516 (MetaFed; local normalisation).
    """
    return {**split_arrays(teacher, local).shared, **split_arrays(own, local).local}


def feature_slope(features: Array, taught: Array, *, rows: Array, strength: Array) -> Array:
    """Return the slope of strength · MSE(features, taught) in the features.

    The mean is over a batch's rows and the features' width.

    Parameters
    ----------
    features, taught : array of shape (M, B, width), float64
        Penultimate features of pupil and teacher for the same cases, M pairs.
    rows : array of shape (M, B), float64
        Weight of each row: 1/n, 0 for padding.
    strength : array of shape (M,), float64
        λ, 0 or more.

    Discloses
    ---------
    Nothing: it all stays in the job process.

    Sources
    -------
    Chen et al., arXiv:2206.08516, accumulation stage.
    """
    scale = 2.0 * strength[:, None] * rows / features.shape[2]
    slope: Array = scale[:, :, None] * (features - taught)
    return slope


def teaching_strength(
    teacher: Sequence[float], own: Sequence[float], *, base: float
) -> npt.NDArray[np.float64]:
    """Return MetaFed's λ for the last pass, from scores on each pupil's validation part.

    λ = 0 where the teacher is no better than the pupil and below one half;
    else base · 10^min(1, 5 (v_T - v)) / 10.

    Parameters
    ----------
    teacher, own : sequence of float
        Accuracy of the teacher and of each pupil, 0 to 1.
    base : float
        λ0, 0 or more.

    Discloses
    ---------
    Nothing: each hospital computes its own.

    Sources
    -------
    Chen et al., arXiv:2206.08516, personalisation stage.
    """
    taught, known = np.asarray(teacher, dtype=np.float64), np.asarray(own, dtype=np.float64)
    strength = base * 10.0 ** np.minimum(1.0, 5.0 * (taught - known)) / 10.0
    return np.where((taught <= known) & (taught < POOR), 0.0, strength)

"""Averaging by cases, and the plain step: FedAvg and FedProx.

Notation of every rule: sites i = 1..K with n_i cases, p_i = n_i / Σn, update
Δ_i, combined update Δ, global weights w.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from consilium.federation.aggregation.records import (
    Aggregated,
    Contribution,
    Contributions,
    Rule,
)
from consilium.federation.contract import Matrix
from consilium.federation.modules import is_lacking
from consilium.models.weights import Arrays


def mean_update(contributions: Contributions) -> dict[str, Matrix]:
    """Return Δ = Σ p_i Δ_i, sites in sorted order, float64.

    An array of a modality's encoder is averaged over the sites that have the
    modality; where none of a round's has it, it stays as it is.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    parts = [contributions[site] for site in sorted(contributions)]
    return {name: _mean_array(name, parts) for name in sorted(parts[0].update)}


def _mean_array(name: str, parts: Sequence[Contribution]) -> Matrix:
    mean = np.zeros(parts[0].update[name].shape)
    owners = [part for part in parts if not is_lacking(name, part.lacks)]
    total = float(sum(part.n for part in owners))
    for part in owners:
        mean += (part.n / total) * part.update[name].astype(np.float64)
    return mean


def by_cases(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Combine by cases, whatever the settings.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    del settings
    return mean_update(contributions)


def add_update(
    model: Arrays, update: Arrays, state: Arrays, settings: Mapping[str, Any]
) -> Aggregated:
    """Add the combined update: w ← w + Δ. No memory.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    del state, settings
    return Aggregated(model={name: model[name] + update[name] for name in sorted(model)}, state={})


AVERAGING = (
    Rule(name="fedavg", combine=by_cases, step=add_update),
    Rule(name="fedprox", combine=by_cases, step=add_update),
)
"""FedProx differs from FedAvg at the sites only (`proximal_mu`)."""

"""Averaging by cases, and the plain step: FedAvg and FedProx.

Notation of every rule: sites i = 1..K with n_i cases, p_i = n_i / Σn, update
Δ_i, combined update Δ, global weights w.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.records import (
    Aggregated,
    Contributions,
    Rule,
)
from consilium.federation.contract import Matrix
from consilium.models.weights import Arrays


def mean_update(contributions: Contributions) -> dict[str, Matrix]:
    """Return Δ = Σ p_i Δ_i, sites in sorted order, float64.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    parts = [contributions[site] for site in sorted(contributions)]
    total = float(sum(part.n for part in parts))
    names = sorted(parts[0].update)
    mean = {name: np.zeros(parts[0].update[name].shape) for name in names}
    for part in parts:
        for name in names:
            mean[name] += (part.n / total) * part.update[name].astype(np.float64)
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

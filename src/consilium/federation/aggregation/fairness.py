"""Fairness between sites: q-FedAvg lets the sites that fare worst weigh more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.averaging import add_update
from consilium.federation.aggregation.records import Contributions, Rule
from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting
from consilium.models.weights import Arrays

SMALLEST_LOSS = 1e-10
"""A loss is taken as at least this, so that a site without any loss has a weight."""


def fair_update(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Return the step of q-FedAvg, sites in sorted order.

    With F_i the loss before training and L the setting `lipschitz`:
    Δ = Σ p_i F_i^q Δ_i / Σ p_i F_i^q (1 + q L ‖Δ_i‖² / F_i). This is the
    published step with both sums divided by L. `q` = 0 is FedAvg; `lipschitz`
    = 0 leaves the weights p_i F_i^q without the published shortening.

    Parameters
    ----------
    contributions : mapping of participant to Contribution
        Each with its `loss`: finite, 0 or more.
    settings : mapping
        `q` and `lipschitz`, both 0 or more.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out. The loss
    before training leaves each hospital under every rule.

    Sources
    -------
    Li, Sanjabi, Beirami, Smith, ICLR 2020, arXiv:1905.10497, algorithm 2. There
    sites are drawn with probability p_i; here all take part, weighted by p_i.
    """
    q, lipschitz = settings["q"], settings["lipschitz"]
    parts = [contributions[site] for site in sorted(contributions)]
    losses = [max(part.loss or 0.0, SMALLEST_LOSS) for part in parts]
    cases, largest = float(sum(part.n for part in parts)), max(losses)
    mean = {name: np.zeros(array.shape) for name, array in sorted(parts[0].update.items())}
    total = 0.0
    for part, loss in zip(parts, losses, strict=True):
        # Both sums are divided by the largest F^q, so that no power overflows.
        weight = part.n / cases * (loss / largest) ** q
        total += weight * (1 + q * lipschitz * squared_length(part.update) / loss)
        for name in sorted(mean):
            mean[name] += weight * part.update[name].astype(np.float64)
    return {name: array / total for name, array in mean.items()}


def squared_length(update: Arrays) -> float:
    """Return ‖Δ‖² over all arrays together; infinite where float64 ends.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    with np.errstate(over="ignore"):
        return sum(
            float(np.sum(np.square(update[name].astype(np.float64)))) for name in sorted(update)
        )


_SETTINGS = (
    Setting(
        name="q",
        kind="number",
        default=1.0,
        least=0,
        most=10,
        meaning="How much the sites with the greatest loss are favoured; 0 is FedAvg.",
    ),
    Setting(
        name="lipschitz",
        kind="number",
        default=1.0,
        least=0,
        most=1e6,
        meaning="Shortens steps; published as 1 / learning rate. 0 weighs without shortening.",
    ),
)

FAIRNESS = (
    Rule(name="qfedavg", combine=fair_update, step=add_update, schema=_SETTINGS, needs_loss=True),
)

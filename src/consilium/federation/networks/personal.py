"""What is shared and what a hospital keeps: local batch norms, the personal model.

Kept arrays carry their purpose in front of their name: `local.` for batch
normalisation that belongs to the site (FedBN), `personal.` for its own model
(Ditto). Nothing that is kept leaves.
"""

from __future__ import annotations

from collections.abc import Collection

from consilium.federation.networks.weights import Floats
from consilium.models.weights import Arrays

LOCAL = "local."
PERSONAL = "personal."


def shared_part(weights: Arrays, own: Collection[str]) -> dict[str, Floats]:
    """Return the arrays that go to the hub: all but the site's own.

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.
    """
    return {name: weights[name] for name in sorted(weights) if name not in own}


def local_part(weights: Arrays, own: Collection[str]) -> dict[str, Floats]:
    """Return the site's own arrays of the shared network, ready to be kept.

    Discloses
    ---------
    Nothing: what is kept stays in the hospital.
    """
    return {f"{LOCAL}{name}": weights[name] for name in sorted(own)}


def personal_part(weights: Arrays) -> dict[str, Floats]:
    """Return a personal model, ready to be kept.

    Discloses
    ---------
    Nothing: what is kept stays in the hospital.
    """
    return {f"{PERSONAL}{name}": weights[name] for name in sorted(weights)}


def kept_part(kept: Arrays, purpose: str) -> dict[str, Floats]:
    """Return the kept arrays of one purpose, by the network's names.

    Discloses
    ---------
    Nothing.
    """
    found = sorted(name for name in kept if name.startswith(purpose))
    return {name.removeprefix(purpose): kept[name] for name in found}


def serving_arrays(shared: Arrays, kept: Arrays) -> dict[str, Floats]:
    """Return the weights a hospital answers with.

    Its personal model if it keeps one; else the shared model with its own
    batch norms; else the shared model alone.

    Discloses
    ---------
    Nothing: the answers stay in the job process.
    """
    return kept_part(kept, PERSONAL) or {**shared, **kept_part(kept, LOCAL)}

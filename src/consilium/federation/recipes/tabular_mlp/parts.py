"""Which arrays a hospital shares and which it keeps, by the study's settings.

norm = "local_batch"     keeps hiddenN.norm.*               (FedBN)
personal = "ditto"       keeps personal.*, a whole model    (Ditto)
"""

from __future__ import annotations

from collections.abc import Mapping

from consilium.federation.contract import Tensor
from consilium.federation.personal import NORMALISATION, split_arrays
from consilium.federation.recipes.tabular_mlp.network import Layout, fresh_norms
from consilium.federation.recipes.tabular_mlp.settings import Settings
from consilium.models.weights import Arrays

PERSONAL = "personal."


def whole_model(arrays: Arrays, kept: Arrays, settings: Settings) -> dict[str, Tensor]:
    """Join the shared arrays with the hospital's own normalisation, fresh where it has none.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    if settings.norm == "none":
        return dict(arrays)
    own = {name: array for name, array in kept.items() if not name.startswith(PERSONAL)}
    return {**fresh_norms(_widths(arrays)), **arrays, **own}


def personal_model(kept: Arrays) -> dict[str, Tensor]:
    """Return the hospital's personal model; empty where it has none.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    return {
        name.removeprefix(PERSONAL): array
        for name, array in kept.items()
        if name.startswith(PERSONAL)
    }


def shared_part(model: Arrays, settings: Settings) -> Arrays:
    """Return what may leave in an update.

    Discloses
    ---------
    Nothing by itself: the gate judges it before it leaves.
    """
    return split_arrays(model, _local(settings)).shared


def kept_part(model: Arrays, own: Arrays, settings: Settings) -> Arrays:
    """Return what the hospital keeps: its local arrays, and its personal model if it has one.

    Discloses
    ---------
    Nothing: it never leaves the hospital.
    """
    personal: Mapping[str, Tensor] = {f"{PERSONAL}{name}": own[name] for name in sorted(own)}
    return {**split_arrays(model, _local(settings)).local, **personal}


def _local(settings: Settings) -> frozenset[str]:
    return NORMALISATION if settings.norm == "local_batch" else frozenset()


def _widths(arrays: Arrays) -> list[int]:
    hidden = Layout.of(arrays).hidden
    return [arrays[f"hidden{place}.bias"].shape[0] for place in range(1, hidden + 1)]

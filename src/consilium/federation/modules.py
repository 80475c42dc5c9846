"""Modules of a model: which arrays belong to which modality.

An array named `MODALITY.rest` is part of that modality's encoder. Hospitals
without the modality train nothing there, so it is averaged over the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consilium.federation.contract import Trained
from consilium.models.weights import Arrays


def is_lacking(array: str, lacks: Sequence[str]) -> bool:
    """Say whether an array belongs to a modality that a hospital lacks.

    Discloses
    ---------
    Nothing: it sees names.
    """
    return any(array.startswith(f"{modality}.") for modality in lacks)


def update_of(trained: Trained, model: Arrays, *, lacks: Sequence[str]) -> Arrays:
    """Return local minus global weights; zeros where a module's modality is not here.

    Discloses
    ---------
    Nothing by itself: the gate judges the update before it leaves.
    """
    return {
        name: np.zeros_like(model[name])
        if is_lacking(name, lacks)
        else trained.arrays[name] - model[name]
        for name in sorted(model)
    }

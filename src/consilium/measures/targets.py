"""Which figures belong to which kind of target, and which way each of them is better.

One table for everyone who judges, lets out, records or prints figures, so that
a figure cannot be taken in one room and be unknown in the next.
"""

from __future__ import annotations

from collections.abc import Mapping

OF_TARGET: Mapping[str, tuple[str, ...]] = {
    "binary": ("auroc", "accuracy", "brier", "calibration_slope"),
    "classes": ("auroc_macro", "accuracy", "balanced_accuracy", "brier"),
    "number": ("mae", "rmse", "mean_error"),
    "survival": ("concordance",),
    "mask": ("dice", "sensitivity", "precision"),
}
"""Figures of a study by kind of target; the first one leads its report."""

HIGHER_IS_BETTER: Mapping[str, bool] = {
    "auroc": True,
    "auroc_macro": True,
    "accuracy": True,
    "balanced_accuracy": True,
    "concordance": True,
    "dice": True,
    "sensitivity": True,
    "precision": True,
    "brier": False,
    "mae": False,
    "rmse": False,
}
"""Figures that have a best end, and so a worst hospital; the others are best at a middle."""

WITH_UNIT = frozenset({"mae", "rmse", "mean_error"})
"""Figures in the unit of the predicted number."""

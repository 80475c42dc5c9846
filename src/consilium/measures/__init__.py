"""Metrics and intervals of binary predictions, on numpy alone."""

from consilium.measures.calibration import (
    brier,
    calibration_bins,
    calibration_intercept,
    calibration_slope,
    log_loss,
)
from consilium.measures.discrimination import accuracy, auroc
from consilium.measures.intervals import METRICS, measure
from consilium.measures.records import CalibrationBin, Measurement

__all__ = [
    "METRICS",
    "CalibrationBin",
    "Measurement",
    "accuracy",
    "auroc",
    "brier",
    "calibration_bins",
    "calibration_intercept",
    "calibration_slope",
    "log_loss",
    "measure",
]

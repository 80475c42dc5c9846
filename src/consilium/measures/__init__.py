"""How good a model is, and how sure one can be of it: figures, intervals, comparisons."""

from consilium.measures.calibration import (
    brier,
    calibration_bins,
    calibration_error,
    calibration_intercept,
    calibration_slope,
    log_loss,
)
from consilium.measures.comparing import ModelComparison, compare, compare_figures, holm
from consilium.measures.decision_curve import DecisionPoint, decision_curve
from consilium.measures.discrimination import accuracy, auroc, balanced_accuracy
from consilium.measures.distance import measure_errors, prepare_errors
from consilium.measures.intervals import METRICS, ON_REQUEST, measure, prepare_binary
from consilium.measures.overlap import dice, measure_masks
from consilium.measures.paired_tests import delong, mcnemar, wilcoxon
from consilium.measures.prognosis import brier_at, concordance_index, prepare_concordance
from consilium.measures.records import CalibrationBin, Measurement
from consilium.measures.resampling import measure_figures, measure_mean
from consilium.measures.several_classes import measure_classes, prepare_classes
from consilium.measures.subgroups import Subgroup, subgroup_table
from consilium.measures.survival import LogRank, SurvivalPoint, kaplan_meier, log_rank

__all__ = [
    "METRICS",
    "ON_REQUEST",
    "CalibrationBin",
    "DecisionPoint",
    "LogRank",
    "Measurement",
    "ModelComparison",
    "Subgroup",
    "SurvivalPoint",
    "accuracy",
    "auroc",
    "balanced_accuracy",
    "brier",
    "brier_at",
    "calibration_bins",
    "calibration_error",
    "calibration_intercept",
    "calibration_slope",
    "compare",
    "compare_figures",
    "concordance_index",
    "decision_curve",
    "delong",
    "dice",
    "holm",
    "kaplan_meier",
    "log_loss",
    "log_rank",
    "mcnemar",
    "measure",
    "measure_classes",
    "measure_errors",
    "measure_figures",
    "measure_masks",
    "measure_mean",
    "prepare_binary",
    "prepare_classes",
    "prepare_concordance",
    "prepare_errors",
    "subgroup_table",
    "wilcoxon",
]

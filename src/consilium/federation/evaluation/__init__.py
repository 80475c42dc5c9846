"""Judging a model at one hospital, on its own held-out patients."""

from consilium.federation.evaluation.binary import (
    CANDIDATES,
    METRICS,
    Judge,
    choose,
    evaluate_site,
)

__all__ = ["CANDIDATES", "METRICS", "Judge", "choose", "evaluate_site"]

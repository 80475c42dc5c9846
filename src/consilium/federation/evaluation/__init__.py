"""Judging a model at one hospital, on its own held-out patients."""

from consilium.federation.evaluation.choice import choose
from consilium.federation.evaluation.judge import CANDIDATES, Judge
from consilium.federation.evaluation.kinds import kind_of
from consilium.federation.evaluation.site import MAJORITY, evaluate_site

__all__ = ["CANDIDATES", "MAJORITY", "Judge", "choose", "evaluate_site", "kind_of"]

"""Secure aggregation: the hub learns the sum of updates, and no single one.

Mathematics and protocol only; studies do not use it yet.
"""

from consilium.federation.secure.aggregator import SecureSum, SumAggregator
from consilium.federation.secure.encoding import FixedPoint
from consilium.federation.secure.memory import SumMemory
from consilium.federation.secure.plan import SumPlan, threshold_of
from consilium.federation.secure.site import SummingSite

__all__ = [
    "FixedPoint",
    "SecureSum",
    "SumAggregator",
    "SumMemory",
    "SumPlan",
    "SummingSite",
    "threshold_of",
]

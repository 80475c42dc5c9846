"""Secure aggregation: the hub learns the sum of updates, and no single one."""

from consilium.federation.secure.aggregator import SecureSum, SumAggregator
from consilium.federation.secure.desk import SumDesk
from consilium.federation.secure.encoding import FixedPoint
from consilium.federation.secure.memory import PassingMemory, SumMemory
from consilium.federation.secure.plan import SumPlan, encoding_of, plan_of, threshold_of
from consilium.federation.secure.site import SummingSite
from consilium.federation.secure.store import StoredMemory

__all__ = [
    "FixedPoint",
    "PassingMemory",
    "SecureSum",
    "StoredMemory",
    "SumAggregator",
    "SumDesk",
    "SumMemory",
    "SumPlan",
    "SummingSite",
    "encoding_of",
    "plan_of",
    "threshold_of",
]

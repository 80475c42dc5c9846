"""Secure aggregation: the hub learns the sum of updates, and no single one.

The durable memory is in `store`: the engine's processes, which hold nothing of
a database, import this package too.
"""

from consilium.federation.secure.aggregator import SecureSum, SumAggregator
from consilium.federation.secure.desk import SumDesk
from consilium.federation.secure.encoding import FixedPoint
from consilium.federation.secure.memory import PassingMemory, SumMemory
from consilium.federation.secure.plan import SumPlan, encoding_of, plan_of, threshold_of
from consilium.federation.secure.site import SummingSite

__all__ = [
    "FixedPoint",
    "PassingMemory",
    "SecureSum",
    "SumAggregator",
    "SumDesk",
    "SumMemory",
    "SumPlan",
    "SummingSite",
    "encoding_of",
    "plan_of",
    "threshold_of",
]

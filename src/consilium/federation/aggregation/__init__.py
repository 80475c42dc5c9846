"""Aggregation rules: how the sites' updates become the next model.

Named, pure functions on numpy arrays, float64, sites in sorted order: the same
updates give the same bytes in whatever order they came. The hub needs neither
a recipe nor a learning library to apply them. An *update* is a site's weights
minus the global weights it was given.

One file for each family; a rule combines the updates into one, then steps with it.
"""

from consilium.federation.aggregation.averaging import mean_update
from consilium.federation.aggregation.records import Aggregated, Contribution, Rule
from consilium.federation.aggregation.rules import (
    RULES,
    aggregate,
    check_mean_rule,
    check_named_sites,
    check_rule,
    check_sites,
    check_update,
    find_rule,
    knows_modules,
    least_sites,
    step_on_mean,
)

__all__ = [
    "RULES",
    "Aggregated",
    "Contribution",
    "Rule",
    "aggregate",
    "check_mean_rule",
    "check_named_sites",
    "check_rule",
    "check_sites",
    "check_update",
    "find_rule",
    "knows_modules",
    "least_sites",
    "mean_update",
    "step_on_mean",
]

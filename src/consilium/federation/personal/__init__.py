"""Personal models: each hospital ends with one of its own, made with the others' help.

Pure functions on numpy arrays; nobody here trains, sends or stores. Recipes
and studies say when they are used.
"""

from consilium.federation.personal.ditto import pulled_slope
from consilium.federation.personal.ring import (
    feature_slope,
    pass_on,
    ring_order,
    teaching_strength,
)
from consilium.federation.personal.similarity import (
    personal_models,
    similarity_weights,
    site_distance,
)
from consilium.federation.personal.splitting import HEAD, NORMALISATION, Split, split_arrays

__all__ = [
    "HEAD",
    "NORMALISATION",
    "Split",
    "feature_slope",
    "pass_on",
    "personal_models",
    "pulled_slope",
    "ring_order",
    "similarity_weights",
    "site_distance",
    "split_arrays",
    "teaching_strength",
]

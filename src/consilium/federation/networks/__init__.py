"""What recipes on torch share: weights as arrays, seeded training, personal parts.

Only recipe folders import this package, so nobody else loads torch.
"""

from consilium.federation.networks.freezing import freeze
from consilium.federation.networks.normalising import ChannelScaling, learn_channels, scale_each
from consilium.federation.networks.optimisers import Optimising, Schedule
from consilium.federation.networks.personal import (
    local_part,
    personal_part,
    serving_arrays,
    shared_part,
)
from consilium.federation.networks.rounds import RoundPlan, RoundResult, train_round
from consilium.federation.networks.seeding import built, choose_device, seeded
from consilium.federation.networks.starting import load_start, take_over
from consilium.federation.networks.training import Work, class_weights, mean_loss, train_network
from consilium.federation.networks.weights import batch_norm_names, read_weights, write_weights

__all__ = [
    "ChannelScaling",
    "Optimising",
    "RoundPlan",
    "RoundResult",
    "Schedule",
    "Work",
    "batch_norm_names",
    "built",
    "choose_device",
    "class_weights",
    "freeze",
    "learn_channels",
    "load_start",
    "local_part",
    "mean_loss",
    "personal_part",
    "read_weights",
    "scale_each",
    "seeded",
    "serving_arrays",
    "shared_part",
    "take_over",
    "train_network",
    "train_round",
    "write_weights",
]

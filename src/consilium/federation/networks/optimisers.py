"""Optimisers at the sites. Their memory begins anew in each round and is never shared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the learning rate falls over a study's rounds.

    `rounds` is the number of rounds over which it falls along half a cosine to
    `last` of its first value and stays there; 0 leaves it as it is.
    """

    rounds: int = 0
    last: float = 0.01

    def factor(self, number: int) -> float:
        """Return the share of the learning rate in round `number`, counted from 1."""
        if self.rounds < 1:
            return 1.0
        way = min(1.0, (number - 1) / max(1, self.rounds - 1))
        return self.last + (1.0 - self.last) * 0.5 * (1.0 + math.cos(math.pi * way))


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimising:
    """Which optimiser, and how it steps.

    `kind` is "sgd" (Nesterov momentum where `momentum` is above 0) or "adamw".
    `clip` bounds the length of a step's whole gradient; 0 does not.
    """

    kind: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float = 5.0
    schedule: Schedule = Schedule()

    def make(self, weights: Iterable[nn.Parameter], *, number: int) -> torch.optim.Optimizer:
        """Make the optimiser for round `number`; weights that are frozen are left out.

        Single numbers per channel (biases, normalisation) do not decay.

        Sources
        -------
        Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101 (AdamW).
        """
        moving = [weight for weight in weights if weight.requires_grad]
        groups = [
            {"params": [w for w in moving if w.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [w for w in moving if w.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        rate = self.learning_rate * self.schedule.factor(number)
        if self.kind == "adamw":
            return torch.optim.AdamW(groups, lr=rate)
        return torch.optim.SGD(
            groups, lr=rate, momentum=self.momentum, nesterov=self.momentum > 0.0
        )

"""Frozen encoders: only the head learns, so that a small hospital needs few cases."""

from __future__ import annotations

import torch
from torch import nn


def freeze(network: nn.Module, *, head: str) -> None:
    """Freeze all but the part named `head`; nothing of the rest moves in training.

    Frozen batch norms keep their running statistics, also while the network trains.

    Parameters
    ----------
    network : torch module
        Changed in place.
    head : str
        Name of the child that goes on learning, such as `fc`.

    Discloses
    ---------
    Nothing.
    """
    learning = {id(weight) for weight in network.get_submodule(head).parameters()}
    for weight in network.parameters():
        weight.requires_grad_(id(weight) in learning)
    for name, module in network.named_modules():
        if name and name != head and not name.startswith(f"{head}."):
            module.register_forward_pre_hook(_judging)


def _judging(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Keep one frozen part out of training mode, whatever its network is told."""
    del inputs
    module.training = False

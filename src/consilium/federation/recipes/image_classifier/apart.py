"""Making a network whose cases can be told apart: each has a gradient of its own.

MONAI's residual blocks normalise over the batch whatever norm they are asked
for, and write into tensors that the gradients of single cases are taken from.
"""

from __future__ import annotations

from functools import partial

import torch
from monai.networks.nets.resnet import ResNetBlock
from torch import nn

from consilium.federation.networks.noise import without_batch_norm


def set_apart(network: nn.Module) -> nn.Module:
    """Return the network with group normalisation, and with nothing that writes into its inputs.

    The names of its weights stay.

    Raises
    ------
    InputError
        `federation.mixes_cases`.

    Discloses
    ---------
    Nothing: it sees no data.
    """
    network = without_batch_norm(network)
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
        if isinstance(module, ResNetBlock):
            module.forward = partial(_add_apart, module)
    return network


def _add_apart(block: ResNetBlock, inputs: torch.Tensor) -> torch.Tensor:
    """Compute what the block does, adding the residual to a tensor of its own."""
    hidden = block.act(block.bn1(block.conv1(inputs)))
    hidden = block.bn2(block.conv2(hidden))
    residual = inputs if block.downsample is None else block.downsample(inputs)
    added: torch.Tensor = block.act(hidden + residual)
    return added

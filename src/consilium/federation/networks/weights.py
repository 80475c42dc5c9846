"""A network's weights as named arrays, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

Floats = npt.NDArray[np.float32]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def read_weights(network: nn.Module) -> dict[str, Floats]:
    """Copy a network's weights: parameters and running statistics, names sorted.

    Counters are left out (batch normalisation counts its batches): they are
    whole numbers, and no mean of them says anything.

    Returns
    -------
    dict of str to array, float32
        By torch's dotted names, in the shapes of the network's tensors.

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.
    """
    state = network.state_dict()
    return {
        name: state[name].detach().cpu().numpy().astype(np.float32, order="C", copy=True)
        for name in sorted(state)
        if state[name].is_floating_point()
    }


def write_weights(network: nn.Module, arrays: Arrays) -> None:
    """Put arrays into a network; what `arrays` does not name stays as it is.

    Raises
    ------
    InputError
        `federation.other_network` when a name or a shape is not the network's.

    Discloses
    ---------
    Nothing.
    """
    state = network.state_dict()
    for name in sorted(arrays):
        if name not in state or tuple(state[name].shape) != arrays[name].shape:
            raise InputError("federation.other_network", array=name)
    with torch.no_grad():
        for name in sorted(arrays):
            given = np.ascontiguousarray(arrays[name], dtype=np.float32)
            # A scalar would become a vector of one number above.
            state[name].copy_(torch.from_numpy(given).reshape(state[name].shape))


def batch_norm_names(network: nn.Module) -> frozenset[str]:
    """Name the arrays of every batch normalisation: its weights and running statistics.

    Discloses
    ---------
    Nothing: it sees names, no data.

    Sources
    -------
    Li et al., ICLR 2021, arXiv:2102.07623 (FedBN: these stay at the site).
    """
    return frozenset(
        f"{place}.{name}" if place else name
        for place, module in network.named_modules()
        if isinstance(module, _BATCH_NORMS)
        for name, value in module.state_dict().items()
        if value.is_floating_point()
    )

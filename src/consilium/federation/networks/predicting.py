"""A network's answers for many cases, without learning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

_AT_ONCE = 256


def predict_all(
    network: nn.Module,
    inputs: torch.Tensor,
    *,
    mirrored: bool = False,
    learns_statistics: bool = False,
) -> npt.NDArray[np.float64]:
    """Return a network's outputs for all inputs.

    Parameters
    ----------
    network : torch module
        On its device.
    inputs : tensor of shape (n, ...), float32
        The last axis is what `mirrored` turns round.
    mirrored : bool
        Whether the answer is the mean over each input and its mirror image.
    learns_statistics : bool
        Whether batch norms take the statistics of the inputs, all together:
        for a shared model whose batch norms belong to the sites.

    Returns
    -------
    array of shape (n, ...), float64

    Discloses
    ---------
    Nothing: the answers stay in the job process.
    """
    if not len(inputs):
        return np.empty((0, *_answer_shape(network, inputs)))
    network.train(mode=learns_statistics)
    size = len(inputs) if learns_statistics else _AT_ONCE
    with torch.no_grad():
        answers = _answers(network, inputs, size)
        if mirrored:
            answers = (answers + _answers(network, inputs.flip(-1), size)) / 2
    return np.asarray(answers.double().numpy())


def _answers(network: nn.Module, inputs: torch.Tensor, size: int) -> torch.Tensor:
    device = next(network.parameters()).device
    return torch.cat([network(part.to(device)).float().cpu() for part in inputs.split(size)])


def _answer_shape(network: nn.Module, inputs: torch.Tensor) -> tuple[int, ...]:
    """Learn the shape of one answer from an empty image."""
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        return tuple(network(torch.zeros((1, *inputs.shape[1:]), device=device)).shape[1:])

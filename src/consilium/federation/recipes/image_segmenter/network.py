"""The network: MONAI's U-Net, small enough for a hospital's processor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from torch import nn

from consilium.federation.networks import choose_device
from consilium.federation.recipes.image_segmenter.patches import STEP
from consilium.federation.recipes.image_segmenter.settings import Settings

AT_ONCE = 4


def make_network(channels: int, settings: Settings) -> nn.Module:
    """Make a U-Net of five levels for images of so many channels.

    Discloses
    ---------
    Nothing: it sees no data.

    Sources
    -------
    Ronneberger et al., MICCAI 2015, arXiv:1505.04597; Ulyanov et al., 2016,
    arXiv:1607.08022 (instance norm); Wu and He, ECCV 2018, arXiv:1803.08494
    (group norm).
    """
    width = settings.width
    network: nn.Module = BasicUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=1,
        features=(width, width, 2 * width, 2 * width, 4 * width, width),
        norm=_norm(settings),
    )
    return network


def _norm(settings: Settings) -> tuple[str, dict[str, Any]]:
    if settings.norm == "instance":
        return "instance", {"affine": True}
    if settings.norm == "group":
        return "group", {"num_groups": math.gcd(settings.width, 4)}
    return "batch", {}


def make_loss() -> nn.Module:
    """Make the loss: Dice over the batch plus cross-entropy, from logits.

    Dice is taken over the whole batch, so a patch without anything marked does
    not count for nothing.

    Discloses
    ---------
    Nothing: it sees no data.

    Sources
    -------
    Milletari et al., 3DV 2016, arXiv:1606.04797; Isensee et al., Nature Methods
    18, 2021 (the sum of both).
    """
    loss: nn.Module = DiceCELoss(sigmoid=True, batch=True)
    return loss


def draw_logits(network: nn.Module, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the logits of whole images, a few at a time.

    Parameters
    ----------
    network : torch module
        On its device; put into judging mode.
    inputs : array of shape (n, height, width, channels), float32

    Returns
    -------
    array of shape (n, height, width), float32

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    height, width = inputs.shape[1:3]
    edges = (0, -width % STEP, 0, -height % STEP)
    found = np.empty(inputs.shape[:3], dtype=np.float32)
    network.eval()
    with torch.no_grad():
        for first in range(0, len(inputs), AT_ONCE):
            some = torch.from_numpy(
                np.ascontiguousarray(inputs[first : first + AT_ONCE].transpose(0, 3, 1, 2))
            )
            padded = nn.functional.pad(some, edges, mode="replicate").to(choose_device())
            logits = network(padded)[:, 0, :height, :width].cpu().numpy()
            found[first : first + AT_ONCE] = logits
    return found

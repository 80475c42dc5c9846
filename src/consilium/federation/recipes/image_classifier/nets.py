"""The networks, made by MONAI: residual and dense ones, small enough for a processor."""

from __future__ import annotations

import math

import torch
from monai.networks.nets import DenseNet, ResNet
from torch import nn

from consilium.federation.networks import built, freeze
from consilium.federation.recipes.image_classifier.apart import set_apart
from consilium.federation.recipes.image_classifier.settings import Settings

BLOCKS = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "densenet": (3, 6, 6)}
"""Blocks in each stage, by network."""
HEADS = {"resnet10": "fc", "resnet18": "fc", "densenet": "class_layers.out"}
"""The part that turns features into classes, by network."""


def make_network(settings: Settings, *, channels: int, outputs: int, seed: int = 0) -> nn.Module:
    """Make the network of the settings, its encoder frozen where only the head learns.

    Parameters
    ----------
    channels : int
        Channels of the input, at least 1.
    outputs : int
        1 for yes or no, else the number of classes.
    seed : int
        Of the first weights.

    Returns
    -------
    torch module
        From (n, channels, size, size) to (n, outputs).

    Discloses
    ---------
    Nothing: it sees no data.

    Sources
    -------
    He et al., CVPR 2016, arXiv:1512.03385; Huang et al., CVPR 2017, arXiv:1608.06993.
    """
    dense = settings.network == "densenet"
    make = _densenet if dense else _resnet
    network = built(lambda: make(settings, channels=channels, outputs=outputs), seed=seed)
    if settings.train == "head":
        freeze(network, head=HEADS[settings.network])
    if settings.clip:
        network = set_apart(network)
    # Channels last, as the images are: on a processor a third faster.
    return network.to(memory_format=torch.channels_last)


def _resnet(settings: Settings, *, channels: int, outputs: int) -> nn.Module:
    steps = _steps(settings)
    network = ResNet(
        block="basic",
        layers=list(BLOCKS[settings.network]),
        block_inplanes=[settings.width * factor for factor in (1, 2, 4, 8)],
        spatial_dims=2,
        n_input_channels=channels,
        conv1_t_size=5 if steps else 3,
        conv1_t_stride=2 if steps else 1,
        no_max_pool=settings.shrink < 2,
        num_classes=outputs,
        bias_downsample=False,
        norm=_norm(settings),
    )
    if settings.shrink and not steps:
        # Before the normalisation, which then has a quarter of the work.
        network.conv1 = nn.Sequential(network.conv1, nn.MaxPool2d(2))
    if settings.drop:
        # The dropout stands before the head and has no weights: the head keeps its name.
        network.avgpool = nn.Sequential(network.avgpool, nn.Dropout(settings.drop))
    return network


def _densenet(settings: Settings, *, channels: int, outputs: int) -> nn.Module:
    network = DenseNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=outputs,
        init_features=settings.width,
        growth_rate=settings.width,
        block_config=BLOCKS["densenet"],
        dropout_prob=settings.drop,
        norm=_norm(settings),
    )
    if not _steps(settings):
        network.features.conv0.stride = (1, 1)
    if settings.shrink and not _steps(settings):
        network.features.conv0 = nn.Sequential(network.features.conv0, nn.MaxPool2d(2))
    if settings.shrink < 2:
        network.features.pool0 = nn.Identity()
    return network


def _steps(settings: Settings) -> bool:
    """Say whether the first layer looks at every second pixel only."""
    return settings.shrink > 0 and settings.shrink_by == "stride"


def _norm(settings: Settings) -> str | tuple[str, dict[str, int]]:
    """Name the normalisation for MONAI; groups must divide the channels, all multiples of width."""
    if settings.norm == "group":
        return ("group", {"num_groups": math.gcd(8, settings.width)})
    return "batch"

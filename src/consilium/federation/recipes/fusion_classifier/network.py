"""The network: an encoder for each modality, the mean over those present, a head."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from consilium.federation.recipes.fusion_classifier.modalities import HEAD
from consilium.federation.recipes.fusion_classifier.settings import Settings
from consilium.models.weights import Arrays

Layout = Mapping[str, tuple[int, ...]]
"""A case's shape by modality: (inputs,), (length, channels) or (height, width, channels)."""

LEVELS = 3
_ENCODERS, _PREFIX = "encoders", "of_"


class FusionNetwork(nn.Module):
    """From packed cases to logits: h = Σ a_m E_m(x_m) / Σ a_m over present modalities m.

    In training each present modality is hidden with the chance of the setting,
    but never the last one, so that no encoder leans on another.

    Parameters
    ----------
    layout : mapping of str to tuple of int
        Shape by modality, in the order in which a case's numbers lie side by
        side; after them one flag for each modality, 1 where it is present.
    outputs : int
        1 for log-odds, otherwise the number of classes.
    settings : Settings

    Sources
    -------
    Neverova et al., IEEE TPAMI 38, 2016, arXiv:1501.00102 (modality dropout).
    """

    def __init__(self, layout: Layout, outputs: int, *, settings: Settings) -> None:
        super().__init__()
        self._layout = dict(layout)
        self._dropout = settings.modality_dropout
        width = settings.width
        self.encoders = nn.ModuleDict(
            {_PREFIX + name: _make_encoder(shape, settings) for name, shape in layout.items()}
        )
        self.head = nn.Sequential()
        for _ in range(settings.head_layers):
            self.head.extend([nn.ReLU(), nn.Linear(width, width)])
        self.head.append(nn.Linear(width, outputs))

    def forward(self, packed: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (n, outputs)."""
        present = packed[:, -len(self._layout) :]
        if self.training and self._dropout and len(self._layout) > 1:
            present = hide_some(present, chance=self._dropout)
        total = packed.new_zeros(())
        place = 0
        for number, (name, shape) in enumerate(self._layout.items()):
            there = present[:, number : number + 1]
            size = math.prod(shape)
            if there.any():
                given = packed[:, place : place + size].reshape(-1, *shape)
                total = total + there * self.encoders[_PREFIX + name](given)
            place += size
        if not total.ndim:  # nobody has anything
            total = packed.new_zeros((len(packed), self.head[-1].in_features))
        logits: torch.Tensor = self.head(total / present.sum(dim=1, keepdim=True).clamp(min=1))
        return logits


def hide_some(present: torch.Tensor, *, chance: float) -> torch.Tensor:
    """Hide modalities by chance; a case that would lose all keeps one, drawn evenly.

    Parameters
    ----------
    present : tensor of shape (n, modalities)
        1 where a case has a modality.
    chance : float
        With which each present modality is hidden, within [0, 1).

    Returns
    -------
    tensor of shape (n, modalities)
        Never more than `present`; a row that had one has one.

    Discloses
    ---------
    Nothing.
    """
    drawn = (1 + torch.rand(present.shape, device=present.device)) * present
    kept = present * (torch.rand(present.shape, device=present.device) >= chance)
    last = nn.functional.one_hot(drawn.argmax(dim=1), present.shape[1]) * present
    lost = kept.sum(dim=1, keepdim=True) == 0
    return torch.where(lost, last, kept)


def to_network(arrays: Arrays) -> Arrays:
    """Name arrays as torch does: `MODALITY.rest` becomes `encoders.of_MODALITY.rest`.

    Discloses
    ---------
    Nothing.
    """
    return {
        name if name.startswith(f"{HEAD}.") else f"{_ENCODERS}.{_PREFIX}{name}": array
        for name, array in arrays.items()
    }


def from_network(weights: Arrays) -> Arrays:
    """Name a network's weights as the study does; the other way round of `to_network`.

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.
    """
    return {name.removeprefix(f"{_ENCODERS}.{_PREFIX}"): weights[name] for name in weights}


class _Convolutions(nn.Module):
    """An image or a signal to features: three levels, each half as fine, then the mean."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        channels = shape[-1]
        for level in range(LEVELS):
            after = width * 2 ** min(level, 1)
            made: nn.Module = (
                nn.Conv2d(channels, after, 3, stride=2, padding=1)
                if len(shape) == 3
                else nn.Conv1d(channels, after, 5, stride=2, padding=2)
            )
            # Normalised case by case: no statistic of a batch, so none of a site.
            steps += [made, nn.GroupNorm(1, after), nn.ReLU()]
            channels = after
        self.levels = nn.Sequential(*steps)
        self.last = nn.Linear(channels, width)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, width)."""
        seen = self.levels(given.movedim(-1, 1))
        features: torch.Tensor = self.last(seen.flatten(2).mean(dim=2))
        return features


def _make_encoder(shape: tuple[int, ...], settings: Settings) -> nn.Module:
    width = settings.width
    if len(shape) > 1:
        return _Convolutions(shape, width)
    inputs, steps = shape[0], nn.Sequential()
    for _ in range(settings.table_layers):
        steps.extend([nn.Linear(inputs, width), nn.ReLU()])
        inputs = width
    return steps.append(nn.Linear(inputs, width))

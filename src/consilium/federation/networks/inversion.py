"""Gradient inversion of a network by optimisation: an image whose gradient is the one seen.

The attacker has the shared weights and a hospital's update. It begins with
noise and changes an image until the gradient that the image would give points
where the update points. Of one image's gradient a small network gives that
image away; of an update of many steps over many patients it should not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from consilium.federation.networks.seeding import seeded

Images = npt.NDArray[np.float32]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """How hard the attacker tries: steps of Adam, restarts, and a liking for smooth images."""

    steps: int = 400
    restarts: int = 2
    learning_rate: float = 0.1
    smooth: float = 1e-4
    seed: int = 0


def gradient_of(
    network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, *, loss: Loss
) -> list[torch.Tensor]:
    """Return the gradient of the loss by parameter: the positive control's update.

    Discloses
    ---------
    To whoever calls it: what the gradient tells. It is for audits at home.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss(network(inputs), targets), weights)
    return [part.detach() for part in found]


def invert_network(
    network: nn.Module,
    update: Sequence[torch.Tensor],
    *,
    shape: tuple[int, ...],
    targets: torch.Tensor,
    loss: Loss,
    attack: Attack | None = None,
) -> Images:
    """Reconstruct the inputs behind an update.

    Parameters
    ----------
    network : torch module
        At the shared weights that the update started from.
    update : sequence of tensor
        By parameter: a gradient, or the weights before less the weights after.
    shape : tuple of int
        Of the inputs sought, (cases, channels, height, width); values within [0, 1].
    targets : tensor
        Their labels, as an attacker may know or guess them.

    Returns
    -------
    array of `shape`, float32
        The best of all restarts.

    Discloses
    ---------
    To whoever calls it: what the update tells. It is for audits at home.

    Sources
    -------
    Zhu, Liu and Han, NeurIPS 2019, arXiv:1906.08935; Geiping et al., NeurIPS
    2020, arXiv:2003.14053 (direction instead of distance, smoothness).
    """
    how = attack or Attack()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    best, found = float("inf"), np.zeros(shape, dtype=np.float32)
    with seeded(np.random.default_rng(how.seed)):
        for _ in range(how.restarts):
            guess = torch.rand(shape, requires_grad=True)
            optimiser = torch.optim.Adam([guess], lr=how.learning_rate)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.steps)
            apart = torch.tensor(0.0)
            for _ in range(how.steps):
                seen = torch.autograd.grad(
                    loss(network(guess), targets), weights, create_graph=True
                )
                apart = _apart(seen, update)
                (slope,) = torch.autograd.grad(apart + how.smooth * _roughness(guess), [guess])
                guess.grad = slope.sign()
                optimiser.step()
                schedule.step()
                with torch.no_grad():
                    guess.clamp_(0.0, 1.0)
            if float(apart.detach()) < best:
                best, found = float(apart.detach()), guess.detach().numpy().copy()
    return found


def peak_ratio(guess: Images, images: Images) -> float:
    """Return the peak signal-to-noise ratio to the most similar image, in decibels.

    Parameters
    ----------
    guess : array of shape (channels, height, width)
        Values within [0, 1].
    images : array of shape (n, channels, height, width)
        The training images.

    Discloses
    ---------
    To whoever reads it: one figure.
    """
    errors = ((images - guess) ** 2).reshape(len(images), -1).mean(axis=1)
    return float(-10.0 * np.log10(max(float(errors.min()), 1e-12)))


def _apart(seen: Sequence[torch.Tensor], update: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return 1 less the cosine of two gradients."""
    one = torch.cat([part.flatten() for part in seen])
    other = torch.cat([part.flatten() for part in update])
    return 1.0 - torch.dot(one, other) / (one.norm() * other.norm() + 1e-12)


def _roughness(images: torch.Tensor) -> torch.Tensor:
    """Return the mean difference between neighbouring pixels."""
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    across = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    return down + across

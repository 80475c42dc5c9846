"""One training loop for every network: batches without end of chance, loss, pull, step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from consilium.federation.contract import Vector
from consilium.federation.networks.optimisers import Optimising

LARGEST_CLASS_WEIGHT = 5.0

Rows = npt.NDArray[np.intp]
Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One site's cases as a network meets them.

    Attributes
    ----------
    n : int
        Number of cases, at least 1.
    batch : callable
        From row numbers and a flag to inputs and targets; with the flag the
        inputs are augmented. All its chance comes from torch's source, which
        `seeded` has set.
    loss : callable
        From outputs and targets to the mean loss, a scalar tensor.
    """

    n: int
    batch: Callable[[Rows, bool], Pair]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Strength μ and centre of a pull: adds μ/2 ‖w - centre‖² to the loss."""

    strength: float
    centre: Mapping[str, torch.Tensor]


def train_network(
    network: nn.Module,
    work: Work,
    *,
    optimising: Optimising,
    epochs: int,
    batch_size: int,
    number: int = 1,
    strength: float = 0.0,
    centre: Mapping[str, torch.Tensor] | None = None,
    mixed: bool = False,
) -> None:
    """Train a network in place for `epochs` passes over the cases.

    Call it inside `seeded`: chance is torch's own.

    Parameters
    ----------
    network : torch module
        On its device; weights that do not require a gradient stay.
    optimising : Optimising
        The optimiser begins without memory.
    number : int
        The round, from 1: the schedule follows it.
    strength : float
        μ of the pull to `centre` (FedProx, Ditto), at least 0.
    centre : mapping of str to tensor, optional
        By the parameters' names.
    mixed : bool
        Half precision where a GPU has it; ignored without one.

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.

    Sources
    -------
    Li et al., MLSys 2020, arXiv:1812.06127 (proximal term).
    """
    device = next(network.parameters()).device
    optimiser = optimising.make(network.parameters(), number=number)
    pull = Pull(strength=strength, centre=centre or {})
    moving = [weight for weight in network.parameters() if weight.requires_grad]
    network.train()
    for _ in range(epochs):
        for rows in _deal(work.n, batch_size):
            inputs, targets = work.batch(rows, True)
            with _precision(device, mixed=mixed):
                loss = work.loss(network(inputs.to(device)), targets.to(device))
            optimiser.zero_grad()
            loss.backward()
            _pull(network, pull)
            if optimising.clip:
                nn.utils.clip_grad_norm_(moving, optimising.clip)
            optimiser.step()


def mean_loss(network: nn.Module, work: Work, *, batch_size: int = 256) -> float:
    """Return the mean loss over all cases, without augmentation; the network judges, not learns.

    Discloses
    ---------
    Nothing by itself: one mean over all cases.
    """
    device = next(network.parameters()).device
    network.eval()
    total = 0.0
    with torch.no_grad():
        for first in range(0, work.n, batch_size):
            rows = np.arange(first, min(first + batch_size, work.n))
            inputs, targets = work.batch(rows, False)
            loss = work.loss(network(inputs.to(device)), targets.to(device))
            total += float(loss) * len(rows)
    return total / work.n


def class_weights(y: Vector, classes: int) -> npt.NDArray[np.float32]:
    """Weigh classes so that each counts alike: n / (classes present · n_c), at most 5.

    A class that the site does not have weighs 0: nothing asks for it.

    Parameters
    ----------
    y : array of shape (n,), float64
        Class of each case, 0 to `classes` - 1.

    Returns
    -------
    array of shape (classes,), float32

    Discloses
    ---------
    Nothing: the weights stay in the job process.
    """
    counts = np.bincount(y.astype(np.intp), minlength=classes).astype(np.float64)
    present = counts > 0
    weights = np.zeros(classes)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return np.minimum(weights, LARGEST_CLASS_WEIGHT).astype(np.float32)


def _deal(n: int, size: int) -> Iterator[Rows]:
    """Deal one pass in shuffled batches of nearly one size; a lone case counts twice.

    Batch normalisation cannot learn from one case, so no batch has a single one.
    """
    order = torch.randperm(n).numpy()
    if n == 1:
        order = np.zeros(2, dtype=np.intp)
    parts = min(-(-len(order) // size), len(order) // 2)
    yield from np.array_split(order, max(1, parts))


def _pull(network: nn.Module, pull: Pull) -> None:
    """Add μ (w - centre) to the gradients."""
    if not pull.strength:
        return
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.grad is not None and name in pull.centre:
                weight.grad.add_(weight - pull.centre[name], alpha=pull.strength)


def _precision(device: torch.device, *, mixed: bool) -> AbstractContextManager[object]:
    """Use bfloat16 on a GPU when asked: it needs no scaling of the loss."""
    if mixed and device.type == "cuda":
        half: AbstractContextManager[object] = torch.autocast("cuda", dtype=torch.bfloat16)
        return half
    return nullcontext()

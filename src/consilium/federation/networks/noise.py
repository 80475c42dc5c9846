"""Training a network with noise that hides every single patient (DP-SGD).

Opacus gives each case's own gradient; who is in a step, the clipping and the
noise are ours, from the secret of the hospital. Batch normalisation mixes the
cases of a batch, so no case has a gradient of its own there: it is replaced by
group normalisation, from the starting model on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from opacus.grad_sample import GradSampleModule
from opacus.validators import ModuleValidator
from torch import nn

from consilium.federation.networks.seeding import choose_device, seeded
from consilium.federation.networks.weights import Floats, read_weights, write_weights
from consilium.federation.noise.source import NoiseSource
from consilium.federation.noise.steps import Patients
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

Pair = tuple[torch.Tensor, torch.Tensor]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyWork:
    """One site's cases as a network meets them, each with a loss of its own.

    Attributes
    ----------
    group : array of shape (n,), int64
        Patient by row; a patient with several rows is drawn with one of them.
    batch : callable
        From row numbers to inputs and targets, rows along the first axis.
        Whatever it scales by may not be learnt from patients.
    losses : callable
        From outputs and targets to each case's loss, shape (rows,).
    """

    group: npt.NDArray[np.int64]
    batch: Callable[[Rows], Pair]
    losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyPlan:
    """How a round steps: as `NoisePlan` of a study, with a learning rate and momentum.

    `at_once` bounds how many cases' gradients are held in memory together; it
    changes nothing else. `threads` are those of torch; 0 leaves them.
    """

    learning_rate: float
    clip: float
    noise: float
    rate: float
    steps: int
    momentum: float = 0.0
    at_once: int = 64
    threads: int = 1


def without_batch_norm(network: nn.Module) -> nn.Module:
    """Return the network with group normalisation in place of batch normalisation.

    Use it where the network is made, so that the starting model has it too.

    Raises
    ------
    InputError
        `federation.mixes_cases` when another layer mixes the cases of a batch.

    Discloses
    ---------
    Nothing: it sees no data.

    Sources
    -------
    Wu and He, ECCV 2018, arXiv:1803.08494 (group normalisation); Yousefpour et
    al., 2021, arXiv:2109.12298 (Opacus).
    """
    fixed: nn.Module = ModuleValidator.fix(network)
    if ModuleValidator.validate(fixed, strict=False):
        raise InputError("federation.mixes_cases")
    return fixed


def train_with_noise(
    make: Callable[[], nn.Module],
    start: Arrays,
    *,
    work: NoisyWork,
    plan: NoisyPlan,
    source: NoiseSource,
) -> dict[str, Floats]:
    """Take a round's steps from the shared weights `start`; return the weights after them.

    Parameters
    ----------
    make : callable
        Makes the network, without batch normalisation; always the same one.
    start : mapping of str to array
        The round's shared weights.
    source : NoiseSource
        Secret draws of this round, from `Chance.draw_secret`.

    Returns
    -------
    dict of str to array
        The layout of `start`.

    Raises
    ------
    InputError
        `federation.mixes_cases`.

    Discloses
    ---------
    Nothing by itself. What the weights tell of a patient is bounded by the
    accountant of `gate.accounting`.

    Sources
    -------
    Abadi et al., CCS 2016, arXiv:1607.00133, algorithm 1.
    """
    chance = np.random.default_rng(source.below(2**63))
    with seeded(chance, threads=plan.threads):
        network = make()
        if ModuleValidator.validate(network, strict=False):
            raise InputError("federation.mixes_cases")
        network.to(choose_device())
        write_weights(network, start)
        network.train()
        sampled = GradSampleModule(network, loss_reduction="sum")
        moving = [weight for weight in network.parameters() if weight.requires_grad]
        optimiser = torch.optim.SGD(moving, lr=plan.learning_rate, momentum=plan.momentum)
        patients = Patients(work.group)
        for _ in range(plan.steps):
            rows = patients.draw(plan.rate, source)
            totals = _clipped_totals(sampled, moving, rows, work=work, plan=plan)
            _add_noise(moving, totals, plan=plan, source=source)
            for weight in moving:
                weight.grad /= plan.rate * patients.n
            optimiser.step()
        return read_weights(network)


def _clipped_totals(
    sampled: GradSampleModule,
    moving: list[nn.Parameter],
    rows: Rows,
    *,
    work: NoisyWork,
    plan: NoisyPlan,
) -> list[torch.Tensor]:
    """Sum the clipped gradients of the drawn cases, some at a time."""
    totals = [torch.zeros_like(weight) for weight in moving]
    for first in range(0, len(rows), plan.at_once):
        inputs, targets = work.batch(rows[first : first + plan.at_once])
        device = moving[0].device
        # Without a gradient of the inputs torch warns that Opacus's hooks have none to see.
        given = inputs.to(device).detach().requires_grad_(inputs.is_floating_point())
        work.losses(sampled(given), targets.to(device)).sum().backward()
        each = [weight.grad_sample.detach() for weight in moving]
        flat = torch.stack([part.flatten(1).norm(dim=1) for part in each])
        lengths = torch.nan_to_num(flat.norm(dim=0), nan=torch.inf)
        factors = plan.clip / lengths.clamp(min=plan.clip)  # 0 for what is not finite
        for total, part in zip(totals, each, strict=True):
            known = torch.nan_to_num(part, posinf=0.0, neginf=0.0)
            total += torch.einsum("n,n...->...", factors, known)
        sampled.zero_grad()
    return totals


def _add_noise(
    moving: list[nn.Parameter],
    totals: list[torch.Tensor],
    *,
    plan: NoisyPlan,
    source: NoiseSource,
) -> None:
    for weight, total in zip(moving, totals, strict=True):
        drawn = source.normal(total.numel()) if plan.noise else np.zeros(total.numel())
        noise = torch.from_numpy(plan.noise * plan.clip * drawn).reshape(total.shape)
        weight.grad = total + noise.to(total)

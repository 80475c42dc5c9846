"""A round at one site: the shared network, its local part, and the personal model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from consilium.federation.networks.optimisers import Optimising
from consilium.federation.networks.personal import (
    LOCAL,
    PERSONAL,
    kept_part,
    local_part,
    personal_part,
    shared_part,
)
from consilium.federation.networks.seeding import choose_device, seeded
from consilium.federation.networks.training import Work, mean_loss, train_network
from consilium.federation.networks.weights import (
    Floats,
    batch_norm_names,
    read_weights,
    write_weights,
)
from consilium.models.weights import Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """How a site trains in a round.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the cases, and cases in a step; at least 1.
    proximal_mu : float
        μ of FedProx for the shared network; 0 is FedAvg.
    ditto_lambda : float or None
        λ of the personal model's pull to the round's shared model; `None` means
        that there is no personal model, 0 that it learns alone.
    keeps_batch_norm : bool
        Whether batch norms stay at the site (FedBN).
    threads : int
        Threads of torch; 0 leaves them.
    mixed : bool
        Half precision on a GPU.
    """

    optimising: Optimising
    epochs: int = 1
    batch_size: int = 32
    proximal_mu: float = 0.0
    ditto_lambda: float | None = None
    keeps_batch_norm: bool = False
    threads: int = 0
    mixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """What a round made: `shared` goes to the gate, `kept` stays, with two mean losses."""

    shared: dict[str, Floats]
    kept: dict[str, Floats]
    loss_before: float
    loss_after: float


def train_round(
    make: Callable[[], nn.Module],
    start: Arrays,
    *,
    work: Work,
    plan: RoundPlan,
    draw: Callable[[], np.random.Generator],
    number: int,
    kept: Arrays,
) -> RoundResult:
    """Train round `number` from the shared weights `start` and what the site has kept.

    The personal model learns on the same batches as the shared one, so with
    λ = 0 it is, byte for byte, what the site would have learnt alone.

    Parameters
    ----------
    make : callable
        Makes the network, frozen where it is to be; always the same one.
    start : mapping of str to array
        The round's shared weights.
    draw : callable
        A fresh generator for this round's chance, always the same one.
    kept : mapping of str to array
        From the round before; empty in round 1.

    Returns
    -------
    RoundResult
        The losses are over all cases, under the shared weights before and after.

    Discloses
    ---------
    `shared` and two mean losses over all cases, once the gate lets them out.

    Sources
    -------
    Li et al., ICML 2021, arXiv:2012.04221 (Ditto); Li et al., ICLR 2021,
    arXiv:2102.07623 (FedBN).
    """
    with seeded(draw(), threads=plan.threads):
        network = make().to(choose_device())
        own = batch_norm_names(network) if plan.keeps_batch_norm else frozenset()
        write_weights(network, {**start, **kept_part(kept, LOCAL)})
        before = mean_loss(network, work)
        _train(network, work, plan=plan, number=number, strength=plan.proximal_mu, start=start)
        weights, after = read_weights(network), mean_loss(network, work)
    kept_now = local_part(weights, own)
    if plan.ditto_lambda is not None:
        kept_now |= _personal(
            make, start, work=work, plan=plan, draw=draw, number=number, kept=kept
        )
    return RoundResult(
        shared=shared_part(weights, own), kept=kept_now, loss_before=before, loss_after=after
    )


def _personal(
    make: Callable[[], nn.Module],
    start: Arrays,
    *,
    work: Work,
    plan: RoundPlan,
    draw: Callable[[], np.random.Generator],
    number: int,
    kept: Arrays,
) -> dict[str, Floats]:
    """Train the personal model, pulled to the round's shared weights; it begins as these."""
    with seeded(draw(), threads=plan.threads):
        network = make().to(choose_device())
        write_weights(network, kept_part(kept, PERSONAL) or start)
        strength = plan.ditto_lambda or 0.0
        _train(network, work, plan=plan, number=number, strength=strength, start=start)
        return personal_part(read_weights(network))


def _train(
    network: nn.Module,
    work: Work,
    *,
    plan: RoundPlan,
    number: int,
    strength: float,
    start: Arrays,
) -> None:
    train_network(
        network,
        work,
        optimising=plan.optimising,
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        number=number,
        strength=strength,
        centre=_tensors(start, next(network.parameters()).device) if strength else None,
        mixed=plan.mixed,
    )


def _tensors(arrays: Arrays, device: torch.device) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(np.array(array, dtype=np.float32)).to(device)
        for name, array in arrays.items()
    }

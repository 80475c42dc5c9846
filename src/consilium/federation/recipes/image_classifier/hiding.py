"""Training with noise that hides every single patient: steps in place of passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from consilium.federation.contract import Cases, Chance
from consilium.federation.networks.noise import NoisyPlan, NoisyWork, train_with_noise
from consilium.federation.networks.weights import Floats
from consilium.federation.recipes.image_classifier.augmenting import augment
from consilium.federation.recipes.image_classifier.inputs import IMAGE, as_channels_first
from consilium.federation.recipes.image_classifier.learning import two_sided
from consilium.federation.recipes.image_classifier.settings import Settings
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

ALONE = {"norm": "group", "personal": "none", "balance": "none", "mixup": 0.0, "proximal_mu": 0.0}
"""What the settings must be where patients are hidden: nothing that mixes or counts them."""


def check_hiding(settings: Settings, *, recipe: str) -> None:
    """Return if the settings hide patients as they say, or do not say so.

    Raises
    ------
    InputError
        `federation.bad_setting`.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    if settings.noise and not settings.clip:
        raise InputError(
            "federation.bad_setting", owner=recipe, setting="noise", allowed="clip > 0 with noise"
        )
    for name, value in ALONE.items():
        if settings.clip and getattr(settings, name) != value:
            allowed = f"{value!r} with clip"
            raise InputError("federation.bad_setting", owner=recipe, setting=name, allowed=allowed)


def train_hidden(
    make: Callable[[], nn.Module],
    start: Arrays,
    *,
    cases: Cases,
    settings: Settings,
    outputs: int,
    chance: Chance,
    number: int,
) -> dict[str, Floats]:
    """Take a round's steps on patients who are drawn, clipped and hidden by noise.

    Augmentation changes each image by itself; mixing and class weights are refused.

    Discloses
    ---------
    Nothing by itself. What the weights tell of a patient is bounded by the
    accountant of `gate.accounting`.

    Sources
    -------
    Abadi et al., CCS 2016, arXiv:1607.00133, algorithm 1.
    """
    images = as_channels_first(cases.tensors[IMAGE])
    classes = max(2, outputs)
    sure = functional.one_hot(torch.from_numpy(cases.y.astype(np.int64)), classes).float()
    soft = sure * (1 - settings.smoothing) + settings.smoothing / classes

    def batch(rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return augment(images[rows], settings), soft[rows]

    def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -(targets * functional.log_softmax(two_sided(logits), dim=1)).sum(dim=1)

    return train_with_noise(
        make,
        start,
        work=NoisyWork(group=cases.group, batch=batch, losses=losses),
        plan=_plan(settings, number=number),
        source=chance.draw_secret("train", number),
    )


def _plan(settings: Settings, *, number: int) -> NoisyPlan:
    schedule = settings.round_plan.optimising.schedule
    return NoisyPlan(
        learning_rate=settings.learning_rate * schedule.factor(number),
        clip=settings.clip,
        noise=settings.noise,
        rate=settings.rate,
        steps=settings.local_steps,
        momentum=settings.momentum if settings.optimiser == "sgd" else 0.0,
        threads=settings.threads,
    )

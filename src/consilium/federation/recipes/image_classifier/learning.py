"""What a network learns from a site's images: soft targets, and a loss that knows the classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from consilium.federation.contract import Cases, Vector
from consilium.federation.networks import Work, class_weights
from consilium.federation.recipes.image_classifier.augmenting import augment, mix
from consilium.federation.recipes.image_classifier.inputs import IMAGE, as_channels_first
from consilium.federation.recipes.image_classifier.settings import Settings


def make_work(cases: Cases, settings: Settings, *, outputs: int) -> Work:
    """Make the work of a site's prepared cases.

    Parameters
    ----------
    outputs : int
        1 for yes or no, else the number of classes.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    images = as_channels_first(cases.tensors[IMAGE])
    classes = max(2, outputs)
    sure = functional.one_hot(torch.from_numpy(cases.y.astype(np.int64)), classes).float()
    soft = sure * (1 - settings.smoothing) + settings.smoothing / classes

    def batch(rows: np.ndarray, learning: bool) -> tuple[torch.Tensor, torch.Tensor]:
        if not learning:
            return images[rows], sure[rows]
        changed, targets = augment(images[rows], settings), soft[rows]
        if settings.mixup:
            changed, targets = mix(changed, targets, strength=settings.mixup)
        return changed.contiguous(memory_format=torch.channels_last), targets

    return Work(n=cases.n, batch=batch, loss=_loss(cases.y, settings, classes=classes))


def log_prior(y: Vector, classes: int) -> torch.Tensor:
    """Return the logarithm of each class's share, one case added to each class.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    counts = np.bincount(y.astype(np.intp), minlength=classes) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))


def two_sided(logits: torch.Tensor) -> torch.Tensor:
    """Turn log-odds of shape (n, 1) into logits of both classes; leave several classes alone.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    if logits.shape[1] > 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


def _loss(
    y: Vector, settings: Settings, *, classes: int
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return cross entropy; with weights for rare classes, or with the site's own prior.

    With the prior the network learns what tells the classes apart, not how
    frequent they are here: that differs from site to site.

    Sources
    -------
    Menon et al., ICLR 2021, arXiv:2007.07314 (logit adjustment); Zhang et al.,
    ICML 2022, arXiv:2209.00189 (the same against label skew in federations).
    """
    weights = torch.ones(classes)
    prior = torch.zeros(classes)
    if settings.balance == "weights":
        weights = torch.from_numpy(class_weights(y, classes))
    if settings.balance == "prior":
        prior = log_prior(y, classes)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        device = outputs.device
        shares = functional.log_softmax(two_sided(outputs.float()) + prior.to(device), dim=1)
        return -(targets * shares * weights.to(device)).sum(dim=1).mean()

    return loss

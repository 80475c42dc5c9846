"""From image fields to one stack of channels, normalised with the site's own statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from consilium.federation.contract import Cases, Needs, Vector
from consilium.federation.networks import learn_channels, scale_each
from consilium.kernel.errors import InputError

IMAGE = "image"
"""Name of the one tensor that `prepare` leaves."""
FITS = "one or more images, for a yes or no or for classes"

Images = npt.NDArray[np.float32]


def check_needs(needs: Needs, *, recipe: str) -> None:
    """Return if the study asks for images alone, and for a yes or no or classes.

    Raises
    ------
    InputError
        `federation.recipe_does_not_fit`.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    only_images = {need.kind for need in needs.features} == {"image"}
    if not only_images or needs.target.kind not in ("binary", "classes"):
        raise InputError("federation.recipe_does_not_fit", recipe=recipe, what=FITS)


def count_channels(needs: Needs) -> int:
    """Count the channels of all image fields together.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    return sum(need.shape[2] for need in needs.features)


def count_outputs(needs: Needs) -> int:
    """Return 1 for a yes or no, else the number of classes.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    return len(needs.target.classes) if needs.target.kind == "classes" else 1


def check_labels(y: Vector, needs: Needs, *, recipe: str) -> None:
    """Return if each label is a class of the study.

    Raises
    ------
    InputError
        `federation.bad_label`.

    Discloses
    ---------
    Nothing.
    """
    if not np.isin(y, np.arange(max(2, count_outputs(needs)))).all():
        raise InputError("federation.bad_label", recipe=recipe)


def stack_fields(cases: Cases, needs: Needs, *, size: int) -> Images:
    """Resize every field's images to size × size pixels and stack their channels.

    Returns
    -------
    array of shape (n, size, size, channels), float32

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    fields = [_resized(cases.tensors[need.name], size) for need in needs.features]
    return np.concatenate(fields, axis=3)


def learn_scaling(train: Images, *, way: str) -> Callable[[Images], Images]:
    """Return how images are normalised: by the training part's channels, or each by itself.

    Discloses
    ---------
    Nothing: the statistics stay in the job process.
    """
    return learn_channels(train).apply if way == "site" else scale_each


def as_channels_first(images: Images) -> torch.Tensor:
    """Return the images as torch wants them, without copying.

    Returns
    -------
    tensor of shape (n, channels, height, width)
        Its memory is as it was, which is the faster order on a processor.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _resized(images: npt.NDArray[np.generic], size: int) -> Images:
    found = as_channels_first(np.asarray(images, dtype=np.float32))
    if found.shape[-2:] != (size, size):
        found = functional.interpolate(
            found, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    return np.ascontiguousarray(found.permute(0, 2, 3, 1).numpy())

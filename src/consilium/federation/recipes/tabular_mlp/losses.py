"""Losses and their slopes, for a label of two classes, of several, and for a number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Matrix

Outputs = npt.NDArray[np.float64]
"""Of shape (M, B, outputs): M models, B cases each."""

Loss = Callable[[Outputs, Matrix], Matrix]
"""From outputs (M, B, outputs) and labels (M, B) to one loss for each case (M, B)."""

Slope = Callable[[Outputs, Matrix], Outputs]
"""From outputs and labels to the slope of each case's loss in its outputs."""


def _binary_loss(out: Outputs, y: Matrix) -> Matrix:
    z = out[:, :, 0]
    return np.logaddexp(0.0, z) - y * z


def _binary_slope(out: Outputs, y: Matrix) -> Outputs:
    return 0.5 * (1.0 + np.tanh(0.5 * out)) - y[:, :, None]


def _classes_loss(out: Outputs, y: Matrix) -> Matrix:
    highest = out.max(axis=2)
    total = np.log(np.exp(out - highest[:, :, None]).sum(axis=2)) + highest
    chosen = np.take_along_axis(out, y.astype(np.intp)[:, :, None], axis=2)[:, :, 0]
    loss: Matrix = total - chosen
    return loss


def _classes_slope(out: Outputs, y: Matrix) -> Outputs:
    raised = np.exp(out - out.max(axis=2, keepdims=True))
    chances: Outputs = raised / raised.sum(axis=2, keepdims=True)
    chances -= y[:, :, None] == np.arange(out.shape[2])
    return chances


def _number_loss(out: Outputs, y: Matrix) -> Matrix:
    return 0.5 * np.square(out[:, :, 0] - y)


def _number_slope(out: Outputs, y: Matrix) -> Outputs:
    return out - y[:, :, None]


LOSSES: dict[str, Loss] = {
    "binary": _binary_loss,
    "classes": _classes_loss,
    "number": _number_loss,
}
"""Negative log likelihood in nats; half the squared error for a number."""

SLOPES: dict[str, Slope] = {
    "binary": _binary_slope,
    "classes": _classes_slope,
    "number": _number_slope,
}

"""The network: many small perceptrons at once, forward and backward, in plain numpy.

A *stack* holds the arrays of M models of the same layout, each array with the
models on its first axis, so that one matrix product serves all of them: one
process trains many hospitals, or one with M = 1. What a model is can be read
off its arrays' names:

    hidden1.weight (inputs, width)   hidden1.bias (width,)
    hidden1.norm.scale, .shift, .mean, .variance (width,)      where it normalises
    hidden2.weight ...
    head.binary.weight (width, 1)    head.binary.bias (1,)     or head.classes, head.number
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Matrix, Vector

Stack = dict[str, npt.NDArray[np.float64]]
"""Arrays of M models by name, the models on the first axis."""

EPSILON = 1e-5
"""Added to a variance before its root is taken."""
MEMORY = 0.9
"""Share of the running statistics that a step leaves as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the names of a model's arrays say of it."""

    hidden: int
    normed: bool
    head: str

    @classmethod
    def of(cls, names: Iterable[str]) -> Layout:
        """Read the layout off the names."""
        known = sorted(names)
        return cls(
            hidden=sum(name.startswith("hidden") and _last(name) == "weight" for name in known),
            normed=any(".norm." in name for name in known),
            head=next(name for name in known if name.startswith("head.")).rpartition(".")[0],
        )

    @property
    def target(self) -> str:
        """What the head says: `binary`, `classes` or `number`."""
        return _last(self.head)


def draw_model(
    *, inputs: int, widths: Sequence[int], outputs: int, target: str, seed: int
) -> dict[str, Matrix]:
    """Draw a starting model without normalisation, each layer from U(±1/√its inputs).

    Returns
    -------
    dict of str to array, float64
        Without a leading axis.

    Discloses
    ---------
    Nothing: it sees no data.
    """
    generator, arrays = np.random.default_rng(seed), {}
    names = [*(f"hidden{place}" for place in range(1, len(widths) + 1)), f"head.{target}"]
    sizes = [inputs, *widths, outputs]
    for name, before, after in zip(names, sizes[:-1], sizes[1:], strict=True):
        bound = 1.0 / math.sqrt(before) if before else 0.0
        arrays[f"{name}.weight"] = generator.uniform(-bound, bound, size=(before, after))
        arrays[f"{name}.bias"] = generator.uniform(-bound, bound, size=after)
    return arrays


def fresh_norms(widths: Sequence[int]) -> dict[str, Matrix]:
    """Return normalisation that changes nothing yet: scale 1, shift 0, mean 0, variance 1.

    Discloses
    ---------
    Nothing: it sees no data.
    """
    fresh = {"scale": np.ones, "shift": np.zeros, "mean": np.zeros, "variance": np.ones}
    return {
        f"hidden{place}.norm.{name}": make(width)
        for place, width in enumerate(widths, start=1)
        for name, make in fresh.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one hidden layer leaves behind for the way back."""

    inputs: npt.NDArray[np.float64]  # (M, B, before)
    raw: npt.NDArray[np.float64]  # (M, B, width), before normalisation
    standard: npt.NDArray[np.float64]  # (M, B, width), normalised, before scale and shift
    inverse: npt.NDArray[np.float64]  # (M, 1, width), one over the spread
    active: npt.NDArray[np.bool_]  # (M, B, width)
    mask: npt.NDArray[np.float64] | None  # (M, B, width), dropout's


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A batch's way through the networks.

    `out` of shape (M, B, outputs), `features` of shape (M, B, width) what the
    head was given, and the layers. `moments` holds mean and variance of each
    normalised layer in this batch, (M, width), where it was one of training.
    """

    out: npt.NDArray[np.float64]
    features: npt.NDArray[np.float64]
    layers: tuple[Layer, ...]
    moments: Mapping[str, npt.NDArray[np.float64]]


def forward(
    model: Stack,
    x: npt.NDArray[np.float64],
    *,
    rows: Matrix | None = None,
    masks: Sequence[npt.NDArray[np.float64]] = (),
) -> Passed:
    """Send a batch of each model's own cases through it.

    Parameters
    ----------
    model : mapping of str to array
        M models.
    x : array of shape (M, B, inputs), float64
    rows : array of shape (M, B), float64, optional
        Given in training: the weight of each row, 1/n for the n rows of a
        model and 0 for padding. Layers normalise by these rows' mean and
        variance; without it by the running ones.
    masks : sequence of array of shape (M, B, width), optional
        Dropout's factors, one array for each hidden layer.

    Discloses
    ---------
    Nothing: it all stays in the job process.

    Sources
    -------
    Ioffe, Szegedy, ICML 2015, arXiv:1502.03167 (batch normalisation).
    """
    layout, layers, signal = Layout.of(model), [], x
    moments: Stack = {}
    for place in range(layout.hidden):
        name, mask = f"hidden{place + 1}", masks[place] if masks else None
        raw = signal @ model[f"{name}.weight"] + model[f"{name}.bias"][:, None, :]
        standard, inverse, z = raw, np.ones((len(raw), 1, 1)), raw
        if layout.normed:
            norm = f"{name}.norm"
            mean, variance = _moments(raw, rows) if rows is not None else _running(model, norm)
            moments |= {f"{norm}.mean": mean[:, 0], f"{norm}.variance": variance[:, 0]}
            inverse = 1.0 / np.sqrt(variance + EPSILON)
            standard = (raw - mean) * inverse
            z = standard * model[f"{norm}.scale"][:, None, :] + model[f"{norm}.shift"][:, None, :]
        active = z > 0
        layers.append(
            Layer(
                inputs=signal, raw=raw, standard=standard, inverse=inverse, active=active, mask=mask
            )
        )
        signal = z * active if mask is None else z * active * mask
    out = signal @ model[f"{layout.head}.weight"] + model[f"{layout.head}.bias"][:, None, :]
    return Passed(out=out, features=signal, layers=tuple(layers), moments=moments)


def backward(
    model: Stack,
    passed: Passed,
    slope: npt.NDArray[np.float64],
    *,
    rows: Matrix,
    feature_slope: npt.NDArray[np.float64] | None = None,
) -> Stack:
    """Return the loss's slope in every array that is trained.

    Parameters
    ----------
    slope : array of shape (M, B, outputs), float64
        Slope of each model's loss in its outputs; 0 in padded rows.
    feature_slope : array of shape (M, B, width), float64, optional
        What else the loss depends on: its slope in the head's inputs.

    Returns
    -------
    mapping of str to array
        Running means and variances are not in it: they are not trained.

    Discloses
    ---------
    Nothing: it all stays in the job process.
    """
    layout, head = Layout.of(model), Layout.of(model).head
    slopes = {
        f"{head}.weight": _turned(passed.features) @ slope,
        f"{head}.bias": slope.sum(axis=1),
    }
    back = slope @ _turned(model[f"{head}.weight"])
    if feature_slope is not None:
        back = back + feature_slope
    for place in range(layout.hidden, 0, -1):
        name, layer = f"hidden{place}", passed.layers[place - 1]
        back = back * layer.active if layer.mask is None else back * layer.active * layer.mask
        if layout.normed:
            slopes[f"{name}.norm.scale"] = (back * layer.standard).sum(axis=1)
            slopes[f"{name}.norm.shift"] = back.sum(axis=1)
            back = _through_norm(back * model[f"{name}.norm.scale"][:, None, :], layer, rows)
        slopes[f"{name}.weight"] = _turned(layer.inputs) @ back
        slopes[f"{name}.bias"] = back.sum(axis=1)
        if place > 1:
            back = back @ _turned(model[f"{name}.weight"])
    return slopes


def remember(model: Stack, passed: Passed, sizes: Vector) -> None:
    """Move the running means and variances towards a training batch's, in place.

    Parameters
    ----------
    sizes : array of shape (M,), float64
        Rows of each model's batch. The variance is that of a sample, n - 1;
        one row has none, and changes nothing.

    Discloses
    ---------
    Nothing: it all stays in the job process.
    """
    step = np.where(sizes > 1, 1.0 - MEMORY, 0.0)[:, None]
    sample = (sizes / np.maximum(sizes - 1, 1))[:, None]
    for name, found in passed.moments.items():
        seen = found * sample if _last(name) == "variance" else found
        model[name] = (1 - step) * model[name] + step * seen


def norm_inputs(model: Stack, x: npt.NDArray[np.float64]) -> list[tuple[Vector, Vector]]:
    """Return mean and variance of what each normalised layer is given, over one site's cases.

    Parameters
    ----------
    model : mapping of str to array
        One model, M = 1.
    x : array of shape (n, inputs), float64

    Returns
    -------
    list of (mean, variance), each of shape (width,)
        From the first hidden layer to the last.

    Discloses
    ---------
    Nothing by itself. Sent on, these are aggregates of all cases given: means
    and variances of the layer's inputs.
    """
    return [
        (layer.raw[0].mean(axis=0), layer.raw[0].var(axis=0))
        for layer in forward(model, x[None]).layers
    ]


def _through_norm(back: npt.NDArray[np.float64], layer: Layer, rows: Matrix) -> Matrix:
    """Take a slope through a normalisation by the batch's own mean and variance."""
    total = back.sum(axis=1, keepdims=True)
    along = (back * layer.standard).sum(axis=1, keepdims=True)
    slope: Matrix = layer.inverse * (back - rows[:, :, None] * (total + layer.standard * along))
    return slope


def _moments(raw: npt.NDArray[np.float64], rows: Matrix) -> tuple[Matrix, Matrix]:
    mean = rows[:, None, :] @ raw
    return mean, rows[:, None, :] @ np.square(raw - mean)


def _running(model: Stack, norm: str) -> tuple[Matrix, Matrix]:
    # A poisoned average can make a variance negative; the model is bad then, not undefined.
    variance = np.maximum(model[f"{norm}.variance"], 0.0)
    return model[f"{norm}.mean"][:, None, :], variance[:, None, :]


def _turned(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return array.swapaxes(1, 2)


def _last(name: str) -> str:
    return name.rpartition(".")[2]

"""Minibatch gradient descent for a stack of models, each on its own site's cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Cases, Matrix
from consilium.federation.personal import pulled_slope
from consilium.federation.recipes.tabular_mlp.losses import LOSSES, SLOPES
from consilium.federation.recipes.tabular_mlp.network import (
    Layout,
    Stack,
    backward,
    forward,
    remember,
)
from consilium.federation.recipes.tabular_mlp.settings import Settings
from consilium.models.weights import Arrays

Lesson = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64], Matrix], Matrix]
"""From a batch's inputs, its features and its rows' weights to a slope in the features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Adds strength/2 ‖w - anchor‖² to the loss of every trained array."""

    anchor: Mapping[str, npt.NDArray[np.float64]]
    strength: float


def stack_models(models: Sequence[Arrays]) -> Stack:
    """Put models of the same layout on one leading axis; float64 copies.

    Discloses
    ---------
    Nothing: it all stays in the job process.
    """
    return {
        name: np.stack([np.asarray(model[name], dtype=np.float64) for model in models])
        for name in sorted(models[0])
    }


def unstack_models(stack: Stack) -> list[dict[str, Matrix]]:
    """Take a stack apart again.

    Discloses
    ---------
    Nothing: it all stays in the job process.
    """
    count = len(next(iter(stack.values())))
    return [{name: stack[name][place].copy() for name in sorted(stack)} for place in range(count)]


def descend(
    start: Stack,
    sites: Sequence[Cases],
    *,
    settings: Settings,
    generators: Sequence[np.random.Generator],
    pull: Pull | None = None,
    lesson: Lesson | None = None,
) -> Stack:
    """Take `settings.local_steps` steps from `start`, every model on its own site's cases.

    Each step lowers the mean loss of one batch, plus the pull, plus l2/2 ‖w‖²
    of the weights without biases and normalisation. Momentum begins at 0 in
    each call. A model's way does not depend on the others of its stack.

    Parameters
    ----------
    start : mapping of str to array
        M models.
    sites : sequence of Cases
        M sites' prepared cases, at least one row each. Labels of a number are
        in the unit of the outputs.
    generators : sequence of Generator
        M, one for each site: they deal batches and draw dropout.
    lesson : callable, optional
        Adds a slope in the features: distillation.

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.

    Sources
    -------
    Li et al., MLSys 2020, arXiv:1812.06127 (proximal term, squared norm);
    Srivastava et al., JMLR 15, 2014 (dropout).
    """
    model = {name: array.copy() for name, array in start.items()}
    slope_of = SLOPES[Layout.of(model).target]
    velocity: Stack = {}
    x, y = (np.concatenate([getattr(site, name) for site in sites]) for name in ("x", "y"))
    sizes = np.minimum([site.n for site in sites], settings.batch_size)
    rows = (np.arange(sizes.max()) < sizes[:, None]) / sizes[:, None]
    # A learning rate may diverge; the output gate refuses what is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        for batch in _batches(sites, sizes, steps=settings.local_steps, generators=generators):
            masks = _masks(model, sizes, settings=settings, generators=generators)
            inputs = x[batch]
            passed = forward(model, inputs, rows=rows, masks=masks)
            slope = slope_of(passed.out, y[batch]) * rows[:, :, None]
            taught = None if lesson is None else lesson(inputs, passed.features, rows)
            slopes = backward(model, passed, slope, rows=rows, feature_slope=taught)
            for name, found in slopes.items():
                if pull is not None and pull.strength:
                    found = pulled_slope(
                        found, model[name], anchor=pull.anchor[name], strength=pull.strength
                    )
                if settings.l2 and name.endswith(".weight"):
                    found = found + settings.l2 * model[name]
                if settings.momentum:
                    velocity[name] = found = settings.momentum * velocity.get(name, 0.0) + found
                model[name] = model[name] - settings.learning_rate * found
            remember(model, passed, sizes.astype(np.float64))
    return model


def mean_loss(model: Arrays, cases: Cases) -> float:
    """Return one model's mean loss over all cases given, running statistics in use.

    Discloses
    ---------
    Nothing by itself: one mean over all cases given.
    """
    stack = stack_models([model])
    with np.errstate(over="ignore", invalid="ignore"):
        out = forward(stack, cases.x[None]).out
        return float(np.mean(LOSSES[Layout.of(stack).target](out, cases.y[None])))


def _batches(
    sites: Sequence[Cases],
    sizes: npt.NDArray[np.intp],
    *,
    steps: int,
    generators: Sequence[np.random.Generator],
) -> Iterator[npt.NDArray[np.int32]]:
    """Deal each site's shuffled cases without end; yield rows of all sites, (M, B), padded.

    A pass takes every case once; a batch may hold the end of one and the
    beginning of the next, so that all batches of a site have one size.
    """
    first, width = 0, int(sizes.max())
    dealt = np.zeros((steps, len(sites), width), dtype=np.int32)
    for place, (site, size) in enumerate(zip(sites, sizes, strict=True)):
        passes = -(-steps * int(size) // site.n)
        order = np.concatenate([generators[place].permutation(site.n) for _ in range(passes)])
        dealt[:, place, :size] = first + order[: steps * size].reshape(steps, size)
        first += site.n
    yield from dealt


def _masks(
    model: Stack,
    sizes: npt.NDArray[np.intp],
    *,
    settings: Settings,
    generators: Sequence[np.random.Generator],
) -> list[npt.NDArray[np.float64]]:
    """Draw which units of each hidden layer stay, scaled so that the mean is kept."""
    if not settings.dropout:
        return []
    stay, masks = 1.0 - settings.dropout, []
    for place in range(1, Layout.of(model).hidden + 1):
        mask = np.zeros((len(sizes), sizes.max(), model[f"hidden{place}.weight"].shape[2]))
        for site, (size, generator) in enumerate(zip(sizes, generators, strict=True)):
            mask[site, :size] = (generator.random((size, mask.shape[2])) < stay) / stay
        masks.append(mask)
    return masks

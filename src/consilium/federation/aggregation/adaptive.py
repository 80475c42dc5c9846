"""Server optimisers: the mean update taken as a gradient, with a memory between rounds.

Settings are not interchangeable between them: momentum repeats a step up to
1 / (1 - momentum) times, Adam and Yogi make steps of about
`server_learning_rate` in every weight, however long the update was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.averaging import by_cases
from consilium.federation.aggregation.records import Aggregated, Rule
from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting
from consilium.models.weights import Arrays

SecondMoment = Callable[[Matrix, Matrix, float], Matrix]
"""From v, Δ² and β₂ to the next v."""


def _momentum(
    model: Arrays, mean: Arrays, state: Arrays, settings: Mapping[str, Any]
) -> Aggregated:
    """Step by m ← β m + Δ, w ← w + η m; m begins at 0."""
    moved: dict[str, Matrix] = {}
    memory: dict[str, Matrix] = {}
    for name in sorted(model):
        before = state.get(f"m.{name}", np.zeros_like(mean[name]))
        memory[f"m.{name}"] = settings["momentum"] * before + mean[name]
        moved[name] = model[name] + settings["server_learning_rate"] * memory[f"m.{name}"]
    return Aggregated(model=moved, state=memory)


def _adam(model: Arrays, mean: Arrays, state: Arrays, settings: Mapping[str, Any]) -> Aggregated:
    """Take the adaptive step with Adam's second moment: v ← β₂v + (1-β₂)Δ²."""

    def second(v: Matrix, square: Matrix, beta_2: float) -> Matrix:
        return beta_2 * v + (1 - beta_2) * square

    return _adapt(model, mean, state=state, settings=settings, second=second)


def _yogi(model: Arrays, mean: Arrays, state: Arrays, settings: Mapping[str, Any]) -> Aggregated:
    """Take the adaptive step with Yogi's second moment: v ← v - (1-β₂)Δ² sign(v - Δ²)."""

    def second(v: Matrix, square: Matrix, beta_2: float) -> Matrix:
        return v - (1 - beta_2) * square * np.sign(v - square)

    return _adapt(model, mean, state=state, settings=settings, second=second)


def _adapt(
    model: Arrays,
    mean: Arrays,
    *,
    state: Arrays,
    settings: Mapping[str, Any],
    second: SecondMoment,
) -> Aggregated:
    """Step by m ← β₁m + (1-β₁)Δ, v by `second`, w ← w + η m / (√v + τ).

    No bias correction; m and v begin at 0.
    """
    beta_1, beta_2 = settings["beta_1"], settings["beta_2"]
    moved: dict[str, Matrix] = {}
    memory: dict[str, Matrix] = {}
    for name in sorted(model):
        zero = np.zeros_like(mean[name])
        m = beta_1 * state.get(f"m.{name}", zero) + (1 - beta_1) * mean[name]
        v = second(state.get(f"v.{name}", zero), mean[name] ** 2, beta_2)
        moved[name] = model[name] + settings["server_learning_rate"] * m / (
            np.sqrt(v) + settings["tau"]
        )
        memory |= {f"m.{name}": m, f"v.{name}": v}
    return Aggregated(model=moved, state=memory)


_MOMENTUM_SETTINGS = (
    Setting(
        name="server_learning_rate",
        kind="number",
        default=1.0,
        above=0,
        most=10,
        meaning="Length of the server's step; 1 with momentum 0 is FedAvg.",
    ),
    Setting(
        name="momentum",
        kind="number",
        default=0.9,
        least=0,
        most=0.9999,
        meaning="Share of the last round's step that is repeated.",
    ),
)

_ADAPTIVE_SETTINGS = (
    Setting(name="server_learning_rate", kind="number", default=1e-2, above=0, most=10),
    Setting(name="beta_1", kind="number", default=0.9, least=0, most=0.9999),
    Setting(name="beta_2", kind="number", default=0.999, least=0, most=0.99999),
    Setting(name="tau", kind="number", default=1e-8, above=0, most=1),
)

ADAPTIVE = (
    Rule(name="fedavgm", combine=by_cases, step=_momentum, schema=_MOMENTUM_SETTINGS),
    Rule(name="fedadam", combine=by_cases, step=_adam, schema=_ADAPTIVE_SETTINGS),
    Rule(name="fedyogi", combine=by_cases, step=_yogi, schema=_ADAPTIVE_SETTINGS),
)

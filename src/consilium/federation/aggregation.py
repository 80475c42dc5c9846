"""Aggregation rules: how the sites' updates become the next model.

Named, pure functions on numpy arrays, float64, sites summed in sorted order:
the same updates give the same bytes in whatever order they came. The hub needs
neither a recipe nor a learning library to apply them. An *update* is a site's
weights minus the global weights it was given.

Notation: sites i = 1..K with n_i cases, p_i = n_i / Σn, update Δ_i,
Δ = Σ p_i Δ_i, global weights w.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting, fill_settings
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One site's update and the number of cases behind it (at least 1)."""

    update: Arrays
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregated:
    """The next model and the rule's memory for the round after."""

    model: dict[str, Matrix]
    state: dict[str, Matrix]


Step = Callable[[Arrays, Arrays, Arrays, Mapping[str, Any]], Aggregated]
"""From model, mean update, state and settings to the next model and state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A named way to turn the mean update into the next model."""

    name: str
    step: Step
    schema: tuple[Setting, ...] = ()


def aggregate(
    rule: str,
    model: Arrays,
    *,
    contributions: Mapping[ParticipantId, Contribution],
    state: Arrays,
    settings: Mapping[str, Any],
) -> Aggregated:
    """Apply a rule to one round's contributions.

    Parameters
    ----------
    rule : str
        A name in `RULES`.
    model : mapping of str to array
        The global weights that every site was given.
    contributions : mapping of participant to Contribution
        At least one. Their order does not matter.
    state : mapping of str to array
        What the rule returned in the round before; empty in round 1.
    settings : mapping
        The study's `rule_settings`.

    Raises
    ------
    InputError
        `federation.unknown_rule`, `federation.bad_setting`,
        `federation.bad_update`; also when the result is not finite.

    Discloses
    ---------
    Nothing new: it runs at the hub, on what the sites' gates have let out.

    Sources
    -------
    McMahan et al., AISTATS 2017 (FedAvg); Li et al., MLSys 2020 (FedProx; the
    proximal term is the site's); Reddi et al., ICLR 2021, algorithm 2 (FedAdam).
    """
    found = find_rule(rule)
    filled = fill_settings(found.schema, settings, owner=rule)
    for site, contribution in sorted(contributions.items()):
        check_update(contribution, model=model, site=site)
    result = found.step(model, mean_update(contributions), state, filled)
    if not all(np.isfinite(array).all() for array in result.model.values()):
        raise InputError("federation.bad_update", site="all", reason="the new model is not finite")
    return result


def mean_update(contributions: Mapping[ParticipantId, Contribution]) -> dict[str, Matrix]:
    """Return Δ = Σ p_i Δ_i, sites in sorted order, float64.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    parts = [contributions[site] for site in sorted(contributions)]
    total = float(sum(part.n for part in parts))
    names = sorted(parts[0].update)
    mean = {name: np.zeros(parts[0].update[name].shape) for name in names}
    for part in parts:
        for name in names:
            mean[name] += (part.n / total) * part.update[name].astype(np.float64)
    return mean


def check_update(contribution: Contribution, *, model: Arrays, site: ParticipantId) -> None:
    """Refuse an update that does not fit the model or is not finite.

    Raises
    ------
    InputError
        `federation.bad_update`, naming the site and the flaw.

    Discloses
    ---------
    Nothing: a refusal names the site and the array, no number.
    """
    flaw = _flaw(contribution, model)
    if flaw:
        raise InputError("federation.bad_update", site=site, reason=flaw)


def _flaw(contribution: Contribution, model: Arrays) -> str:
    update = contribution.update
    if contribution.n < 1:
        return "no cases"
    if sorted(update) != sorted(model):
        return "other arrays than the model"
    for name in sorted(model):
        if update[name].shape != model[name].shape:
            return f"shape of {name}"
        if update[name].dtype != model[name].dtype:
            return f"type of {name}"
        if not np.isfinite(update[name]).all():
            return f"{name} is not finite"
    return ""


def find_rule(name: str) -> Rule:
    """Return a rule by name.

    Raises
    ------
    InputError
        `federation.unknown_rule`.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    if name not in RULES:
        raise InputError("federation.unknown_rule", rule=name, known=", ".join(sorted(RULES)))
    return RULES[name]


def check_rule(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's settings with defaults filled in; refuses what it does not know.

    Raises
    ------
    InputError
        `federation.unknown_rule`, `federation.unknown_setting`, `federation.bad_setting`.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    return fill_settings(find_rule(name).schema, settings, owner=name)


def _average(model: Arrays, mean: Arrays, state: Arrays, settings: Mapping[str, Any]) -> Aggregated:
    """Add the mean update: w ← w + Δ. No memory."""
    del state, settings
    return Aggregated(model={name: model[name] + mean[name] for name in sorted(model)}, state={})


def _adam(model: Arrays, mean: Arrays, state: Arrays, settings: Mapping[str, Any]) -> Aggregated:
    """Step by m ← β₁m + (1-β₁)Δ, v ← β₂v + (1-β₂)Δ², w ← w + η m / (√v + τ).

    No bias correction; m and v begin at 0.
    """
    beta_1, beta_2 = settings["beta_1"], settings["beta_2"]
    moved: dict[str, Matrix] = {}
    memory: dict[str, Matrix] = {}
    for name in sorted(model):
        zero = np.zeros_like(mean[name])
        first = beta_1 * state.get(f"m.{name}", zero) + (1 - beta_1) * mean[name]
        second = beta_2 * state.get(f"v.{name}", zero) + (1 - beta_2) * mean[name] ** 2
        step = settings["server_learning_rate"] * first / (np.sqrt(second) + settings["tau"])
        moved[name] = model[name] + step
        memory |= {f"m.{name}": first, f"v.{name}": second}
    return Aggregated(model=moved, state=memory)


_ADAM_SETTINGS = (
    Setting(name="server_learning_rate", kind="number", default=1e-2, above=0, most=10),
    Setting(name="beta_1", kind="number", default=0.9, least=0, most=0.9999),
    Setting(name="beta_2", kind="number", default=0.999, least=0, most=0.99999),
    Setting(name="tau", kind="number", default=1e-8, above=0, most=1),
)

RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(name="fedavg", step=_average),
        Rule(name="fedprox", step=_average),
        Rule(name="fedadam", step=_adam, schema=_ADAM_SETTINGS),
    )
}
"""Every rule by name. FedProx differs from FedAvg at the sites only (`proximal_mu`)."""

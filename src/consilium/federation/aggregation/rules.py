"""Every rule by name: checked, then applied to one round."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.adaptive import ADAPTIVE
from consilium.federation.aggregation.averaging import AVERAGING, by_cases
from consilium.federation.aggregation.bagging import BAGGING
from consilium.federation.aggregation.fairness import FAIRNESS
from consilium.federation.aggregation.fltrust import FLTRUST
from consilium.federation.aggregation.records import (
    Aggregated,
    Contribution,
    Contributions,
    Rule,
)
from consilium.federation.aggregation.robust import ROBUST
from consilium.federation.aggregation.screening import SCREENING
from consilium.federation.settings_schema import fill_settings
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (*AVERAGING, *ADAPTIVE, *FAIRNESS, *ROBUST, *SCREENING, *FLTRUST, *BAGGING)
}
"""Every rule by name."""


def aggregate(
    rule: str,
    model: Arrays,
    *,
    contributions: Contributions,
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
        At least as many as the rule needs. Their order does not matter.
    state : mapping of str to array
        What the rule returned in the round before; empty in round 1.
    settings : mapping
        The study's `rule_settings`.

    Raises
    ------
    InputError
        `federation.unknown_rule`, `federation.bad_setting`,
        `federation.too_few_sites`, `federation.no_root`,
        `federation.bad_update`; the last also when the result is not finite.

    Discloses
    ---------
    Nothing new: it runs at the hub, on what the sites' gates have let out.

    Sources
    -------
    McMahan et al., AISTATS 2017 (FedAvg); Li et al., MLSys 2020 (FedProx; the
    proximal term is the site's); Hsu, Qi, Brown, 2019, arXiv:1909.06335
    (FedAvgM); Reddi et al., ICLR 2021, algorithm 2 (FedAdam, FedYogi). Those of
    the other rules stand at their functions.
    """
    found = find_rule(rule)
    filled = fill_settings(found.schema, settings, owner=rule)
    _check_number(found, filled, given=len(contributions))
    for site, contribution in sorted(contributions.items()):
        check_update(contribution, model=model, site=site, needs_loss=found.needs_loss)
    update = found.combine(contributions, filled)
    return _step(found, model, update, state=state, filled=filled)


def step_on_mean(
    rule: str,
    model: Arrays,
    mean: Arrays,
    *,
    state: Arrays,
    settings: Mapping[str, Any],
) -> Aggregated:
    """Apply a rule to the mean update of a secure sum.

    Parameters
    ----------
    rule : str
        One that `check_mean_rule` passes.
    model, state, settings
        As in `aggregate`.
    mean : mapping of str to array
        Σ n_i x_i / Σ n_i, names and shapes of `model`, float64.

    Raises
    ------
    InputError
        As `aggregate`; `federation.needs_single_updates`.

    Discloses
    ---------
    Nothing new: it runs at the hub, on a sum that the sites have opened.
    """
    found = find_rule(rule)
    check_mean_rule(rule)
    filled = fill_settings(found.schema, settings, owner=rule)
    return _step(found, model, mean, state=state, filled=filled)


def check_mean_rule(rule: str) -> None:
    """Refuse a rule that needs more than the mean of the updates.

    Raises
    ------
    InputError
        `federation.unknown_rule`, `federation.needs_single_updates`.

    Discloses
    ---------
    Nothing: it sees a name.
    """
    if not is_mean_rule(rule):
        known = ", ".join(name for name in sorted(RULES) if RULES[name].combine is by_cases)
        raise InputError("federation.needs_single_updates", rule=rule, known=known)


def is_mean_rule(rule: str) -> bool:
    """Say whether a rule needs nothing but the mean, so that it goes with secure sums.

    Discloses
    ---------
    Nothing: it sees a name.
    """
    return find_rule(rule).combine is by_cases


def knows_modules(rule: str) -> bool:
    """Say whether a rule averages a modality's encoder over the sites that have the modality.

    Discloses
    ---------
    Nothing: it sees a name.
    """
    found = find_rule(rule)
    return found.combine is by_cases or found in FLTRUST


def _step(
    rule: Rule, model: Arrays, update: Arrays, *, state: Arrays, filled: Mapping[str, Any]
) -> Aggregated:
    result = rule.step(model, update, state, filled)
    if not all(np.isfinite(array).all() for array in result.model.values()):
        raise InputError("federation.bad_update", site="all", reason="the new model is not finite")
    # Sums are taken in float64; the model keeps its own precision, and so its size on the wire.
    same = {name: result.model[name].astype(model[name].dtype) for name in sorted(model)}
    return Aggregated(model=same, state=result.state)


def check_update(
    contribution: Contribution, *, model: Arrays, site: ParticipantId, needs_loss: bool = False
) -> None:
    """Refuse an update that does not fit the model or the rule, or is not finite.

    Raises
    ------
    InputError
        `federation.bad_update`, naming the site and the flaw.

    Discloses
    ---------
    Nothing: a refusal names the site and the array, no number.
    """
    flaw = _flaw(contribution, model)
    if not flaw and needs_loss and not _is_loss(contribution.loss):
        flaw = "no loss before training"
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


def _is_loss(loss: float | None) -> bool:
    return loss is not None and math.isfinite(loss) and loss >= 0


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


def check_sites(name: str, settings: Mapping[str, Any], *, given: int) -> None:
    """Refuse a number of sites below what a rule needs with these settings.

    Parameters
    ----------
    name : str
        A name in `RULES`.
    settings : mapping
        The study's `rule_settings`; defaults are added.
    given : int
        The sites of a round: for a plan its quorum, the fewest there can be.

    Raises
    ------
    InputError
        `federation.too_few_sites`, and what `check_rule` raises.

    Discloses
    ---------
    Nothing: it sees settings and a number of hospitals.
    """
    _check_number(find_rule(name), check_rule(name, settings), given=given)


def check_named_sites(
    name: str, settings: Mapping[str, Any], *, sites: Collection[ParticipantId]
) -> None:
    """Refuse settings that name somebody who is not invited, where a rule names a site.

    Raises
    ------
    InputError
        `federation.bad_setting`, and what `check_rule` raises.

    Discloses
    ---------
    Nothing: it sees settings and names.
    """
    filled = check_rule(name, settings)
    for setting in find_rule(name).site_settings:
        if filled[setting] not in sites:
            allowed = " | ".join(sorted(sites))
            raise InputError("federation.bad_setting", owner=name, setting=setting, allowed=allowed)


def least_sites(name: str, settings: Mapping[str, Any]) -> int:
    """Return the fewest sites that a rule needs with these settings, at least 1.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    return find_rule(name).least_sites(check_rule(name, settings))


def _check_number(rule: Rule, filled: Mapping[str, Any], *, given: int) -> None:
    needed = rule.least_sites(filled)
    if given < needed:
        raise InputError("federation.too_few_sites", rule=rule.name, needed=needed, given=given)

"""The membership attack on a whole federation: the shared model, all hospitals' cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.federation.audits.membership import (
    Fit,
    Members,
    MembershipReport,
    Vector,
    audit_membership,
)
from consilium.federation.contract import Cases, Needs, Recipe
from consilium.federation.simulation import simulate
from consilium.kernel.errors import InputError


def federated_fit(
    recipe: Recipe,
    parts: Mapping[str, Cases],
    *,
    needs: Needs,
    settings: Any,
    rounds: int,
    seed: int,
    rule: str = "fedavg",
    rule_settings: Mapping[str, Any] | None = None,
) -> Fit:
    """Return a way of training: a federation in which each hospital has its members only.

    Cases are counted hospital after hospital, in the order of `parts`.

    Discloses
    ---------
    Nothing: everything stays in this process.
    """
    ends = np.cumsum([part.n for part in parts.values()])[:-1]

    def fit(members: Members, number: int) -> Vector:
        masks = np.split(members, ends)
        sites = {
            site: (part.take(mask), part)
            for (site, part), mask in zip(parts.items(), masks, strict=True)
        }
        done = simulate(
            recipe,
            sites,
            needs=needs,
            settings=settings,
            rounds=rounds,
            seed=seed + 1_000 * number,
            rule=rule,
            rule_settings=rule_settings,
        )
        sure = []
        for site, prepared in done.prepared.items():
            z = done.predict(site, prepared.held_out)
            sure.append((2.0 * prepared.held_out.y - 1.0) * z)
        return np.concatenate(sure)

    return fit


def audit_federation(
    recipe: Recipe,
    parts: Mapping[str, Cases],
    *,
    needs: Needs,
    settings: Any,
    rounds: int,
    models: int,
    seed: int,
    rule: str = "fedavg",
    rule_settings: Mapping[str, Any] | None = None,
) -> MembershipReport:
    """Attack the shared model of a federation for a label of two classes.

    A lead can do so with the data that it may see: its own, or open ones.

    Parameters
    ----------
    parts : mapping of str to Cases
        Each hospital's training part, before `prepare`.
    models : int
        How many federations are trained; even, at least 18.

    Raises
    ------
    InputError
        `federation.bad_audit`.

    Discloses
    ---------
    To whoever reads the report: three figures about all cases together.
    """
    if needs.target.kind != "binary":
        raise InputError("federation.bad_audit", models=models)
    fit = federated_fit(
        recipe,
        parts,
        needs=needs,
        settings=settings,
        rounds=rounds,
        seed=seed,
        rule=rule,
        rule_settings=rule_settings,
    )
    cases = sum(part.n for part in parts.values())
    return audit_membership(fit, cases=cases, models=models, seed=seed)

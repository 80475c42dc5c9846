"""An audit at a hospital: from a signed plan, an open array file and weights to figures.

It runs in a process of its own, as training does: recipe code meets patients
here, so what fails is told by its kind and place, never by its words.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from consilium.federation.audits.release import (
    Attacked,
    Tell,
    audit_release,
    check_audit,
    usual_references,
)
from consilium.federation.contract import Cases, Chance, Needs, Prepared
from consilium.federation.registry import Recipes
from consilium.federation.site import inside_boundary, read_cases
from consilium.gate.orders import Study
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import LeaseId, ParticipantId
from consilium.models.verdicts import Attack
from consilium.models.weights import unpack_arrays

TASK = "audit"
_NO_LEASE = LeaseId("")
FEWEST = 10
"""Patients of either side, open data too: with fewer an interval means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A hospital's data, opened for one audit; `facts` are those of a lease."""

    file: BinaryIO
    facts: Mapping[str, Json]
    id: LeaseId = _NO_LEASE
    kept: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFigures:
    """What an audit found: attacks, patients of either side, reference models."""

    attacks: tuple[Attack, ...]
    members: int
    others: int
    references: int


def audit_at_hospital(
    study: Study,
    opened: Opened,
    weights: bytes,
    *,
    recipes: Recipes,
    references: int | None = None,
    tell: Tell | None = None,
) -> AuditFigures:
    """Attack a study's model with this hospital's own patients.

    Parameters
    ----------
    study : Study
        The plan; somebody has checked it.
    weights : bytes
        The model's safetensors file.
    references : int, optional
        Reference models; as many as the kind of data is worth if not given.

    Raises
    ------
    InputError
        `federation.too_few_to_audit` before any attack; what `check_audit` says.
    RecipeError
        `federation.recipe_failed`, also where the model predicts what is no number.

    Discloses
    ---------
    To the node: figures and counts of all patients together.
    """
    needs = Needs(features=study.features, target=study.target)
    wanted = usual_references(needs) if references is None else references
    check_audit(needs, references=wanted)
    recipe, name = recipes.get(study.recipe), study.recipe.name
    here = ParticipantId(str(opened.facts["participant"]))
    place = study.find_site(here)
    train, held_out = read_cases(opened, needs, lacks=place.lacks if place else ())
    chance = Chance(seed=study.seed, participant=here, secret=os.urandom(32))

    def prepare() -> tuple[Attacked, Prepared]:
        settings = recipe.read_settings(study.recipe.settings)
        attacked = Attacked(
            recipe=recipe,
            arrays=unpack_arrays(weights),
            start=recipe.initial(needs, settings, seed=study.seed),
            needs=needs,
            settings=settings,
            rounds=study.rounds,
            chance=chance,
        )
        return attacked, recipe.prepare(
            train, held_out, needs=needs, settings=settings, chance=chance
        )

    attacked, prepared = inside_boundary(prepare, recipe=name, task=TASK)
    members, others = _patients(prepared.train), _patients(prepared.held_out)
    _require(members, others, least=int(str(opened.facts["min_cases"])))
    attacks = inside_boundary(
        lambda: audit_release(attacked, prepared, references=wanted, tell=tell),
        recipe=name,
        task=TASK,
    )
    return AuditFigures(attacks=attacks, members=members, others=others, references=wanted)


def _patients(cases: Cases) -> int:
    return int(np.unique(cases.group).size)


def _require(members: int, others: int, *, least: int) -> None:
    """Refuse sides so small that a figure would be about single patients."""
    if min(members, others) < max(least, FEWEST):
        raise InputError("federation.too_few_to_audit", least=max(least, FEWEST))

"""From a verified outcome to the model's passport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from consilium.federation.outcome import Outcome
from consilium.gate.orders import Invitation, Study
from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.identifiers import ParticipantId
from consilium.models.passports import (
    NO_NOISE,
    NOISE,
    Capability,
    Input,
    Lineage,
    Passport,
    SiteRecord,
)

TASKS = {
    "binary": "binary classification",
    "classes": "classification",
    "number": "regression",
    "survival": "survival analysis",
    "mask": "segmentation",
}
"""What a model does, by kind of target, in the words of model cards."""
_UNKNOWN = Digest("")


def make_passport(
    outcome: Outcome,
    *,
    fingerprints: Mapping[ParticipantId, Digest],
    clock: Clock,
) -> Passport:
    """Write a model's passport; the lead signs it.

    Parameters
    ----------
    fingerprints : mapping
        Each hospital's dataset, as its catalogue names it.

    Discloses
    ---------
    The plan, and the figures that each site's output gate let out.
    """
    plan = outcome.plan
    return Passport(
        weights=outcome.digest,
        name=plan.title,
        capability=_capability(plan),
        lineage=Lineage(
            study=plan.study,
            plan=plan.digest,
            title=plan.title,
            question=plan.question,
            purpose=plan.purpose,
            lead=plan.lead,
            rule=plan.rule,
            rounds=plan.rounds,
            seed=plan.seed,
            start=plan.start,
        ),
        sites=tuple(_site(site, outcome, fingerprints=fingerprints) for site in plan.sites),
        issuer=plan.lead,
        created=write_time(clock.now()),
        privacy=_privacy(plan),
        limitations=(NO_NOISE if plan.privacy is None else NOISE,),
    )


def _privacy(plan: Study) -> dict[str, Any]:
    """Say what each hospital's ledger was charged, and the ranges that a user must scale by."""
    if plan.privacy is None:
        return {}
    ranges = {one.name: list(one.range) for one in plan.features if one.range}
    return {**asdict(plan.privacy), "ranges": ranges}


def _capability(plan: Study) -> Capability:
    return Capability(
        task=TASKS[plan.target.kind],
        family=plan.recipe.name,
        recipe=plan.recipe.name,
        recipe_version=plan.recipe.version,
        recipe_digest=plan.recipe.digest,
        settings=plan.recipe.settings,
        inputs=tuple(
            Input(
                name=one.name,
                kind=one.kind,
                unit=one.unit,
                categories=one.categories,
                modality=one.modality,
                shape=one.shape,
            )
            for one in plan.features
        ),
        label=plan.label,
        arrays={array.name: array.shape for array in plan.layout},
        classes=plan.target.classes,
        unit=plan.target.unit,
    )


def _site(
    site: Invitation,
    outcome: Outcome,
    *,
    fingerprints: Mapping[ParticipantId, Digest],
) -> SiteRecord:
    answer = outcome.answers.get(site.participant)
    facts: Mapping[str, Any] = answer.facts if answer is not None else {}
    return SiteRecord(
        participant=site.participant,
        agreement=site.agreement,
        fingerprint=fingerprints.get(site.participant, _UNKNOWN),
        n_train=facts.get("n_train"),
        n_test=facts.get("n_test"),
        rounds=sum(site.participant in present for present in outcome.rounds),
        rows=dict(facts.get("rows", {})),
        chosen=str(facts.get("choice", {}).get("chosen", "")),
        reply=digest_of(outcome.statements[site.participant].encode()) if answer else "",
    )

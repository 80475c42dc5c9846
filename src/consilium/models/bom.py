"""The passport as a CycloneDX 1.6 bill of materials with a model card.

Hospitals' asset registers read CycloneDX; they do not read our passports. The
bill says the same in their words and carries nothing besides.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from consilium.models.passports import Passport, SiteRecord

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def write_bom(passport: Passport) -> str:
    """Write the bill as JSON; the same passport gives the same text.

    Sources
    -------
    CycloneDX 1.6 (ECMA-424), `machine-learning-model` components and `modelCard`.

    Discloses
    ---------
    What stands in the passport, nothing more.
    """
    model = _model(passport)
    bom = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, passport.digest).urn,
        "version": 1,
        "metadata": {"timestamp": passport.created, "authors": [{"name": passport.issuer}]},
        "components": [model, *(_dataset(site) for site in passport.sites)],
        "dependencies": [
            {"ref": model["bom-ref"], "dependsOn": [_ref(site) for site in passport.sites]}
        ],
    }
    return json.dumps(bom, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _model(passport: Passport) -> dict[str, Any]:
    what, past = passport.capability, passport.lineage
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{passport.weights}",
        "name": passport.name,
        "version": passport.weights.removeprefix("sha256:")[:12],
        "description": past.question or past.title,
        "hashes": [{"alg": "SHA-256", "content": passport.weights.removeprefix("sha256:")}],
        "pedigree": {"notes": _pedigree(passport)},
        "properties": [
            {"name": "consilium:passport", "value": passport.digest},
            {"name": "consilium:study", "value": past.study},
            {"name": "consilium:plan", "value": past.plan},
            {"name": "consilium:recipe", "value": what.recipe_digest},
        ],
        "modelCard": {
            "modelParameters": _parameters(passport),
            "quantitativeAnalysis": {"performanceMetrics": _metrics(passport)},
            "considerations": {
                "useCases": [passport.intended_use],
                "technicalLimitations": list(passport.limitations),
            },
        },
    }


def _pedigree(passport: Passport) -> str:
    past = passport.lineage
    grown = ", ".join(past.parents) if past.parents else f"a fresh start {past.start}"
    return f"{past.rounds} rounds of {past.rule} at {len(passport.sites)} hospitals, from {grown}"


def _parameters(passport: Passport) -> dict[str, Any]:
    what = passport.capability
    return {
        "approach": {"type": "supervised"},
        "task": what.task,
        "architectureFamily": what.family,
        "modelArchitecture": f"{what.recipe} {what.recipe_version}",
        "datasets": [{"ref": _ref(site)} for site in passport.sites],
        "inputs": [{"format": _format(one.name, one.unit or one.kind)} for one in what.inputs],
        "outputs": [{"format": _format(what.label, "probability")}],
    }


def _metrics(passport: Passport) -> list[dict[str, Any]]:
    return [
        _metric(metric, found, f"{site.participant} / {row}")
        for site in passport.sites
        for row, metrics in sorted(site.rows.items())
        for metric, found in sorted(metrics.items())
        if found.get("value") is not None
    ]


def _metric(name: str, found: dict[str, Any], where: str) -> dict[str, Any]:
    told: dict[str, Any] = {"type": name, "value": str(found["value"]), "slice": where}
    if found.get("low") is not None and found.get("high") is not None:
        bounds = {"lowerBound": str(found["low"]), "upperBound": str(found["high"])}
        told["confidenceInterval"] = bounds
    return told


def _dataset(site: SiteRecord) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": _ref(site),
        "name": f"dataset of {site.participant}",
        "data": [
            {
                "type": "dataset",
                "name": site.fingerprint,
                "description": "Stays at the hospital; named by the fingerprint of its source.",
            }
        ],
        "properties": [
            {"name": "consilium:agreement", "value": site.agreement},
            {"name": "consilium:fingerprint", "value": site.fingerprint},
        ],
    }


def _ref(site: SiteRecord) -> str:
    return f"dataset:{site.participant}:{site.fingerprint}"


def _format(name: str, kind: str) -> str:
    return f"{name} ({kind})"

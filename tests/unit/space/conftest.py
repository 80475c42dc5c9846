"""A realistic result of the four heart-disease hospitals, written by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from consilium.space.record import ResultRecord
from consilium.space.report.story import EvidenceLine, Member, Story, TermsLine
from consilium.space.results import METHODS

SITES = {
    "cleveland": ("Cleveland Clinic", 199, 104,
                  (0.849, 0.849, 0.846, 0.85, 0.835, 0.5, 0.865),
                  (0.756, 0.756, 0.76, 0.752, 0.738, 0.538, 0.779)),
    "hungary": ("匈牙利心脏病研究所 · Hungarian Institute of Cardiology, Budapest", 172, 89,
                (0.871, 0.871, 0.868, 0.857, 0.855, 0.5, 0.875),
                (0.751, 0.798, 0.77, 0.744, 0.753, 0.629, 0.796)),
    "switzerland": ("University Hospitals, Zurich and Basel", 30, 16, (None,) * 7,
                    (0.762, 0.938, 0.788, 0.938, 0.788, 0.938, 0.825)),
    "va-long-beach": ("V.A. Medical Center, Long Beach", 85, 45,
                      (0.736, 0.736, 0.71, 0.66, 0.609, 0.5, 0.770),
                      (0.653, 0.747, 0.72, 0.742, 0.716, 0.778, 0.822)),
}  # fmt: skip


@pytest.fixture
def result() -> dict[str, Any]:
    """Return a record as the lead's node would send it."""
    return {
        "study": "urn:uuid:5b0f5c0e-7a70-4c2e-9a53-0a52a7f1d6aa",
        "recipe": "tabular-logistic",
        "rule": "fedadam",
        "seed": 42,
        "rounds": 15,
        "target": {"kind": "binary", "label": "outcome", "classes": [], "unit": ""},
        "sites": [_site(name, number) for number, name in enumerate(SITES)],
        "timing": {
            "command_to_first_round_s": 3.12,
            "round_overhead_s": [0.71] + [0.15 + 0.01 * (k % 3) for k in range(14)],
            "total_s": 12.4,
        },
        "bytes": {"up": 61_440, "down": 58_112},
        "evidence": {"entries": 412, "verified": True},
        "model": {
            "digest": "sha256:9f2b1c77e0d3a41f6f0d9a3be1a2c4d5968778695a4b3c2d1e0f9f8e7d6c5b4a",
            "passport": ".consilium/demo/cleveland/passports/5b0f5c0e.json",
        },
        "notes": [],
    }


@pytest.fixture
def record(result: dict[str, Any]) -> ResultRecord:
    """Return the record, read."""
    return ResultRecord.from_json(result)


@pytest.fixture
def story() -> Story:
    """Return the words around it."""
    return Story(
        space="heart-four",
        title="Heart disease across four hospitals",
        question="Can four hospitals together recognise heart disease better than each alone?",
        purpose="medical-research",
        members=tuple(
            Member(id=f"did:web:heart-four:{name}", title=site[0],
                   dataset="UCI Heart Disease, processed table", public=True,
                   lead=name == "cleveland")
            for name, site in SITES.items()
        ),
        terms=tuple(
            TermsLine(
                provider=f"did:web:heart-four:{name}",
                agreement=f"urn:uuid:0000-{name}",
                purposes=("medical-research",),
                not_after="2027-11-23T00:00:00.000000Z",
                count=10, max_rounds=100, min_cohort=10,
                recipients=("did:web:heart-four:cleveland",),
            )
            for name in SITES
        ),
        evidence=tuple(
            EvidenceLine(member=f"did:web:heart-four:{name}", entries=80 + k, verified=True)
            for k, name in enumerate(SITES)
        ),
        home=".consilium/demo",
        created="2026-11-23T14:05:00.000000Z",
        version="0.1.0",
    )  # fmt: skip


def _site(name: str, number: int) -> dict[str, Any]:
    title, n_train, n_test, auroc, accuracy = SITES[name]
    brier = (0.178, 0.162, 0.165, 0.163, 0.181, 0.24, 0.158)
    undefined = {
        f"{metric}.{method}": "measures.one_class"
        for metric, row in (("auroc", auroc),)
        for method, value in zip(METHODS, row, strict=True)
        if value is None
    }
    return {
        "id": f"did:web:heart-four:{name}",
        "title": title,
        "n_train": n_train,
        "n_test": n_test,
        "auroc": dict(zip(METHODS, auroc, strict=True)),
        "accuracy": dict(zip(METHODS, accuracy, strict=True)),
        "brier": dict(zip(METHODS, brier, strict=True)),
        "slope": dict(zip(METHODS, (0.82, 0.97, 0.8, 0.77, 0.74, None, 1.02), strict=True)),
        "intervals": {
            "auroc": _intervals(auroc, n_test),
            "accuracy": _intervals(accuracy, n_test),
            "brier": _intervals(brier, 4 * n_test),
            "slope": dict.fromkeys(METHODS),
        },
        "undefined": undefined | {"slope.majority": "measures.no_spread"},
        "chosen": "recalibrated" if number != 2 else "federated",
        "calibration": {
            "federated": _bins(0.12 if number != 1 else -0.15, n_test),
            "recalibrated": _bins(0.02, n_test),
        },
        "choice": {
            "by": "folds",
            "folds": 5,
            "scores": {"federated": 0.5, "recalibrated": 0.43, "fine_tuned": 0.45, "local": 0.47},
        },
        "decision": _decision(n_test),
        "classes": [],
        "subgroups": [
            _subgroup("sex", "female", n_test // 3, metrics=(auroc, accuracy, brier)),
            _subgroup("sex", "male", n_test - n_test // 3, metrics=(auroc, accuracy, brier)),
            _subgroup("age", "< 40", None, metrics=(auroc, accuracy, brier)),
        ],
        "curve": [
            {"round": k, "loss": 0.44 + 0.02 * number + 0.26 * math.exp(-k / 4)} for k in range(15)
        ],
    }


def _intervals(row: tuple[float | None, ...], n: int) -> dict[str, list[float] | None]:
    half = [None if v is None else 1.96 * math.sqrt(max(v * (1 - v), 0.01) / n) for v in row]
    return {
        method: None if v is None or h is None else [max(0.0, v - h), min(1.0, v + h)]
        for method, v, h in zip(METHODS, row, half, strict=True)
    }


def _bins(shift: float, n: int) -> list[dict[str, Any]]:
    if n < 30:
        return [{"predicted": 0.8, "observed": 0.94, "n": n}]
    centres = (0.12, 0.31, 0.5, 0.69, 0.88)
    return [
        {
            "predicted": c,
            "observed": min(1.0, max(0.0, c + shift * 4 * c * (1 - c) + 0.02 * math.sin(9 * c))),
            "n": n // 5,
        }
        for c in centres
    ]


def _decision(n: int) -> list[dict[str, Any]]:
    """Draw a curve that falls from the share of positives, above that of treating everybody."""
    share = 0.45
    points = []
    for step in range(5, 100, 5):
        at = step / 100
        value = share * (1 - at) ** 0.6 - 0.02
        points.append(
            {
                "n": n,
                "threshold": at,
                "value": value,
                "low": value - 0.06,
                "high": value + 0.06,
                "treat_all": share - (1 - share) * at / (1 - at),
            }
        )
    return points


def _subgroup(
    field: str, group: str, n: int | None, *, metrics: tuple[tuple[float | None, ...], ...]
) -> dict[str, Any]:
    hidden = {"field": field, "unit": "a" if field == "age" else "", "group": group}
    if n is None:
        return hidden | {"n": None, "patients": None, "reason": "measures.too_few"}
    names = ("auroc", "accuracy", "brier")
    rows = {
        name: dict(zip(METHODS, row, strict=True)) for name, row in zip(names, metrics, strict=True)
    }
    return hidden | {
        "n": n,
        "patients": n,
        "reason": None,
        **rows,
        "intervals": {name: _intervals(row, n) for name, row in zip(names, metrics, strict=True)},
        "undefined": {},
    }

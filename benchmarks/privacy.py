"""Privacy with a price tag: what noise costs in accuracy, and what attacks find before and after.

`python -m benchmarks.privacy` needs CONSILIUM_TEST_DATA and takes some minutes; it
writes docs/proof/privacy.json after each cell and skips the cells that are there.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.privacy_study import (
    METHODS,
    PLAIN,
    RANGES_ONLY,
    ROUNDS,
    SEEDS,
    Hospitals,
    noise_of,
    read_hospitals,
    run,
    settings_for,
    tune,
)
from benchmarks.proof import commit, machine
from consilium.federation.audits import (
    audit_federation,
    audit_membership,
    audit_update,
    memorising_fit,
    one_case_step,
)
from consilium.federation.contract import Chance
from consilium.federation.noise.presets import STANDARD, STRICT
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.simulation import rehearsed_secret
from consilium.gate.accounting import epsilon_of
from consilium.kernel.identifiers import ParticipantId

FILE = Path(__file__).parents[1] / "docs" / "proof" / "privacy.json"
MODELS = 64
"""A target and 63 shadow models, each the target in its turn."""
FLAMBY = {"none": 0.7125, "50": 0.702, "10": 0.699, "5": 0.7025, "1": 0.6955}
"""Accuracy of FLamby's FedAvg on the same hospitals by epsilon (means of 5 runs)."""
BAR = 0.02
Cells = dict[str, Any]


def cells_of(hospitals: Hospitals) -> Mapping[str, Callable[[], Any]]:
    """List everything that is measured, by name."""
    found: dict[str, Callable[[], Any]] = {"tuning": lambda: tune(hospitals)}
    for method in METHODS:
        for seed in SEEDS:
            found[f"accuracy {method} {seed}"] = partial(run, hospitals, method, seed=seed)
    found["membership control"] = lambda: _membership_control(hospitals)
    for method in METHODS:
        found[f"membership {method}"] = partial(_membership, hospitals, method)
    for method in METHODS:
        found[f"inversion {method}"] = partial(_inversion, hospitals, method)
    for method in (STANDARD, STRICT):
        found[f"accountants {method}"] = partial(_accountants, hospitals, method)
    return found


def summary(cells: Cells) -> dict[str, Any]:
    """Put the means over seeds, and the cost against training without noise, side by side."""
    means = {
        method: {
            name: round(
                fmean(cells[f"accuracy {method} {seed}"]["mean"][name] for seed in SEEDS), 4
            )
            for name in ("raw", "recalibrated", "auroc")
        }
        for method in METHODS
    }
    cost = {
        f"{method} against {base}": {
            name: round(means[base][name] - means[method][name], 4) for name in means[method]
        }
        for method in (STANDARD, STRICT)
        for base in (PLAIN, RANGES_ONLY)
    }
    judged = [cost[f"{STANDARD} against {base}"] for base in (PLAIN, RANGES_ONLY)]
    met = all(one[name] <= BAR for one in judged for name in ("raw", "recalibrated"))
    return {"means": means, "cost": cost, "bar": BAR, "met": met, "flamby": FLAMBY}


def main() -> None:
    """Measure what is not there yet; print the summary."""
    hospitals = read_hospitals()
    cells = _read()
    for name, measure in cells_of(hospitals).items():
        if name in cells:
            continue
        began = time.monotonic()
        cells[name] = measure()
        _write(cells, summary=None)
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    _write(cells, summary=summary(cells))
    print(json.dumps(summary(cells), indent=1))


def _membership_control(hospitals: Hospitals) -> Any:
    settings, parts = settings_for(PLAIN, largest=hospitals.largest), hospitals.training.values()
    chance = Chance(seed=0, participant=ParticipantId("control"))
    prepared = [
        RECIPE.prepare(part, part, needs=hospitals.needs, settings=settings, chance=chance).train
        for part in parts
    ]
    x = np.concatenate([part.x for part in prepared])
    y = np.concatenate([part.y for part in prepared])
    fit = memorising_fit(x, y)
    return audit_membership(fit, cases=len(y), models=MODELS, seed=SEEDS[0]).as_record()


def _membership(hospitals: Hospitals, method: str) -> Any:
    return audit_federation(
        RECIPE,
        hospitals.training,
        needs=hospitals.needs,
        settings=settings_for(method, largest=hospitals.largest),
        rounds=ROUNDS,
        models=MODELS,
        seed=SEEDS[0],
    ).as_record()


def _inversion(hospitals: Hospitals, method: str) -> Any:
    """Attack each hospital's update of round 1, and one patient's step as the control."""
    settings = settings_for(method, largest=hospitals.largest)
    start = RECIPE.initial(hospitals.needs, settings, seed=SEEDS[0])
    weights = np.concatenate([start["weight"], start["bias"]])
    found: dict[str, Any] = {}
    for site, part in hospitals.training.items():
        chance = Chance(
            seed=SEEDS[0], participant=ParticipantId(site), secret=rehearsed_secret(SEEDS[0])
        )
        cases = RECIPE.prepare(
            part, part, needs=hospitals.needs, settings=settings, chance=chance
        ).train
        alone = one_case_step(cases.x, cases.y, weights, case=0)
        trained = RECIPE.train(cases, start, settings, chance=chance, number=1, kept={}).arrays
        step = {name: trained[name] - start[name] for name in start}
        found[site] = {
            "control": audit_update(*alone, cases.x).as_record(),
            "update": audit_update(step["weight"][None, :], step["bias"], cases.x).as_record(),
        }
    return found


def _accountants(hospitals: Hospitals, method: str) -> Any:
    """Work out a preset's epsilon with our accountant and with Opacus's two."""
    from opacus.accountants import PRVAccountant, RDPAccountant

    plan = noise_of(method, largest=hospitals.largest)
    if plan is None:
        raise ValueError(method)
    steps = ROUNDS * plan.steps
    others = {"opacus_rdp": RDPAccountant(), "opacus_prv": PRVAccountant()}
    found: dict[str, Any] = {
        "noise": plan.noise,
        "rate": plan.rate,
        "steps": steps,
        "delta": plan.delta,
        "own_rdp": round(
            epsilon_of(rate=plan.rate, noise=plan.noise, steps=steps, delta=plan.delta), 6
        ),
    }
    for name, other in others.items():
        other.history = [(plan.noise, plan.rate, steps)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[name] = round(float(other.get_epsilon(plan.delta)), 6)
    return found


def _read() -> Cells:
    return dict(json.loads(FILE.read_text())["cells"]) if FILE.exists() else {}


def _write(cells: Cells, *, summary: Any) -> None:
    """Write valid JSON, one cell in a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(cell)}" for name, cell in cells.items()]
    head = {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": machine(),
        "commit": commit(),
        "command": "CONSILIUM_TEST_DATA=... python -m benchmarks.privacy",
        "summary": summary,
    }
    top = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
    body = ",\n".join(lines)
    FILE.write_text(f'{{\n{top},\n "cells": {{\n{body}\n }}\n}}\n')


if __name__ == "__main__":
    main()

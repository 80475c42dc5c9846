"""Glioma grade from clinical data and genes, of which hospitals own one or both.

    CONSILIUM_TEST_DATA=... python -m benchmarks.modalities

Real hospitals (TCGA); `benchmarks.glioma` says which of them owns what and who
is held out. The fused model is judged at every kind of hospital against the
federated models of one modality, trained by the same recipe over all hospitals
that own it. Settings were chosen in threefold cross-validation inside the
training parts. AUROC is the share of pairs of patients of one hospital, one
with each grade, that are in the right order: no hospital's prevalence helps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cells import Cell, fill, write_result
from benchmarks.glioma import (
    CLINICAL,
    GENOMIC,
    HELD_OUT,
    KINDS,
    NEEDS,
    Hospital,
    needs_of,
    only,
    owned,
    read_hospitals,
)
from benchmarks.science import SEEDS, data_folder
from consilium.federation.contract import Cases, Chance, Needs, stack_cases
from consilium.federation.recipes.fusion_classifier import RECIPE
from consilium.federation.simulation import POOLED, fit_alone, simulate
from consilium.kernel.identifiers import ParticipantId

ROUNDS = 40
SETTINGS: Mapping[str, Any] = {
    "width": 16,
    "scaling": "none",
    "prevalence": "taken_out",
    "learning_rate": 0.01,
    "weight_decay": 0.1,
    "decay_rounds": ROUNDS,
    "threads": 1,
}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "hidden head": {"head_layers": 1, "prevalence": "learnt"},
    "descent": {"optimiser": "sgd", "learning_rate": 0.3, "weight_decay": 0.001},
}
"""Ways that were tried after the first had missed the bar at one kind of hospital by .0009."""
METHODS = ("fused", "fused without dropout", CLINICAL, GENOMIC, "pooled", "local")
RESAMPLES = 2000
PROOF = Path(__file__).parent.parent / "docs" / "proof"
Vector = npt.NDArray[np.float64]
Judged = Callable[[str, Cases], Vector]
"""From a hospital's name and its raw held-out cases to log-odds."""


def main() -> None:
    """Fill the cells that are missing, and write the result."""
    hospitals = read_hospitals(data_folder())
    wanted: dict[str, Callable[[], Cell]] = {
        f"{method}, seed {seed}": partial(run_cell, method, seed=seed, hospitals=hospitals)
        for seed in SEEDS
        for method in METHODS
    }
    wanted |= {
        f"{method} ({name}), seed {seed}": partial(
            run_cell, method, seed=seed, hospitals=hospitals, changed=changed
        )
        for name, changed in VARIANTS.items()
        for seed in SEEDS
        for method in ("fused", CLINICAL, GENOMIC)
    }
    cells = fill(PROOF / "cells" / "modalities.jsonl", wanted)
    result = summarise(cells, hospitals)
    write_result(PROOF / "modalities.json", result)
    show(result)


def run_cell(
    method: str,
    *,
    seed: int,
    hospitals: Sequence[Hospital],
    changed: Mapping[str, Any] | None = None,
) -> Cell:
    """Train one method; return the log-odds of each held-out patient that it can be asked about."""
    chosen = dict(SETTINGS) | dict(changed or {})
    if method == "fused without dropout":
        chosen["modality_dropout"] = 0.0
    alone = method if method in (CLINICAL, GENOMIC) else None
    needs = needs_of(alone) if alone else NEEDS
    taking = [one for one in hospitals if alone not in one.lacks] if alone else list(hospitals)
    sides = {one.name: _sides(one, alone) for one in taking}
    settings = RECIPE.read_settings(chosen)
    if method in ("pooled", "local"):
        found = _alone(method, sides, needs=needs, settings=settings, seed=seed)
    else:
        made = simulate(
            RECIPE,
            sides,
            needs=needs,
            settings=settings,
            rounds=ROUNDS,
            seed=seed,
            lacks={} if alone else {one.name: one.lacks for one in taking},
        )
        found = {
            name: made.predict(name, prepared.held_out) for name, prepared in made.prepared.items()
        }
    return {"z": {one.name: found[one.name].tolist() for one in taking if one.judged}}


def _sides(one: Hospital, alone: str | None) -> tuple[Cases, Cases]:
    if alone:
        return only(one.train, alone), only(one.held_out, alone)
    return owned(one.train, one.lacks), owned(one.held_out, one.lacks)


def _alone(
    method: str,
    sides: Mapping[str, tuple[Cases, Cases]],
    *,
    needs: Needs,
    settings: Any,
    seed: int,
) -> dict[str, Vector]:
    """Train on all hospitals' patients in one place, or on each hospital's own."""
    bodies = {name: [name] for name in sides} if method == "local" else {"pooled": list(sides)}
    found: dict[str, Vector] = {}
    for body, names in bodies.items():
        chance = Chance(seed=seed, participant=ParticipantId(body) if body in sides else POOLED)
        train = stack_cases([sides[name][0] for name in names])
        held_out = stack_cases([sides[name][1] for name in names])
        fitted = fit_alone(
            RECIPE,
            (train, held_out),
            needs=needs,
            settings=settings,
            rounds=ROUNDS,
            chance=chance,
        )
        z = fitted.predict(fitted.prepared.held_out)
        ends = np.cumsum([sides[name][1].n for name in names])[:-1]
        found |= dict(zip(names, np.split(z, ends), strict=True))
    return found


def summarise(cells: Mapping[str, Cell], hospitals: Sequence[Hospital]) -> dict[str, Any]:
    """Judge every method at every kind of hospital, with paired intervals over patients."""
    judged = [one for one in hospitals if one.judged]
    kinds = {}
    for kind, lacks in KINDS:
        some = [one for one in judged if one.kind == kind]
        methods = [m for m in METHODS if m not in lacks]
        figures = {m: _aurocs(cells, m, some) for m in methods}
        singles = [m for m in (CLINICAL, GENOMIC) if m not in lacks]
        best = max(singles, key=lambda name: figures[name][0])
        kinds[kind] = {
            "hospitals": {one.name: _counts(one) for one in some},
            "rows": {m: _interval(f) for m, f in figures.items()} | {"majority": {"value": 0.5}},
            "per_hospital": {
                one.name: {m: float(_aurocs(cells, m, [one])[0]) for m in methods} for one in some
            },
            "best_single": best,
            "fused_minus_best_single": _interval(figures["fused"] - figures[best]),
            "met": bool(figures["fused"][0] >= figures[best][0]),
            "by_seed": {
                m: [float(_aurocs(cells, m, some, seeds=[seed])[0]) for seed in SEEDS]
                for m in ("fused", best)
            },
            "variants": {name: _variant(cells, name, some, singles) for name in VARIANTS},
            "dropout_minus_none": _interval(figures["fused"] - figures["fused without dropout"]),
        }
    return {
        "what": "AUROC within hospitals, mean over seeds, 95 % intervals over patients",
        "held_out_share": HELD_OUT,
        "settings": dict(SETTINGS),
        "rounds": ROUNDS,
        "resamples": RESAMPLES,
        "training_only": {
            one.name: {"kind": one.kind, **_counts(one)} for one in hospitals if not one.judged
        },
        "kinds": kinds,
        "met": all(kind["met"] for kind in kinds.values()),
        "cpu_s": round(sum(cell["cpu_s"] for cell in cells.values()), 1),
    }


def _variant(
    cells: Mapping[str, Cell], name: str, some: Sequence[Hospital], singles: Sequence[str]
) -> dict[str, Any]:
    """Judge another way of fusing against one modality by the same way."""
    figures = {one: _aurocs(cells, f"{one} ({name})", some) for one in ("fused", *singles)}
    best = max(singles, key=lambda one: figures[one][0])
    return {
        "settings": dict(VARIANTS[name]),
        "rows": {one: _interval(found) for one, found in figures.items()},
        "fused_minus_best_single": _interval(figures["fused"] - figures[best]),
    }


def _counts(one: Hospital) -> dict[str, int]:
    return {
        "n_train": one.train.n,
        "n_test": one.held_out.n,
        "high_grade_train": int(one.train.y.sum()),
        "high_grade_test": int(one.held_out.y.sum()),
    }


def _aurocs(
    cells: Mapping[str, Cell],
    method: str,
    some: Sequence[Hospital],
    *,
    seeds: Sequence[int] = SEEDS,
) -> Vector:
    """Return the AUROC within hospitals, mean over seeds: first plain, then on each draw.

    Patients are drawn within hospital and grade, the same for every method.
    """
    right, pairs = np.zeros(1 + RESAMPLES), 0
    for one in some:
        wins = np.mean(
            [_wins(one, np.array(cells[f"{method}, seed {s}"]["z"][one.name])) for s in seeds],
            axis=0,
        )
        ill, well = wins.shape
        draw = np.random.default_rng([0, *one.name.encode()])
        rows = np.stack([np.arange(ill), *draw.integers(0, ill, (RESAMPLES, ill))])
        columns = np.stack([np.arange(well), *draw.integers(0, well, (RESAMPLES, well))])
        right += [wins[np.ix_(*pair)].sum() for pair in zip(rows, columns, strict=True)]
        pairs += wins.size
    return right / pairs


def _wins(one: Hospital, z: Vector) -> Vector:
    """Say of each pair, high grade and low, whether it is in order; ties count half."""
    high, low = z[one.held_out.y == 1], z[one.held_out.y == 0]
    over = high[:, None] - low[None]
    return np.asarray((over > 0) + 0.5 * (over == 0), dtype=np.float64)


def _interval(figures: Vector) -> dict[str, float]:
    low, high = np.quantile(figures[1:], (0.025, 0.975))
    return {"value": float(figures[0]), "low": float(low), "high": float(high)}


def show(result: Mapping[str, Any]) -> None:
    """Print the tables."""
    for kind, found in result["kinds"].items():
        print(f"{kind}: {', '.join(found['hospitals'])}")
        rows = found["rows"] | {
            f"fused - {found['best_single']}": found["fused_minus_best_single"],
            "fused - without dropout": found["dropout_minus_none"],
        }
        for name, variant in found["variants"].items():
            rows |= {f"{name}: {one}": row for one, row in variant["rows"].items()}
            rows[f"{name}: fused - best"] = variant["fused_minus_best_single"]
        for name, row in rows.items():
            interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]" if "low" in row else ""
            print(f"  {name:24} {row['value']:+.4f} {interval}")


if __name__ == "__main__":
    main()

"""Vessels in photographs of children's eyes (CHASE_DB1): three sites, split by child.

    CONSILIUM_TEST_DATA=... python -m benchmarks.vessels

Ten children, both eyes each. Child c belongs to site (c - 1) mod 3; the last
child of each site (8, 9 and 10) is held out and never trained on. Observer 1
is the truth; observer 2 on the same images is what a human reaches. Settings
were chosen on children 3, 4 and 5 with the rest of the training children.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cells import Cell, fill, write_result
from benchmarks.science import SEEDS, data_folder
from consilium.federation.contract import Cases, Chance, Needs, Prepared, stack_cases
from consilium.federation.recipes.image_segmenter import RECIPE
from consilium.federation.simulation import POOLED, fit_alone, simulate
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.identifiers import ParticipantId
from consilium.measures.overlap import dice
from consilium.measures.resampling import measure_mean

FILE = "chase_db1/chase_db1_256_train20.npz"
SITES = {"a": (1, 4, 7, 10), "b": (2, 5, 8), "c": (3, 6, 9)}
HELD_OUT = (8, 9, 10)
NEEDS = Needs(
    features=(FieldNeed(name="fundus", kind="image", modality="fundus", shape=(256, 256, 3)),),
    target=Target(kind="mask"),
)
ROUNDS = 8
SETTINGS: Mapping[str, Any] = {
    "width": 8,
    "norm": "batch",
    "channels": "green",
    "patch": 64,
    "patches": 8,
    "batch_size": 4,
    "epochs": 3,
    "learning_rate": 0.01,
    "decay_rounds": ROUNDS,
    "threads": 1,
}
THRESHOLDS = np.linspace(-3, 3, 25)
BAR = 0.74
PROOF = Path(__file__).parent.parent / "docs" / "proof"
Sides = Mapping[str, tuple[Cases, Cases]]
Draw = Callable[[Cases], npt.NDArray[np.float32]]
"""From prepared images to logits."""


def main() -> None:
    """Fill the cells that are missing, and write the result."""
    sides, second = read_sides(data_folder())
    methods = ("federated", "pooled", *(f"local {site}" for site in SITES))
    wanted: dict[str, Callable[[], Cell]] = {
        f"{method}, seed {seed}": partial(run_cell, method, seed=seed, sides=sides)
        for method in methods
        for seed in SEEDS
    }
    cells = fill(PROOF / "cells" / "vessels.jsonl", wanted)
    result = summarise(cells, sides=sides, second=second)
    write_result(PROOF / "vessels.json", result)
    show(result)


def read_sides(data: Path) -> tuple[Sides, Mapping[str, npt.NDArray[np.uint8]]]:
    """Read training and held-out children of each site, and observer 2's held-out masks."""
    stored = np.load(data / FILE)
    child = np.array([int(str(name)[6:8]) for name in stored["ids"]])

    def take(children: Sequence[int]) -> Cases:
        rows = np.isin(child, children)
        masks = stored["vessel_observer1"][rows].astype(np.uint8)
        return Cases(
            x=np.empty((rows.sum(), 0)),
            y=np.zeros(rows.sum()),
            group=child[rows],
            tensors={"fundus": stored["images"][rows], "mask": masks},
        )

    sides, second = {}, {}
    for site, children in SITES.items():
        apart = [one for one in children if one in HELD_OUT]
        sides[site] = (take([one for one in children if one not in HELD_OUT]), take(apart))
        second[site] = stored["vessel_observer2"][np.isin(child, apart)].astype(np.uint8)
    return sides, second


def run_cell(method: str, *, seed: int, sides: Sides) -> Cell:
    """Train one model; return the Dice of each held-out image that it is judged on.

    Every method passes over its images as often: a round is `epochs` passes.
    """
    settings = RECIPE.read_settings(SETTINGS)
    if method == "federated":
        made = simulate(RECIPE, sides, needs=NEEDS, settings=settings, rounds=ROUNDS, seed=seed)
        judged = made.prepared
        draw: Draw = lambda cases: RECIPE.predict(cases, made.model, settings, kept={})  # noqa: E731
    else:
        site = method.removeprefix("local ")
        train = stack_cases([one for one, _ in sides.values()]) if method == "pooled" else None
        chance = Chance(seed=seed, participant=POOLED if train else ParticipantId(site))
        own = (train, sides["a"][1]) if train else sides[site]
        alone = replace(settings, proximal_mu=0.0)
        fitted = fit_alone(RECIPE, own, needs=NEEDS, settings=alone, rounds=ROUNDS, chance=chance)
        draw = fitted.predict
        named = sides if train else {site: sides[site]}
        judged = {
            name: RECIPE.prepare(*pair, needs=NEEDS, settings=settings, chance=chance)
            for name, pair in named.items()
        }
    return {"sites": {name: judge_site(draw, prepared) for name, prepared in judged.items()}}


def judge_site(draw: Draw, prepared: Prepared) -> dict[str, Any]:
    """Judge at even odds, and at the threshold that is best on the site's training children."""
    train, held_out = prepared.train, prepared.held_out
    seen, logits = draw(train), draw(held_out)
    scores = [np.mean(each_dice(train, seen > one)) for one in THRESHOLDS]
    best = float(THRESHOLDS[int(np.argmax(scores))])
    return {
        "dice": each_dice(held_out, logits > 0),
        "threshold": best,
        "dice_at_threshold": each_dice(held_out, logits > best),
    }


def each_dice(cases: Cases, drawn: npt.NDArray[np.bool_]) -> list[float]:
    """Return the Dice coefficient of each image."""
    truth = cases.tensors["mask"]
    return [float(dice(*pair).value or 0.0) for pair in zip(truth, drawn, strict=True)]


def summarise(
    cells: Mapping[str, Cell], *, sides: Sides, second: Mapping[str, npt.NDArray[np.uint8]]
) -> dict[str, Any]:
    """Average over seeds image by image, then over images, with intervals over children."""
    child = np.concatenate([held_out.group for _, held_out in sides.values()])
    human = [one for site, (_, cases) in sides.items() for one in each_dice(cases, second[site])]
    rows = {
        "federated": _mean(cells, "federated", "dice"),
        "federated, threshold of training children": _mean(cells, "federated", "dice_at_threshold"),
        "pooled": _mean(cells, "pooled", "dice"),
        "local": _mean(cells, "local", "dice"),
        "majority (nothing drawn)": np.zeros(len(child)),
        "observer 2": np.array(human),
    }
    federated = rows["federated"]
    by_seed = {
        seed: float(np.mean([d for s in SITES for d in _of(cells, "federated", seed, s)["dice"]]))
        for seed in SEEDS
    }
    return {
        "what": "Dice against observer 1; means over 6 images of 3 held-out children",
        "held_out_children": list(HELD_OUT),
        "settings": dict(SETTINGS),
        "rounds": ROUNDS,
        "bar": BAR,
        "met": bool(federated.mean() >= BAR),
        "rows": {name: _measured(values, child) for name, values in rows.items()},
        "differences": {
            f"federated - {name}": _measured(federated - rows[name], child)
            for name in ("pooled", "local", "observer 2")
        },
        "per_site": {
            name: {site: float(values[np.isin(child, SITES[site])].mean()) for site in SITES}
            for name, values in rows.items()
        },
        "federated_by_seed": by_seed,
        "cpu_s": {
            name: round(sum(c["cpu_s"] for key, c in cells.items() if key.startswith(name)), 1)
            for name in ("federated", "pooled", "local")
        },
    }


def _of(cells: Mapping[str, Cell], method: str, seed: int, site: str) -> Mapping[str, Any]:
    name = f"local {site}" if method == "local" else method
    found: Mapping[str, Any] = cells[f"{name}, seed {seed}"]["sites"][site]
    return found


def _mean(cells: Mapping[str, Cell], method: str, figure: str) -> npt.NDArray[np.float64]:
    """Return each held-out image's mean over seeds, sites in order."""
    each = [[d for s in SITES for d in _of(cells, method, seed, s)[figure]] for seed in SEEDS]
    return np.array(each, dtype=np.float64).mean(axis=0)


def _measured(values: npt.NDArray[np.float64], child: npt.NDArray[np.int64]) -> dict[str, Any]:
    return dict(measure_mean(values, group=child, seed=0).as_record())


def show(result: Mapping[str, Any]) -> None:
    """Print the table."""
    for name, row in {**result["rows"], **result["differences"]}.items():
        sites = result["per_site"].get(name, {})
        per_site = "  ".join(f"{site} {value:.3f}" for site, value in sites.items())
        interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
        print(f"{name:45} {row['value']:+.3f} {interval}  {per_site}")


if __name__ == "__main__":
    sys.exit(main())

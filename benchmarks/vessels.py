"""Vessels in photographs of children's eyes (CHASE_DB1): three sites, split by child.

    CONSILIUM_TEST_DATA=... python -m benchmarks.vessels [--part held-out|folds] [--method M]...

Ten children, both eyes each. Child c belongs to site (c - 1) mod 3; the last
child of each site (8, 9 and 10) is held out and never trained on. Observer 1
is the truth; observer 2 on the same images is what a human reaches. `folds`
draws every child by models that never met it, two children left out at a time.

What was seen when. The first settings were chosen on children 3, 4 and 5 and
asked about children 8, 9 and 10 (`vessels_first.json`). These were chosen by
folds over children 1 to 7 alone, after that result was known but without
asking those three again. In `folds`, children 1 to 7 took part in choosing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cells import Cell, fill, read, write_result
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
ROUNDS = 10
SETTINGS: Mapping[str, Any] = {
    "width": 16,
    "norm": "batch",
    "contrast_radius": 20.0,
    "channels": "green",
    "patch": 64,
    "patches": 8,
    "batch_size": 4,
    "epochs": 4,
    "learning_rate": 0.01,
    "decay_rounds": ROUNDS,
    "threads": 1,
}
THRESHOLDS = np.linspace(-3, 3, 25)
BAR = 0.74
PROOF = Path(__file__).parent.parent / "docs" / "proof"
Sides = Mapping[str, tuple[Cases, Cases]]
Stored = Mapping[str, npt.NDArray[Any]]
Draw = Callable[[Cases], npt.NDArray[np.float32]]
"""From prepared images to logits."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which children are held out together, over which seeds, and where it is written."""

    name: str
    folds: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    told: str

    def cell(self, method: str, seed: int, fold: tuple[int, ...]) -> str:
        """Name a cell."""
        without = ", ".join(str(child) for child in fold)
        return f"{method}, seed {seed}, without {without}"


PARTS = {
    "held-out": Part(
        name="vessels",
        folds=(HELD_OUT,),
        seeds=SEEDS,
        methods=("federated", "pooled", *(f"local {site}" for site in SITES)),
        told="Dice against observer 1; means over 6 images of 3 held-out children",
    ),
    "folds": Part(
        name="vessels_folds",
        folds=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10)),
        seeds=(42,),
        methods=("federated",),
        told="Dice against observer 1; each of 10 children drawn by a model that never met it",
    ),
}


def main() -> None:
    """Fill the cells that are missing, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=sorted(PARTS), default="held-out")
    parser.add_argument("--method", action="append", help="all of the part if not given")
    given = parser.parse_args()
    part = PARTS[given.part]
    stored = np.load(data_folder() / FILE)
    wanted: dict[str, Callable[[], Cell]] = {
        part.cell(method, seed, fold): partial(
            run_cell, method, seed=seed, sides=read_sides(stored, fold)
        )
        for method in given.method or part.methods
        for seed in part.seeds
        for fold in part.folds
    }
    progress = PROOF / "cells" / f"{part.name}.jsonl"
    fill(progress, wanted)
    cells = read(progress)
    result = summarise(cells, part=replace(part, methods=_complete(cells, part)), stored=stored)
    write_result(PROOF / f"{part.name}.json", result)
    show(result)


def read_sides(stored: Stored, held_out: Sequence[int]) -> Sides:
    """Return training and held-out children of each site."""
    return {
        site: (
            take(stored, [one for one in children if one not in held_out]),
            take(stored, [one for one in children if one in held_out]),
        )
        for site, children in SITES.items()
    }


def take(stored: Stored, children: Sequence[int]) -> Cases:
    """Return both eyes of some children, with what observer 1 marked."""
    child = np.array([int(str(name)[6:8]) for name in stored["ids"]])
    rows = np.isin(child, children)
    masks = stored["vessel_observer1"][rows].astype(np.uint8)
    return Cases(
        x=np.empty((rows.sum(), 0)),
        y=np.zeros(rows.sum()),
        group=child[rows],
        tensors={"fundus": stored["images"][rows], "mask": masks},
    )


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
    if not held_out.n:
        return {"child": [], "dice": [], "dice_at_threshold": []}
    seen, logits = draw(train), draw(held_out)
    scores = [np.mean(each_dice(train, seen > one)) for one in THRESHOLDS]
    best = float(THRESHOLDS[int(np.argmax(scores))])
    return {
        "child": held_out.group.tolist(),
        "dice": each_dice(held_out, logits > 0),
        "threshold": best,
        "dice_at_threshold": each_dice(held_out, logits > best),
    }


def each_dice(cases: Cases, drawn: npt.NDArray[np.bool_]) -> list[float]:
    """Return the Dice coefficient of each image."""
    truth = cases.tensors["mask"]
    return [float(dice(*pair).value or 0.0) for pair in zip(truth, drawn, strict=True)]


def summarise(cells: Mapping[str, Cell], *, part: Part, stored: Stored) -> dict[str, Any]:
    """Average over seeds image by image, then over images, with intervals over children."""
    children = sorted(child for fold in part.folds for child in fold)
    judged = take(stored, children)
    child = judged.group
    second = stored["vessel_observer2"][np.isin(take(stored, range(1, 11)).group, children)]
    rows = {
        "federated": _mean(cells, part, "federated"),
        "federated, threshold of training children": _mean(
            cells, part, "federated", figure="dice_at_threshold"
        ),
        **{name: _mean(cells, part, name) for name in ("pooled", "local") if _asks(part, name)},
        "majority (nothing drawn)": np.zeros(len(child)),
        "observer 2": np.array(each_dice(judged, second > 0)),
    }
    federated = rows["federated"]
    return {
        "what": part.told,
        "held_out_children": children,
        "settings": dict(SETTINGS),
        "rounds": ROUNDS,
        "bar": BAR,
        "met": bool(federated.mean() >= BAR),
        "rows": {name: _measured(values, child) for name, values in rows.items()},
        "differences": {
            f"federated - {name}": _measured(federated - rows[name], child)
            for name in ("pooled", "local", "observer 2")
            if name in rows
        },
        "per_site": {
            name: {site: float(values[np.isin(child, SITES[site])].mean()) for site in SITES}
            for name, values in rows.items()
        },
        "per_child": {
            name: {str(one): float(values[child == one].mean()) for one in children}
            for name, values in rows.items()
        },
        "federated_by_seed": {
            seed: float(_of_seed(cells, part, "federated", seed=seed, figure="dice").mean())
            for seed in part.seeds
        },
        "cpu_s": {
            name: round(sum(c["cpu_s"] for key, c in cells.items() if key.startswith(name)), 1)
            for name in ("federated", "pooled", "local")
            if _asks(part, name)
        },
    }


def _complete(cells: Mapping[str, Cell], part: Part) -> tuple[str, ...]:
    """Return the methods of which every cell is there: one at a site counts with its like."""

    def there(method: str) -> bool:
        return all(
            part.cell(like, seed, fold) in cells
            for like in part.methods
            if like.split()[0] == method.split()[0]
            for seed in part.seeds
            for fold in part.folds
        )

    return tuple(method for method in part.methods if there(method))


def _asks(part: Part, name: str) -> bool:
    return any(method.startswith(name) for method in part.methods)


def _of_seed(
    cells: Mapping[str, Cell], part: Part, name: str, *, seed: int, figure: str
) -> npt.NDArray[np.float64]:
    """Return each image's figure under one seed, in the order of the children."""
    found: list[tuple[int, float]] = []
    for method in (one for one in part.methods if one.startswith(name)):
        for fold in part.folds:
            for site in cells[part.cell(method, seed, fold)]["sites"].values():
                found.extend(zip(site["child"], site[figure], strict=True))
    return np.array([value for _, value in sorted(found, key=lambda pair: pair[0])])


def _mean(
    cells: Mapping[str, Cell], part: Part, name: str, *, figure: str = "dice"
) -> npt.NDArray[np.float64]:
    """Return each image's mean over seeds."""
    each = [_of_seed(cells, part, name, seed=seed, figure=figure) for seed in part.seeds]
    return np.asarray(np.mean(each, axis=0), dtype=np.float64)


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
    main()

"""A small hospital joins: what few images are worth on an encoder that others have trained.

    CONSILIUM_TEST_DATA=... python -m benchmarks.small_hospitals [--seeds 42 43] [--validate]

Brain tumours on MRI, the partition of `benchmarks.images` at α = 0.5 and its fixed
fifth, which is never trained on. The smallest hospital with a hundred images or
more is the one that joins; the three others have trained the space's model
before, federated. The hospital then has 10, 25, 50, 100 or all of its images,
each draw within the next. Everything is the recipe's own settings: the space's
model is a file named by its digest (`start_model`), its encoder is frozen
(`train = "head"`). With `--validate` models are judged on a part of the training
side: that is how the settings below were chosen.

A broken-off run goes on where it stopped: the cells lie in
`docs/proof/cells/small-hospitals.jsonl`, the table in `docs/proof/small-hospitals.json`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cells import Cell, fill, write_result
from benchmarks.commands import ROOT, end_cleanly
from benchmarks.images import Sides, brain_task, deal, own_mix, test_sides, validation_sides
from benchmarks.science import SEEDS
from consilium.federation.contract import Cases, Chance
from consilium.federation.recipes.image_classifier import RECIPE
from consilium.federation.simulation import fit_alone, simulate
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays, pack_arrays, unpack_arrays

SIZES = (10, 25, 50, 100, "all")
ALPHA = 0.5
FEWEST = 100
"""A hospital that joins has at least so many images, so that the curve has its points."""
CLASSES = 3
NEEDS = brain_task().needs
SETTINGS: Mapping[str, Any] = {
    "size": 96,
    "shrink": 2,
    "normalise": "image",
    "validation_share": 0.0,
    "views": "mirrored",
    "balance": "prior",
    "threads": 1,
}
FOLDER = ROOT / ".proof" / "starting-models"
RESULT = ROOT / "docs" / "proof" / "small-hospitals.json"
CELLS = ROOT / "docs" / "proof" / "cells" / "small-hospitals.jsonl"
TRIALS = ROOT / ".proof" / "small-hospitals-validation.jsonl"
RESAMPLES = 2000
OWN = "federated head, own class shares"
ALONE = "own images alone"
LESS = (
    (OWN, ALONE),
    (OWN, "own head"),
    (OWN, "shared"),
    ("own head", ALONE),
    ("fine-tuned", ALONE),
    ("fine-tuned", OWN),
    ("fine-tuned", "shared"),
)
"""Pairs whose difference is told, on the same images."""

Scores = npt.NDArray[np.float64]
"""Logits of shape (n_test, classes)."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a model is made: settings beside the common ones, rounds, and who trains."""

    settings: Mapping[str, Any]
    rounds: int
    federated: bool = False
    starts: bool = True


SPACE = Way(
    settings={"local_epochs": 2, "schedule_rounds": 24}, rounds=24, federated=True, starts=False
)
"""The space's model, before the small hospital joins."""
WAYS: Mapping[str, Way] = {
    ALONE: Way(settings={"schedule_rounds": 80, "batch_size": 8}, rounds=80, starts=False),
    "own head": Way(settings={"train": "head", "schedule_rounds": 10}, rounds=10),
    "federated head": Way(
        settings={"train": "head", "schedule_rounds": 8}, rounds=8, federated=True
    ),
    "fine-tuned": Way(settings={"learning_rate": 5e-4, "schedule_rounds": 10}, rounds=10),
}
ROWS = ("majority", ALONE, "own head", "federated head", OWN, "fine-tuned", "shared")


@dataclass(frozen=True, kw_only=True)
class Federation:
    """Who has which images: the hospital that joins (`guest`), the others, the part that judges."""

    guest: Cases
    others: Mapping[str, Cases]
    test: Cases
    own: npt.NDArray[np.intp]
    """Rows of `test` with the guest's own mix of classes."""

    def cut(self, size: int | str, *, seed: int) -> Cases:
        """Return the guest's first images in an order that the seed draws."""
        drawn = np.random.default_rng([seed, 1]).permutation(self.guest.n)
        return self.guest if size == "all" else self.guest.take(np.sort(drawn[: int(size)]))


def main() -> None:
    """Measure what is missing, write and print the table."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--validate", action="store_true", help="judge on the training side")
    given = parser.parse_args()
    sides = (validation_sides if given.validate else test_sides)(brain_task())
    cells = fill(TRIALS if given.validate else CELLS, wanted(sides, given.seeds))
    found = summarise(cells, sides, seeds=given.seeds)
    if not given.validate:
        write_result(RESULT, found)
    print("\n".join(found["lines"]))


def wanted(sides: Sides, seeds: Sequence[int]) -> dict[str, Callable[[], Cell]]:
    """Name every cell and what makes it: by seed, then by size, then by way."""
    found: dict[str, Callable[[], Cell]] = {}
    for seed in seeds:
        space = federation(sides, seed=seed)
        start = partial(space_model, space, seed=seed)
        found[f"shared, seed {seed}"] = partial(run_shared, space, start=start)
        for size in SIZES:
            for name, way in WAYS.items():
                found[f"{name}, n={size}, seed {seed}, {_words(way)}"] = partial(
                    run_way, name, space=space, size=size, seed=seed, start=start
                )
    return found


def federation(sides: Sides, *, seed: int) -> Federation:
    """Deal the training side, and let the smallest hospital with enough images be the guest."""
    sites = deal(sides.train, alpha=ALPHA, seed=seed, classes=CLASSES)
    name = min((n for n in sites if sites[n].n >= FEWEST), key=lambda n: sites[n].n)
    guest = sites[name]
    return Federation(
        guest=guest,
        others={other: cases for other, cases in sites.items() if other != name},
        test=sides.test,
        own=own_mix(sides.test.y, guest.y, classes=CLASSES, seed=seed),
    )


def space_model(space: Federation, *, seed: int) -> str:
    """Train the space's model at the three others, unless its file is there; return its digest.

    The file's name is the digest of its bytes, as in a node's folder of models;
    beside it a note says of which hospitals and settings it came.
    """
    told = f"{seed} {sorted(c.n for c in space.others.values())} {_words(SPACE)}"
    note = FOLDER / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.txt"
    if note.is_file():
        return note.read_text(encoding="utf-8")
    done = simulate(
        RECIPE,
        {name: (cases, space.test) for name, cases in space.others.items()},
        needs=NEEDS,
        settings=RECIPE.read_settings({**SETTINGS, **SPACE.settings}),
        rounds=SPACE.rounds,
        seed=seed,
    )
    data = pack_arrays(done.model)
    digest = hashlib.sha256(data).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{digest}.safetensors").write_bytes(data)
    note.write_text(digest, encoding="utf-8")
    return digest


def run_shared(space: Federation, *, start: Callable[[], str]) -> Cell:
    """Ask the space's model as it is; it has seen no image of the guest's."""
    settings = RECIPE.read_settings({**SETTINGS, **SPACE.settings})
    chance = Chance(seed=0, participant=ParticipantId("guest"))
    ready = RECIPE.prepare(space.guest, space.test, needs=NEEDS, settings=settings, chance=chance)
    weights = unpack_arrays((FOLDER / f"{start()}.safetensors").read_bytes())
    return {"right": {"shared": _right(_ask(ready.held_out, weights, settings), space.test)}}


def run_way(
    name: str, *, space: Federation, size: int | str, seed: int, start: Callable[[], str]
) -> Cell:
    """Make a model of one way and size; tell which test images it gets right."""
    way = WAYS[name]
    given = {**SETTINGS, **way.settings}
    if way.starts:
        given |= {"start_model": start(), "start_folder": str(FOLDER)}
    settings = RECIPE.read_settings(given)
    guest = (space.cut(size, seed=seed), space.test)
    if way.federated:
        sites = {n: (cases, space.test.take(np.arange(1))) for n, cases in space.others.items()}
        done = simulate(
            RECIPE,
            {**sites, "guest": guest},
            needs=NEEDS,
            settings=settings,
            rounds=way.rounds,
            seed=seed,
        )
        held_out = done.prepared["guest"].held_out
        said = {
            name: done.predict("guest", held_out),
            OWN: done.predict("guest", held_out, personal=True),
        }
    else:
        fitted = fit_alone(
            RECIPE,
            guest,
            needs=NEEDS,
            settings=settings.alone,
            rounds=way.rounds,
            chance=Chance(seed=seed, participant=ParticipantId("guest")),
        )
        said = {name: np.asarray(fitted.predict(fitted.prepared.held_out))}
    return {"right": {row: _right(scores, space.test) for row, scores in said.items()}}


def summarise(cells: Mapping[str, Cell], sides: Sides, *, seeds: Sequence[int]) -> dict[str, Any]:
    """Average over seeds: on the guest's own mix of classes, and on the whole test part."""
    spaces = {seed: federation(sides, seed=seed) for seed in seeds}
    rows: dict[str, Any] = {}
    for size in SIZES:
        right = {seed: _at(cells, spaces[seed], size, seed) for seed in seeds}
        for row in ROWS:
            rows[f"n={size} {row}"] = _both(right, spaces, row)
        for row, other in LESS:
            rows[f"n={size} {row} - {other}"] = _both(right, spaces, row, other)
    return {
        "what": "accuracy at the hospital that joins, mean over seeds, 95 % intervals over images",
        "settings": dict(SETTINGS),
        "space": _words(SPACE),
        "ways": {name: _words(way) for name, way in WAYS.items()},
        "seeds": list(seeds),
        "sizes": {seed: spaces[seed].guest.n for seed in seeds},
        "resamples": RESAMPLES,
        "rows": rows,
        "lines": _lines(rows),
        "cpu_s": round(sum(cell["cpu_s"] for cell in cells.values()), 1),
    }


def _at(
    cells: Mapping[str, Cell], space: Federation, size: int | str, seed: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which test images each row gets right, at one size and seed."""
    told = dict(cells[f"shared, seed {seed}"]["right"])
    for name, way in WAYS.items():
        told |= cells[f"{name}, n={size}, seed {seed}, {_words(way)}"]["right"]
    right = {row: np.array([mark == "1" for mark in marks]) for row, marks in told.items()}
    most = np.bincount(space.cut(size, seed=seed).y.astype(int), minlength=CLASSES).argmax()
    return right | {"majority": space.test.y == most}


def _both(
    right: Mapping[int, Mapping[str, npt.NDArray[np.bool_]]],
    spaces: Mapping[int, Federation],
    row: str,
    minus: str | None = None,
) -> dict[str, Any]:
    """Measure a row, or a difference, on the own mix and on the whole test part."""
    each = {
        seed: marks[row].astype(float) - (marks[minus] if minus else 0.0)
        for seed, marks in right.items()
    }
    return {
        "own": _spread([each[seed][spaces[seed].own] for seed in each]),
        "test": _spread(list(each.values())),
    }


def _spread(each: Sequence[Scores]) -> dict[str, Any]:
    """Mean over seeds, with a bootstrap over the images of each seed's test part."""
    chance = np.random.default_rng(7)
    drawn = [one[chance.integers(len(one), size=(RESAMPLES, len(one)))].mean(axis=1)
             for one in each]  # fmt: skip
    low, high = np.quantile(np.mean(drawn, axis=0), (0.025, 0.975))
    means = [float(one.mean()) for one in each]
    figures = {"value": np.mean(means), "low": low, "high": high, "sd": np.std(means)}
    return {name: round(float(value), 4) for name, value in figures.items()} | {
        "by_seed": [round(mean, 4) for mean in means]
    }


def _lines(rows: Mapping[str, Any]) -> list[str]:
    found = []
    for name, row in rows.items():
        form = "+.3f" if " - " in name else ".3f"
        parts = [
            f"{part} {format(one['value'], form)} [{format(one['low'], form)}, "
            f"{format(one['high'], form)}]"
            for part, one in row.items()
        ]
        found.append(f"{name:<50} " + "  ".join(parts))
    return found


def _ask(cases: Cases, weights: Arrays, settings: Any) -> Scores:
    return np.asarray(RECIPE.predict(cases, weights, settings, kept={}))


def _right(scores: Scores, test: Cases) -> str:
    """Write down for each test image whether it was answered rightly."""
    return "".join("1" if one else "0" for one in scores.argmax(axis=1) == test.y)


def _words(way: Way) -> str:
    """Tell a way in words: a cell of other settings is another cell."""
    return " ".join(
        f"{key}={value}" for key, value in {**way.settings, "rounds": way.rounds}.items()
    )


if __name__ == "__main__":
    main()

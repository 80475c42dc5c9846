"""Images across four hospitals: brain tumours on MRI, diabetic retinopathy on photographs.

    python -m benchmarks.images [--data brain|retina]... [--seed N]... [--validate] [--table]

Each cell (data, α, seed, method) is measured once and kept in
`docs/proof/images.json`; the same command goes on where it stopped. With
`--validate` models are judged on a part of the training side and written
elsewhere: that is how settings were chosen; the test parts never were asked.
`CONSILIUM_TEST_DATA` names the folder of the open data.

Protocol. Brain MRI: one stratified fifth of the 1,200 slices, drawn with seed
2026 before anything was tried, is never trained on. RetinaMNIST: the official
split; its training and validation images are the training side. The training
side is dealt to four hospitals, each class by Dirichlet(α); the seed fixes
partition and training. Every model answers for the whole test part with each
hospital's own normalisation: `test` is the mean over hospitals. `own` judges
each hospital on as many test images as have its own mix of classes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from benchmarks.commands import ROOT
from benchmarks.proof import commit, machine
from benchmarks.science import data_folder
from consilium.federation.contract import Cases, Chance, Needs, stack_cases
from consilium.federation.recipes.image_classifier import RECIPE
from consilium.federation.simulation import Simulated, fit_alone, simulate
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.identifiers import ParticipantId

SEEDS = (42, 43, 44, 45, 46)
SPLIT_SEED = 2026
HOSPITALS = ("a", "b", "c", "d")
FEWEST = 20
"""Images that each hospital has at least; a partition with fewer is drawn again."""
RESAMPLES = 1000
RESULTS = ROOT / "docs" / "proof" / "images.json"
TRIALS = ROOT / ".proof" / "images-validation.json"
LOCK = ROOT / ".proof" / "images.lock"
METHODS = ("pooled", "recipe", "fedavg", "local", "majority")
"""In the order of measuring. `recipe` also gives `personalised`, the shared model with the
hospital's own class shares, and `fine_tuned`, trained on at the hospital; `fedavg` is plain."""
FINE_TUNING = {"local_epochs": 5, "learning_rate": 5e-4, "schedule_rounds": 0}

Scores = npt.NDArray[np.float64]
"""Predictions of shape (n_test, classes)."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set with the settings that were chosen for it on its validation part."""

    name: str
    needs: Needs
    alphas: tuple[float, ...]
    rounds: int
    settings: Mapping[str, Any]
    rule: str
    rule_settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The training side and the part that judges."""

    train: Cases
    test: Cases


def brain_task() -> Task:
    """Three tumours on slices of 96 × 96 pixels, made smaller at the hospitals."""
    return Task(
        name="brain",
        needs=_needs((96, 96, 1), ("glioma", "meningioma", "pituitary")),
        alphas=(0.5, 0.1),
        rounds=50,
        settings={
            "size": 64,
            "shrink": 1,
            "shrink_by": "pool",
            "normalise": "image",
            "validation_share": 0.0,
            "views": "mirrored",
            "schedule_rounds": 50,
            "local_epochs": 2,
            "balance": "prior",
            "threads": 1,
        },
        rule="fedavgm",
        rule_settings={"momentum": 0.7, "server_learning_rate": 0.55},
    )


def retina_task() -> Task:
    """Five grades of diabetic retinopathy on 28 × 28 photographs."""
    return Task(
        name="retina",
        needs=_needs((28, 28, 3), ("0", "1", "2", "3", "4")),
        alphas=(0.5,),
        rounds=36,
        settings={
            "size": 28,
            "shrink": 0,
            "rotate": 30.0,
            "validation_share": 0.0,
            "views": "mirrored",
            "schedule_rounds": 36,
            "local_epochs": 1,
            "balance": "none",
            "threads": 1,
        },
        rule="fedavgm",
        rule_settings={"momentum": 0.7, "server_learning_rate": 0.55},
    )


TASKS = {"brain": brain_task, "retina": retina_task}


def main() -> None:
    """Measure what is missing, write it down, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", choices=sorted(TASKS))
    parser.add_argument("--seed", action="append", type=int, help="42 to 46 if not given")
    parser.add_argument("--alpha", action="append", type=float)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE, with --validate")
    parser.add_argument("--rounds", type=int, help="with --validate")
    parser.add_argument("--validate", action="store_true", help="judge on the training side")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    given = parser.parse_args()
    if (given.set or given.rounds) and not given.validate:
        parser.error("other settings are tried with --validate only")
    file = TRIALS if given.validate else RESULTS
    if not given.table:
        for method in given.method or METHODS:
            for seed in given.seed or SEEDS:
                for name in given.data or sorted(TASKS):
                    task = changed(TASKS[name](), given.set, rounds=given.rounds)
                    alphas = given.alpha or task.alphas
                    # The pooled model knows no hospitals: one for every partition.
                    for group in [alphas] if method == "pooled" else [[each] for each in alphas]:
                        measure_cells(task, method, alphas=group, seed=seed, file=file)
    print(table(read(file)))


def measure_cells(
    task: Task, method: str, *, alphas: Sequence[float], seed: int, file: Path
) -> None:
    """Measure a method once and judge it under each partition, unless all is there."""
    keys = {alpha: cell_key(task, method, alpha=alpha, seed=seed) for alpha in alphas}
    missing = {alpha: key for alpha, key in keys.items() if not is_there(file, key)}
    if not missing:
        return
    sides = test_sides(task) if file == RESULTS else validation_sides(task)
    classes, began = _classes(task), time.process_time()
    deals = {a: deal(sides.train, alpha=a, seed=seed, classes=classes) for a in missing}
    found = measure(task, method, sides=sides, sites=next(iter(deals.values())), seed=seed)
    took = {"cpu_s": round(time.process_time() - began, 1)}
    for alpha, key in missing.items():
        for name, scores in found.items():
            cell = judge(scores, sides.test, sites=deals[alpha], seed=seed, classes=classes)
            cell = key | {"method": name} | cell | took
            write(file, cell | circumstances())
            print(line(cell), flush=True)


def cell_key(task: Task, method: str, *, alpha: float, seed: int) -> dict[str, Any]:
    """Name a cell: what it measures, and with which settings."""
    return {
        "data": task.name,
        "alpha": alpha,
        "seed": seed,
        "method": method,
        "settings": dict(task.settings),
        "rounds": task.rounds,
        "rule": [task.rule, dict(task.rule_settings)],
    }


def measure(
    task: Task, method: str, *, sides: Sides, sites: Mapping[str, Cases], seed: int
) -> dict[str, Mapping[str, Scores]]:
    """Return each hospital's predictions for the test part, by method.

    The recipe's row and both personal ones come from one simulated study.
    """
    pairs = {name: (cases, sides.test) for name, cases in sites.items()}
    if method == "majority":
        return {
            method: {
                name: _shares(cases, _classes(task), sides.test.n) for name, cases in sites.items()
            }
        }
    if method == "local":
        return {method: {name: _alone(task, pairs[name], name, seed) for name in sites}}
    if method == "pooled":
        return {method: dict.fromkeys(sites, _alone(task, (sides.train, sides.test), method, seed))}
    settings = dict(task.settings)
    if method == "fedavg":
        settings |= {"balance": "none"}
    done = simulate(
        RECIPE,
        pairs,
        needs=task.needs,
        settings=RECIPE.read_settings(settings),
        rounds=task.rounds,
        seed=seed,
        rule="fedavg" if method == "fedavg" else task.rule,
        rule_settings={} if method == "fedavg" else task.rule_settings,
    )
    shared = {name: done.predict(name, done.prepared[name].held_out) for name in sites}
    if method == "fedavg":
        return {"fedavg": shared}
    own = {name: done.predict(name, done.prepared[name].held_out, personal=True) for name in sites}
    tuned = {name: _fine_tuned(done, name, seed=seed) for name in sites}
    return {"recipe": shared, "personalised": own, "fine_tuned": tuned}


def _fine_tuned(done: Simulated, name: str, *, seed: int) -> Scores:
    """Train the shared model on at one hospital, a few short passes."""
    settings = replace(done.settings.alone, **FINE_TUNING)
    trained = RECIPE.train(
        done.prepared[name].train,
        done.model,
        settings,
        chance=Chance(seed=seed, participant=ParticipantId(f"{name}-fine-tuned")),
        number=1,
        kept={},
    )
    return np.asarray(
        RECIPE.predict(done.prepared[name].held_out, trained.arrays, settings, kept={})
    )


def _alone(task: Task, sides: tuple[Cases, Cases], name: str, seed: int) -> Scores:
    """Train on one body of cases: as many passes as a study takes."""
    fitted = fit_alone(
        RECIPE,
        sides,
        needs=task.needs,
        settings=RECIPE.read_settings(task.settings).alone,
        rounds=task.rounds,
        chance=Chance(seed=seed, participant=ParticipantId(name)),
    )
    return np.asarray(fitted.predict(fitted.prepared.held_out))


def judge(
    scores: Mapping[str, Scores],
    test: Cases,
    *,
    sites: Mapping[str, Cases],
    seed: int,
    classes: int,
) -> dict[str, Any]:
    """Judge predictions: on the whole test part, and on each hospital's own mix of classes."""
    right = {name: (scores[name].argmax(axis=1) == test.y).astype(float) for name in scores}
    chance = np.random.default_rng([SPLIT_SEED, seed])
    whole = _resampled(np.mean(list(right.values()), axis=0), chance)
    aucs = [_auc(test.y, scores[name], classes) for name in scores]
    own = {}
    for name, cases in sites.items():
        rows = own_mix(test.y, cases.y, classes=classes, seed=seed)
        own[name] = {"n_train": cases.n, "n_test": len(rows)} | _resampled(
            right[name][rows], chance
        )
    values = [each["accuracy"] for each in own.values()]
    return {
        "test": whole | {"auc": round(fmean(aucs), 4), "n": test.n},
        "own": {"mean": round(fmean(values), 4), "worst": min(values), "sites": own},
    }


def own_mix(
    test: npt.NDArray[np.float64], train: npt.NDArray[np.float64], *, classes: int, seed: int
) -> npt.NDArray[np.intp]:
    """Draw test rows with a hospital's own mix of classes, as many as there are."""
    shares = np.bincount(train.astype(int), minlength=classes) / len(train)
    there = np.bincount(test.astype(int), minlength=classes)
    most = min(there[c] / shares[c] for c in range(classes) if shares[c] > 0)
    chance = np.random.default_rng([seed, len(train)])
    rows = [
        chance.permutation(np.flatnonzero(test == c))[: round(shares[c] * most)]
        for c in range(classes)
    ]
    return np.sort(np.concatenate(rows))


def deal(train: Cases, *, alpha: float, seed: int, classes: int) -> dict[str, Cases]:
    """Deal the training side to the hospitals, each class by Dirichlet(α)."""
    chance = np.random.default_rng(seed)
    while True:
        rows: dict[str, list[int]] = {name: [] for name in HOSPITALS}
        for c in range(classes):
            found = chance.permutation(np.flatnonzero(train.y == c))
            shares = chance.dirichlet([alpha] * len(HOSPITALS))
            cuts = (np.cumsum(shares)[:-1] * len(found)).astype(int)
            for name, part in zip(HOSPITALS, np.split(found, cuts), strict=True):
                rows[name].extend(part.tolist())
        if min(len(part) for part in rows.values()) >= FEWEST:
            return {name: train.take(np.sort(part)) for name, part in rows.items()}


def test_sides(task: Task) -> Sides:
    """Return the training side and the test part."""
    if task.name == "brain":
        cases = _brain()
        test = _fifth(cases.y, seed=SPLIT_SEED)
        return Sides(train=cases.take(~test), test=cases.take(test))
    parts = _retina()
    return Sides(train=stack_cases([parts["train"], parts["val"]]), test=parts["test"])


def validation_sides(task: Task) -> Sides:
    """Split the training side once more: where settings are chosen."""
    if task.name == "brain":
        train = test_sides(task).train
        aside = _fifth(train.y, seed=SPLIT_SEED + 1)
        return Sides(train=train.take(~aside), test=train.take(aside))
    parts = _retina()
    train = stack_cases([parts["train"], parts["val"]])
    aside = _fifth(train.y, seed=SPLIT_SEED + 1)
    return Sides(train=train.take(~aside), test=train.take(aside))


def changed(task: Task, given: Sequence[str], *, rounds: int | None) -> Task:
    """Return the task with other settings."""
    settings = dict(task.settings)
    for text in given:
        name, _, value = text.partition("=")
        settings[name] = _value(value)
    rounds = rounds or task.rounds
    if settings.get("schedule_rounds"):
        settings["schedule_rounds"] = rounds
    return Task(
        name=task.name,
        needs=task.needs,
        alphas=task.alphas,
        rounds=rounds,
        settings=settings,
        rule=task.rule,
        rule_settings=task.rule_settings,
    )


def read(file: Path) -> list[dict[str, Any]]:
    """Read the cells; none when there is no file."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def write(file: Path, cell: Mapping[str, Any]) -> None:
    """Add a cell, one line each; several processes may measure at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        flock(lock, LOCK_EX)
        lines = [json.dumps(each, ensure_ascii=False) for each in [*read(file), cell]]
        new = file.with_suffix(".new")
        new.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
        new.replace(file)


def is_there(file: Path, key: Mapping[str, Any]) -> bool:
    """Say whether a cell was measured with these settings."""
    return any(all(cell.get(name) == key[name] for name in key) for cell in read(file))


def circumstances() -> dict[str, str]:
    """Say when, where and on which code."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"when": when, "machine": machine(), "commit": commit()}


def line(cell: Mapping[str, Any]) -> str:
    """Write one cell for the terminal."""
    test, own = cell["test"], cell["own"]
    sites = " ".join(f"{each['accuracy']:.3f}" for each in own["sites"].values())
    return (
        f"{cell['data']:<7} α={cell['alpha']:<4} seed {cell['seed']} {cell['method']:<13}"
        f"test {test['accuracy']:.3f} [{test['low']:.3f}, {test['high']:.3f}] AUC {test['auc']:.3f}"
        f" | own mean {own['mean']:.3f} worst {own['worst']:.3f} ({sites})"
        f" | {cell['cpu_s']:.0f} s CPU, {cell['rounds']} rounds"
    )


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Write every cell, and the means over seeds below."""
    order = sorted(cells, key=lambda c: (c["data"], -c["alpha"], c["seed"]))
    return "\n".join([*(line(cell) for cell in order), "", *_means(order)])


def _means(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    groups: dict[tuple[str, float, str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        settings = json.dumps([cell["settings"], cell["rounds"]], sort_keys=True)
        key = (cell["data"], cell["alpha"], cell["method"], settings)
        groups.setdefault(key, []).append(cell)
    for (data, alpha, method, _), found in groups.items():
        tests = [cell["test"]["accuracy"] for cell in found]
        yield (
            f"{data:<7} α={alpha:<4} mean of {len(found)} seeds {method:<13}"
            f"test {fmean(tests):.4f} (least {min(tests):.3f})"
            f" AUC {fmean(cell['test']['auc'] for cell in found):.4f}"
            f" | own mean {fmean(cell['own']['mean'] for cell in found):.4f}"
            f" worst {min(cell['own']['worst'] for cell in found):.3f}"
        )


def _brain() -> Cases:
    path = data_folder() / "brain_tumour_mri" / "brain_tumour_mri_96_train.npz"
    with np.load(path, allow_pickle=False) as found:
        return _cases(found["images"][..., None], found["labels"])


def _retina() -> dict[str, Cases]:
    with np.load(data_folder() / "retinamnist" / "retinamnist.npz", allow_pickle=False) as found:
        return {
            part: _cases(found[f"{part}_images"], found[f"{part}_labels"][:, 0])
            for part in ("train", "val", "test")
        }


def _cases(images: npt.NDArray[np.uint8], labels: npt.NDArray[Any]) -> Cases:
    n = len(labels)
    return Cases(
        x=np.empty((n, 0)),
        y=labels.astype(np.float64),
        group=np.arange(n),
        tensors={"image": images},
    )


def _fifth(y: npt.NDArray[np.float64], *, seed: int) -> npt.NDArray[np.bool_]:
    """Draw a fifth of each class."""
    chance = np.random.default_rng(seed)
    chosen = np.zeros(len(y), dtype=bool)
    for c in np.unique(y):
        rows = chance.permutation(np.flatnonzero(y == c))
        chosen[rows[: round(0.2 * len(rows))]] = True
    return chosen


def _shares(cases: Cases, classes: int, rows: int) -> Scores:
    """Answer with the hospital's class shares, whatever the image."""
    shares = np.bincount(cases.y.astype(int), minlength=classes) / cases.n
    return np.tile(shares, (rows, 1))


def _resampled(right: npt.NDArray[np.float64], chance: np.random.Generator) -> dict[str, float]:
    """Return accuracy with a 95 % bootstrap interval over images."""
    draws = right[chance.integers(len(right), size=(RESAMPLES, len(right)))].mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    figures = {"accuracy": right.mean(), "low": low, "high": high}
    return {name: round(float(value), 4) for name, value in figures.items()}


def _auc(y: npt.NDArray[np.float64], scores: Scores, classes: int) -> float:
    """Return the mean AUC of each class against the rest, as MedMNIST does."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return fmean(roc_auc_score(y == c, shares[:, c]) for c in range(classes))


def _needs(shape: tuple[int, int, int], classes: tuple[str, ...]) -> Needs:
    field = FieldNeed(name="image", kind="image", modality="image", shape=shape)
    return Needs(features=(field,), target=Target(kind="classes", classes=classes))


def _classes(task: Task) -> int:
    return len(task.needs.target.classes)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()

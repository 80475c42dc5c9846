"""The digits table: personal models of ten simulated hospitals, method beside method.

    python -m benchmarks.digits [--fresh]

Ten sites, Dirichlet alpha .1 and 1, five partitions (seeds 42 to 46), a network
64-64-32-10 with two normalised layers, 100 rounds of 3 steps at .1. For each
partition the round is taken whose mean validation accuracy is best; what is
shown is each site's accuracy on its own test part in that round. Differences
have a paired 95 % interval over cases, and one over the five partitions.
Results go into `docs/proof/digits.json`, one line for each method; what stands
there is not run again unless `--fresh` is given.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from benchmarks.commands import ROOT
from benchmarks.digits_data import Deal, accuracies, deal, hits
from benchmarks.digits_intervals import Comparison, Difference, Hits, pack_hits, unpack_hits
from benchmarks.digits_methods import (
    NOTHING,
    SETTINGS,
    Method,
    Models,
    by_recipe,
    fedap,
    fedper,
    pooled,
)
from benchmarks.digits_rings import distilled, transfer
from benchmarks.proof import machine
from consilium.federation.personal import NORMALISATION

FILE = ROOT / "docs" / "proof" / "digits.json"
SEEDS = (42, 43, 44, 45, 46)
ALPHAS = (0.1, 1.0)
SITES = 10
METHODS: Mapping[str, Method] = {
    "Local": by_recipe(SETTINGS, federated=False),
    "FedAvg": by_recipe(SETTINGS),
    "FedProx .1": by_recipe(replace(SETTINGS, proximal_mu=0.1)),
    "FedBN": by_recipe(replace(SETTINGS, norm="local_batch")),
    "FedAP .3": fedap(0.3),
    "FedAP .5": fedap(0.5),
    "FedAP .7": fedap(0.7),
    "FedPer": fedper,
    "Ditto .1": by_recipe(replace(SETTINGS, personal="ditto", ditto_lambda=0.1)),
    "ring, local BN": transfer(NORMALISATION),
    "ring KD": distilled,
    "ring, shared BN": transfer(NOTHING),
    "pooled": pooled,
}
PUBLISHED: Mapping[float, Mapping[str, tuple[float, float | None]]] = {
    0.1: {
        "Local": (96.6, 1.3),
        "FedAvg": (89.0, 5.0),
        "FedProx .1": (88.9, 4.2),
        "FedBN": (97.2, 0.6),
        "FedAP .3": (97.0, None),
        "FedAP .5": (96.7, None),
        "FedAP .7": (97.2, None),
        "FedPer": (94.8, 1.3),
        "Ditto .1": (98.0, 0.5),
        "ring, local BN": (97.6, 0.4),
        "ring KD": (96.1, 1.3),
        "ring, shared BN": (95.1, 0.5),
    },
    1.0: {
        "Local": (87.9, 2.0),
        "FedAvg": (97.5, 0.8),
        "FedProx .1": (97.3, 0.8),
        "FedBN": (96.8, 0.8),
        "FedAP .3": (96.8, None),
        "FedAP .5": (97.0, None),
        "FedAP .7": (96.4, None),
        "FedPer": (93.6, 1.5),
        "Ditto .1": (96.9, 0.5),
        "ring, local BN": (96.3, 0.7),
        "ring KD": (89.1, 1.8),
        "ring, shared BN": (97.1, 0.8),
    },
}
"""An earlier replay's means and standard deviations over five partitions, in percent."""

Cell = Mapping[str, Any]
"""One method at one alpha: `alpha`, `method`, `rounds` and `accuracy` by seed (and site)."""


def main() -> None:
    """Run what is missing, print the table, say whether the bar is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true", help="run everything anew")
    if parser.parse_args().fresh:
        FILE.unlink(missing_ok=True)
    cells = read(FILE)
    for alpha in ALPHAS:
        missing = [name for name in (*METHODS, "majority") if (alpha, name) not in cells]
        if missing:
            dealt = deal(alpha=alpha, seeds=SEEDS, sites=SITES)
            for name in missing:
                cells[alpha, name] = run(name, dealt, alpha=alpha)
                write(FILE, cells.values())
    print(table(cells))


def run(name: str, dealt: Deal, *, alpha: float) -> Cell:
    """Run one method on all partitions of an alpha."""
    began = time.process_time()
    if name == "majority":
        rounds, right = [0] * len(dealt.seeds), majority(dealt)
    else:
        rounds, right = best_rounds(METHODS[name](dealt), dealt)
    found = dealt.by_seed([float(one.mean()) for one in right])
    return {
        "alpha": alpha,
        "method": name,
        "seeds": list(dealt.seeds),
        "rounds": rounds,
        "accuracy": found.round(6).tolist(),
        "hits": pack_hits(np.concatenate(right)),
        "cpu_s": round(time.process_time() - began, 1),
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
    }


def best_rounds(rounds: Iterable[Models], dealt: Deal) -> tuple[list[int], list[Hits]]:
    """Return each partition's round that is best on validation, and each site's hits there."""
    best, chosen = np.full(len(dealt.seeds), -1.0), [0] * len(dealt.seeds)
    right: list[Hits] = [np.zeros(part.n, dtype=np.bool_) for part in dealt.test]
    for number, models in enumerate(rounds, start=1):
        scores = dealt.by_seed(accuracies(models, dealt.validation)).mean(axis=1)
        better = np.flatnonzero(scores > best)
        best = np.maximum(best, scores)
        now = hits(models, dealt.test) if len(better) else []
        for seed in better:
            chosen[seed] = number
            for place in dealt.places(int(seed)):
                right[place] = now[place]
    return chosen, right


def majority(dealt: Deal) -> list[Hits]:
    """Return the hits of always saying the site's most frequent class."""
    return [
        test.y == np.bincount(train.y.astype(int)).argmax()
        for train, test in zip(dealt.train, dealt.test, strict=True)
    ]


def compare(cells: Iterable[Cell], dealt: Deal) -> Comparison:
    """Prepare the differences between the methods of one alpha."""
    count = sum(part.n for part in dealt.test)
    return Comparison(dealt, {cell["method"]: unpack_hits(cell["hits"], count) for cell in cells})


def published_difference(alpha: float, one: str, other: str) -> tuple[float, float]:
    """Return the published difference and half its interval (Welch); infinite without spreads."""
    (a, sd_a), (b, sd_b) = PUBLISHED[alpha][one], PUBLISHED[alpha][other]
    if sd_a is None or sd_b is None:
        return a - b, math.inf
    parts = [sd_a**2 / len(SEEDS), sd_b**2 / len(SEEDS)]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(SEEDS) - 1) for part in parts)
    return a - b, _student(freedom) * math.sqrt(sum(parts))


def _student(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def clear_pairs(alpha: float) -> list[tuple[str, str]]:
    """List the pairs of methods whose published difference has an interval without 0."""
    names, pairs = list(PUBLISHED[alpha]), []
    for place, other in enumerate(names):
        for one in names[place + 1 :]:
            gap, half = published_difference(alpha, one, other)
            if abs(gap) > half:
                pairs.append((one, other))
    return pairs


def verdict(alpha: float, one: str, other: str, *, found: Difference) -> str:
    """Say whether a difference has the published sign: same, opposite, or open (0 within)."""
    if not found.is_clear:
        return "open"
    same = (found.points > 0) == (published_difference(alpha, one, other)[0] > 0)
    return "same" if same else "opposite"


def table(cells: Mapping[tuple[float, str], Cell]) -> str:
    """Write both tables, every clear pair's verdict, and what it took."""
    lines = []
    for alpha in ALPHAS:
        here = {name: cells[alpha, name] for name in (*METHODS, "majority")}
        comparison = compare(here.values(), deal(alpha=alpha, seeds=SEEDS, sites=SITES))
        lines += ["", f"alpha {alpha:g}: mean own-site test accuracy in %, {SITES} sites, 5 seeds"]
        lines.append(
            f"{'method':<16} {'mean':>5} {'sd':>4} {'worst':>5}   less FedAvg: over cases, "
            f"partitions   less FedBN: over cases    published    by site"
        )
        lines += [_row(alpha, name, cell, comparison) for name, cell in here.items()]
        lines += _pairs(alpha, comparison)
    total = sum(cell["cpu_s"] for cell in cells.values())
    lines += ["", f"CPU seconds of all: {total:.0f}"]
    return "\n".join(lines)


def _row(alpha: float, name: str, cell: Cell, comparison: Comparison) -> str:
    found = [100 * fmean(row) for row in cell["accuracy"]]
    worst = fmean(100 * min(row) for row in cell["accuracy"])
    average, local = (comparison.difference(name, other) for other in ("FedAvg", "FedBN"))
    mean, spread = PUBLISHED[alpha].get(name, (None, None))
    published = "" if mean is None else f"{mean:.1f}" + (f" ±{spread:.1f}" if spread else "")
    sites = " ".join(f"{100 * value:.0f}" for value in np.mean(cell["accuracy"], axis=0))
    return (
        f"{name:<16} {fmean(found):5.1f} {stdev(found):4.1f} {worst:5.1f}   {_words(average):<24} "
        f"±{average.partitions:<4.1f}        {_words(local):<24} {published:<10}  {sites}"
    )


def _words(one: Difference) -> str:
    return f"{one.points:+.1f} [{one.low:+.1f}, {one.high:+.1f}]"


def _pairs(alpha: float, comparison: Comparison) -> list[str]:
    pairs = {pair: comparison.difference(*pair) for pair in clear_pairs(alpha)}
    kinds = {pair: verdict(alpha, *pair, found=found) for pair, found in pairs.items()}
    count = Counter(kinds.values())
    lines = [
        f"of {len(pairs)} pairs that the published table tells apart: {count['same']} of the same "
        f"sign and clear, {count['open']} open, {count['opposite']} opposite"
    ]
    for (one, other), kind in kinds.items():
        if kind != "same":
            said = published_difference(alpha, one, other)[0]
            words = _words(pairs[one, other])
            lines.append(f"  {kind}: {one} less {other} {words}, published {said:+.1f}")
    return lines


def read(file: Path) -> dict[tuple[float, str], Cell]:
    """Read the cells that are there."""
    if not file.is_file():
        return {}
    return {
        (cell["alpha"], cell["method"]): cell
        for cell in json.loads(file.read_text(encoding="utf-8"))
    }


def write(file: Path, cells: Iterable[Cell]) -> None:
    """Write a list with one line for each cell."""
    lines: Sequence[str] = [json.dumps(cell, ensure_ascii=False) for cell in cells]
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

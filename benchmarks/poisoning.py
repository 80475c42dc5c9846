"""One poisoned hospital of five: what each robust rule saves, and what it costs without attack.

    python -m benchmarks.poisoning [--fresh]

Digits, five sites, Dirichlet alpha 1, five partitions (seeds 42 to 46), a network
64-64-32-10 with two normalised layers, 100 rounds of 3 steps at .1, the model
after the last round. One site attacks in every round: it sends -10 times its
update, or it trains on labels turned round (9 less the digit) and sends its
update as it is. What is shown is the mean accuracy on the test parts of the
four honest sites, and the difference to plain averaging that nobody attacks,
with a paired 95 % interval over cases. Results go into
`docs/proof/poisoning.json`, one line for each cell.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.commands import ROOT
from benchmarks.digits import SEEDS, Cell, read, write
from benchmarks.digits_data import NEEDS, Deal, deal, hits, site_names
from benchmarks.digits_intervals import Comparison, Hits, pack_hits, unpack_hits
from benchmarks.digits_methods import ROUNDS, SETTINGS
from benchmarks.proof import machine
from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.contract import Cases, Chance, stack_cases
from consilium.federation.recipes.tabular_mlp import RECIPE
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

FILE = ROOT / "docs" / "proof" / "poisoning.json"
ALPHA, SITES = 1.0, 5
POISONED = 2
"""Place of the attacker; the root of `fltrust` is the first site."""
POINTS = 3.0
"""What a robust rule may lose to the attack, in percent points."""
CURATED = 100
"""Cases of the curated root: drawn from the honest sites' training parts, evenly over classes."""
CURATOR = ParticipantId("curator")
ATTACKS = ("nobody", "-10 x update", "labels turned round")


@dataclass(frozen=True, kw_only=True)
class Used:
    """A rule with its settings; `curated` adds a root that holds a clean even sample."""

    rule: str
    settings: Mapping[str, Any]
    curated: bool = False


RULES: Mapping[str, Used] = {
    "fedavg": Used(rule="fedavg", settings={}),
    "clipped": Used(rule="clipped", settings={}),
    "median": Used(rule="median", settings={}),
    "trimmed_mean": Used(rule="trimmed_mean", settings={}),
    "screened_median": Used(rule="screened_median", settings={}),
    "krum": Used(rule="krum", settings={}),
    "multi-krum": Used(rule="krum", settings={"keep": 0}),
    "fltrust": Used(rule="fltrust", settings={"root": site_names(SITES)[0]}),
    "fltrust, curated": Used(rule="fltrust", settings={"root": CURATOR}, curated=True),
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true", help="run everything anew")
    if parser.parse_args().fresh:
        FILE.unlink(missing_ok=True)
    cells, dealt = dict(read(FILE)), deal(alpha=ALPHA, seeds=SEEDS, sites=SITES)
    for name in (f"{rule} | {attack}" for rule in RULES for attack in ATTACKS):
        if (ALPHA, name) not in cells:
            cells[ALPHA, name] = run(name, dealt)
            write(FILE, cells.values())
    print(table({name: cell for (_, name), cell in cells.items()}, dealt))


def run(name: str, dealt: Deal) -> Cell:
    """Run one rule under one attack on all partitions."""
    began = time.process_time()
    rule, _, attack = name.partition(" | ")
    models = train(RULES[rule], attack, dealt)
    judged = honest(dealt)
    kept = [models[place // judged.sites] for place in range(len(judged.test))]
    right: list[Hits] = hits(kept, judged.test)
    found = judged.by_seed([float(one.mean()) for one in right])
    return {
        "alpha": ALPHA,
        "method": name,
        "seeds": list(dealt.seeds),
        "rounds": ROUNDS,
        "accuracy": found.round(6).tolist(),
        "hits": pack_hits(np.concatenate(right)),
        "cpu_s": round(time.process_time() - began, 1),
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
    }


def train(used: Used, attack: str, dealt: Deal) -> list[Arrays]:
    """Return each partition's model after the last round."""
    models: list[Arrays] = [RECIPE.initial(NEEDS, SETTINGS, seed=seed) for seed in dealt.seeds]
    cases, chances = list(poisoned(dealt, attack)), dealt.chances
    names, each = site_names(SITES), SITES
    if used.curated:
        # The curator stands after the sites of its partition.
        names, each = [*names, CURATOR], SITES + 1
        for seed in reversed(range(len(models))):
            end = dealt.places(seed).stop
            cases.insert(end, curate(dealt, seed))
            chances.insert(end, Chance(seed=dealt.seeds[seed], participant=CURATOR))
    nothing: Sequence[Arrays] = [{}] * len(cases)
    for number in range(1, ROUNDS + 1):
        starts = [model for model in models for _ in range(each)]
        done = RECIPE.train_many(
            cases, starts, SETTINGS, chances=chances, number=number, kept=nothing
        )
        for seed in range(len(models)):
            here = slice(seed * each, (seed + 1) * each)
            sent = dict(zip(names, (one.arrays for one in done[here]), strict=True))
            sizes = dict(zip(names, (one.n for one in cases[here]), strict=True))
            factor = -10.0 if attack == ATTACKS[1] else 1.0
            models[seed] = combine(used, models[seed], sent, sizes=sizes, factor=factor)
    return models


def combine(
    used: Used,
    model: Arrays,
    sent: Mapping[ParticipantId, Arrays],
    *,
    sizes: Mapping[ParticipantId, int],
    factor: float,
) -> Arrays:
    """Apply a rule to one partition's updates, the attacker's multiplied by `factor`."""
    attacker = site_names(SITES)[POISONED]
    contributions = {
        name: Contribution(
            update={
                array: (factor if name == attacker else 1.0) * (weights[array] - model[array])
                for array in model
            },
            n=sizes[name],
        )
        for name, weights in sent.items()
    }
    return aggregate(
        used.rule, model, contributions=contributions, state={}, settings=used.settings
    ).model


def poisoned(dealt: Deal, attack: str) -> Sequence[Cases]:
    """Return the training parts, the attacker's with labels turned round if it does that."""
    return [
        replace(part, y=9.0 - part.y)
        if attack == ATTACKS[2] and place % SITES == POISONED
        else part
        for place, part in enumerate(dealt.train)
    ]


def curate(dealt: Deal, seed: int) -> Cases:
    """Draw the curated root's cases for one partition, as many of each class."""
    places = [place for place in dealt.places(seed) if place % SITES != POISONED]
    pool = stack_cases([dealt.train[place] for place in places])
    drawn = np.random.default_rng(dealt.seeds[seed])
    rows = [
        drawn.permutation(np.flatnonzero(pool.y == label))[: CURATED // 10] for label in range(10)
    ]
    return pool.take(np.concatenate(rows))


def honest(dealt: Deal) -> Deal:
    """Return the deal without the attacker's parts."""
    kept = [place for place in range(len(dealt.test)) if place % SITES != POISONED]
    return replace(
        dealt,
        sites=SITES - 1,
        train=tuple(dealt.train[place] for place in kept),
        validation=tuple(dealt.validation[place] for place in kept),
        test=tuple(dealt.test[place] for place in kept),
    )


def compare(cells: Mapping[str, Cell], dealt: Deal) -> Comparison:
    """Prepare the differences between all cells."""
    judged = honest(dealt)
    count = sum(part.n for part in judged.test)
    return Comparison(
        judged, {name: unpack_hits(cell["hits"], count) for name, cell in cells.items()}
    )


def table(cells: Mapping[str, Cell], dealt: Deal) -> str:
    """Write every rule's accuracy under each attack, less plain averaging without attack."""
    comparison, plain = compare(cells, dealt), f"fedavg | {ATTACKS[0]}"
    lines = [
        f"Digits, {SITES} sites, alpha {ALPHA:g}, 5 seeds: mean accuracy of the honest sites in %, "
        "worst site; less fedavg that nobody attacks"
    ]
    lines.append(f"{'rule':<17}" + "".join(f"{attack:<36}" for attack in ATTACKS))
    for rule in RULES:
        parts = []
        for attack in ATTACKS:
            cell = cells[f"{rule} | {attack}"]
            gap = comparison.difference(f"{rule} | {attack}", plain)
            mean = fmean(100 * fmean(row) for row in cell["accuracy"])
            worst = fmean(100 * min(row) for row in cell["accuracy"])
            mark = "" if rule == "fedavg" or gap.points >= -POINTS else " *"
            words = f"{gap.points:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]{mark}"
            parts.append(f"{mean:5.1f} {worst:5.1f}  {words:<22}")
        lines.append(f"{rule:<17}" + " ".join(parts))
    lines.append(f"* more than {POINTS:g} points below")
    lines.append(f"CPU seconds of all: {sum(cell['cpu_s'] for cell in cells.values()):.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""One poisoned hospital of five: what the robust rules save, and what they cost without it.

Breast masses from scikit-learn (Wisconsin, 569 patients), dealt to five sites
with uneven shares and prevalences; the product's own recipe, round loop,
engine, rules and evaluation. The poisoned hospital sends -10 times its update
in every round. Judged on the held-out patients of the four honest ones. One
seed runs by default, all five with CONSILIUM_FULL_SCIENCE=1. `pytest -s`
prints every row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation_rehearsal import RECIPES, SiteData, make_rehearsal

from consilium.federation.local import LocalEngine
from consilium.gate.replies import Answer
from consilium.models.weights import pack_arrays, unpack_arrays

pytestmark = [pytest.mark.science, pytest.mark.slow]

SEEDS = range(42, 47) if os.environ.get("CONSILIUM_FULL_SCIENCE") == "1" else range(42, 43)
SITES = ("east", "north", "poisoned", "south", "west")
ATTACK = -10.0
POINTS = 0.03
"""What a robust rule may lose to the attack: three points of accuracy."""
RULES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "fedavg": ("fedavg", {}),
    "clipped": ("clipped", {}),
    "median": ("median", {}),
    "trimmed_mean": ("trimmed_mean", {}),
    "screened_median": ("screened_median", {}),
    "fltrust": ("fltrust", {"root": "did:web:rehearsal.test:east"}),
    "krum": ("krum", {}),
    "multi-krum": ("krum", {"keep": 0}),
}


def deal(seed: int) -> dict[str, SiteData]:
    """Deal each class to the five sites by shares drawn from Dirichlet(5)."""
    from sklearn.datasets import load_breast_cancer

    bunch: Any = load_breast_cancer()
    generator = np.random.default_rng(seed)
    owner = np.zeros(len(bunch.target), dtype=int)
    for label in (0, 1):
        rows = generator.permutation(np.flatnonzero(bunch.target == label))
        ends = np.cumsum(generator.dirichlet([5.0] * len(SITES)))[:-1] * len(rows)
        for site, hand in enumerate(np.split(rows, ends.astype(int))):
            owner[hand] = site
    return {
        name: SiteData(
            x=bunch.data[owner == site],
            y=1.0 - bunch.target[owner == site],
            part=generator.permutation(np.arange((owner == site).sum()) % 3 == 0).astype(int),
        )
        for site, name in enumerate(SITES)
    }


def poison(answer: Answer, update: bytes) -> tuple[Answer, bytes]:
    return answer, pack_arrays({name: ATTACK * a for name, a in unpack_arrays(update).items()})


@dataclass(kw_only=True)
class Results:
    """Accuracy over the honest sites' held-out patients, by rule and attack, one for each seed."""

    root: Path
    done: dict[tuple[str, bool], list[float]] = field(default_factory=dict)

    def get(self, rule: str, *, attacked: bool) -> float:
        if (rule, attacked) not in self.done:
            self.done[rule, attacked] = [self._run(rule, attacked, seed) for seed in SEEDS]
        return float(np.mean(self.done[rule, attacked]))

    def _run(self, name: str, attacked: bool, seed: int) -> float:
        rule, settings = RULES[name]
        rehearsal = make_rehearsal(
            self.root / f"{name}-{attacked}-{seed}",
            sites=deal(seed),
            settings={"learning_rate": 0.05, "batch_size": 16, "local_steps": 20},
            public=True,
            rule=rule,
            rule_settings=dict(settings),
            rounds=10,
            quorum=5,
            deadline_s=60.0,
            seed=seed,
        )
        poisoned = next(site for site in rehearsal.desks if site.endswith(":poisoned"))
        if attacked:
            rehearsal.desks[poisoned].spoil = poison
        engine = LocalEngine(rehearsal.desks, recipes=RECIPES)
        facts = rehearsal.run(engine).evaluation()["facts"]
        engine.close()
        honest = [facts[site] for site in rehearsal.desks if site != poisoned]
        return float(
            np.average(
                [said["rows"]["federated"]["accuracy"]["value"] for said in honest],
                weights=[said["n_test"] for said in honest],
            )
        )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    results = Results(root=tmp_path_factory.mktemp("studies"))
    yield results
    print(f"\nBreast masses, five hospitals, one sends {ATTACK:g} times its update; seeds {SEEDS}.")
    print("rule             accuracy  attacked  cost without attack, points")
    plain = results.get("fedavg", attacked=False)
    for rule in RULES:
        calm, rough = (results.get(rule, attacked=attacked) for attacked in (False, True))
        print(f"{rule:<16} {calm:>8.3f}  {rough:>8.3f}  {100 * (plain - calm):>+6.1f}")


def test_one_poisoned_hospital_ruins_plain_averaging(results: Results) -> None:
    # The positive control: the attack works where nothing stands against it.
    lost = results.get("fedavg", attacked=False) - results.get("fedavg", attacked=True)
    assert lost >= 0.2


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in ("fedavg", "fltrust")])
def test_a_robust_rule_loses_at_most_three_points_to_it(results: Results, rule: str) -> None:
    lost = results.get("fedavg", attacked=False) - results.get(rule, attacked=True)
    assert lost <= POINTS


def test_trust_in_one_hospital_withstands_it_at_the_price_of_that_hospitals_view(
    results: Results,
) -> None:
    # Five seeds: .035 lost, .029 of it without any attack; the root has its own prevalence.
    assert results.get("fedavg", attacked=False) - results.get("fltrust", attacked=True) <= 0.06
    cost = results.get("fltrust", attacked=False) - results.get("fltrust", attacked=True)
    assert cost <= POINTS


@pytest.mark.parametrize("rule", ["clipped", "median", "trimmed_mean", "screened_median"])
def test_a_robust_rule_costs_at_most_three_points_without_attack(
    results: Results, rule: str
) -> None:
    cost = results.get("fedavg", attacked=False) - results.get(rule, attacked=False)
    assert cost <= POINTS

"""The bare training loop: the same rounds and the same judging, and nothing around them.

One process for each site, on the same machine, from the same arrays; no gates,
no signatures, no evidence, no files between rounds. What a space takes beyond
it is the price of everything else.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common_study import SPACE, CommonStudy
from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.contract import Cases, Chance, EvaluationPlan, Needs, Prepared
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.gate.orders import FieldNeed
from consilium.kernel.identifiers import participant_id
from consilium.models.weights import Arrays


@dataclass(frozen=True, kw_only=True)
class Bare:
    """Seconds of one bare run: the rounds, then every site's judging."""

    rounds_s: float
    judging_s: float

    @property
    def total_s(self) -> float:
        """Seconds in all."""
        return self.rounds_s + self.judging_s


@dataclass(frozen=True, kw_only=True)
class _Site:
    """One site's cases, in a process of its own."""

    study: CommonStudy
    needs: Needs
    prepared: Prepared
    chance: Chance

    def train(self, model: Arrays, number: int) -> Contribution:
        settings = RECIPE.read_settings(self.study.settings)
        trained = RECIPE.train(
            self.prepared.train, model, settings, chance=self.chance, number=number, kept={}
        )
        update = {name: trained.arrays[name] - model[name] for name in model}
        return Contribution(update=update, n=self.prepared.train.n)

    def judge(self, model: Arrays) -> None:
        settings = RECIPE.read_settings(self.study.settings)
        plan = EvaluationPlan(
            needs=self.needs,
            start=RECIPE.initial(self.needs, settings, seed=self.study.seed),
            rounds=self.study.rounds,
            chance=self.chance,
        )
        RECIPE.evaluate(self.prepared, model, settings, plan=plan)


def run_bare(study: CommonStudy, arrays: Path) -> Bare:
    """Run the study's rounds and judging once."""
    needs = Needs(
        features=tuple(
            FieldNeed(name=f"x{number}", kind="number") for number in range(study.features)
        )
    )
    settings = RECIPE.read_settings(study.settings)
    sites = [_read(study, needs, arrays, name) for name in study.names]
    context = multiprocessing.get_context("fork")
    with context.Pool(len(sites)) as pool:
        began = time.monotonic()
        model: Arrays = RECIPE.initial(needs, settings, seed=study.seed)
        for number in range(1, study.rounds + 1):
            found = pool.starmap(_train, [(site, model, number) for site in sites])
            contributions = {
                site.chance.participant: one for site, one in zip(sites, found, strict=True)
            }
            model = aggregate(
                "fedavg", model, contributions=contributions, state={}, settings={}
            ).model
        trained = time.monotonic()
        pool.starmap(_judge, [(site, model) for site in sites])
        return Bare(rounds_s=trained - began, judging_s=time.monotonic() - trained)


def _train(site: _Site, model: Arrays, number: int) -> Contribution:
    return site.train(model, number)


def _judge(site: _Site, model: Arrays) -> None:
    site.judge(model)


def _read(study: CommonStudy, needs: Needs, arrays: Path, name: str) -> _Site:
    with np.load(arrays / name / "arrays.npz", allow_pickle=False) as found:
        held: dict[str, Any] = {key: found[key] for key in ("x", "y", "group", "part")}
    part = held.pop("part")
    cases = Cases(**held)
    chance = Chance(seed=study.seed, participant=participant_id(SPACE, name))
    prepared = RECIPE.prepare(
        cases.take(part == 0),
        cases.take(part == 1),
        needs=needs,
        settings=RECIPE.read_settings(study.settings),
        chance=chance,
    )
    return _Site(study=study, needs=needs, prepared=prepared, chance=chance)

"""The methods of the digits table, each as rounds: after every round, every site's model.

Where the recipe `tabular-mlp` offers a method, its own `train_many` does the
work and the product's rule `fedavg` averages; the others are made of the pure
functions of `consilium.federation.personal`. All sites of all partitions train
in one stack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from benchmarks.digits_data import NEEDS, Deal, site_names
from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.contract import Cases, Chance, stack_cases
from consilium.federation.personal import (
    HEAD,
    NORMALISATION,
    personal_models,
    similarity_weights,
    split_arrays,
)
from consilium.federation.recipes.tabular_mlp import RECIPE
from consilium.federation.recipes.tabular_mlp.descent import (
    Lesson,
    descend,
    stack_models,
    unstack_models,
)
from consilium.federation.recipes.tabular_mlp.network import norm_inputs
from consilium.federation.recipes.tabular_mlp.parts import personal_model, whole_model
from consilium.federation.recipes.tabular_mlp.settings import Settings
from consilium.federation.simulation import POOLED
from consilium.models.weights import Arrays

ROUNDS = 100
SETTINGS = Settings(
    hidden_1=64,
    hidden_2=32,
    norm="batch",
    learning_rate=0.1,
    batch_size=32,
    local_steps=3,
    scaling="none",
)
WARM_UP = 10
"""Rounds, of all, before FedAP compares the sites."""

Models = Sequence[Arrays]
"""One whole model for each site of each partition."""
Method = Callable[[Deal], Iterator[Models]]
NOTHING: frozenset[str] = frozenset()


def starts(deal: Deal, settings: Settings = SETTINGS) -> list[Arrays]:
    """Return the starting model of each site: the same within a partition."""
    drawn: Models = [RECIPE.initial(NEEDS, settings, seed=seed) for seed in deal.seeds]
    return [model for model in drawn for _ in range(deal.sites)]


def averaged(deal: Deal, before: Models, after: Models, *, local: Collection[str]) -> list[Arrays]:
    """Average each partition by cases with the rule `fedavg`; arrays named in `local` stay."""
    names, result = site_names(deal.sites), list[Arrays]()
    for seed in range(len(deal.seeds)):
        places = deal.places(seed)
        start = split_arrays(before[places[0]], local).shared
        contributions = {
            name: Contribution(
                update={array: after[place][array] - start[array] for array in start},
                n=deal.train[place].n,
            )
            for name, place in zip(names, places, strict=True)
        }
        model = aggregate("fedavg", start, contributions=contributions, state={}, settings={}).model
        result += [{**after[place], **model} for place in places]
    return result


def by_recipe(settings: Settings, *, federated: bool = True) -> Method:
    """Make a method of what the recipe offers; not federated, each site goes on with its own."""

    def rounds(deal: Deal) -> Iterator[Models]:
        models, kept = starts(deal, settings), [dict[str, np.ndarray]()] * len(deal.train)
        for number in range(1, ROUNDS + 1):
            done = RECIPE.train_many(
                deal.train, models, settings, chances=deal.chances, number=number, kept=kept
            )
            trained, kept = [one.arrays for one in done], [dict(one.kept) for one in done]
            models = averaged(deal, models, trained, local=NOTHING) if federated else trained
            yield [
                personal_model(own) or whole_model(model, own, settings)
                for model, own in zip(models, kept, strict=True)
            ]

    return rounds


def step(
    models: Models,
    cases: Sequence[Cases],
    *,
    chances: Sequence[Chance],
    number: int,
    lesson: Lesson | None = None,
) -> list[Arrays]:
    """Take one round's steps from whole models."""
    generators = [chance.draw("train", number) for chance in chances]
    begin = stack_models(models)
    after = descend(begin, cases, settings=SETTINGS, generators=generators, lesson=lesson)
    return list(unstack_models(after))


def fedper(deal: Deal) -> Iterator[Models]:
    """Share all but the head."""
    models: Models = starts(deal)
    for number in range(1, ROUNDS + 1):
        after = step(models, deal.train, chances=deal.chances, number=number)
        models = averaged(deal, models, after, local=HEAD)
        yield models


def fedap(own: float) -> Method:
    """Warm up by averaging, compare the sites, then mix by likeness; normalisation stays."""

    def rounds(deal: Deal) -> Iterator[Models]:
        models: Models = starts(deal)
        for number in range(1, WARM_UP + 1):
            after = step(models, deal.train, chances=deal.chances, number=number)
            models = averaged(deal, models, after, local=NOTHING)
            yield models
        mixed = likeness(deal, models, own=own)
        for number in range(WARM_UP + 1, ROUNDS + 1):
            models = mixed(step(models, deal.train, chances=deal.chances, number=number))
            yield models

    return rounds


def likeness(deal: Deal, models: Models, *, own: float) -> Callable[[Models], list[Arrays]]:
    """Compare the sites of each partition under its model; return how their models are mixed."""
    names, weights = site_names(deal.sites), []
    for seed in range(len(deal.seeds)):
        statistics = {
            name: norm_inputs(stack_models([models[place]]), deal.train[place].x)
            for name, place in zip(names, deal.places(seed), strict=True)
        }
        weights.append(similarity_weights(statistics, own=own))

    def mix(after: Models) -> list[Arrays]:
        result: list[Arrays] = []
        for seed, row in enumerate(weights):
            splits = [split_arrays(after[place], NORMALISATION) for place in deal.places(seed)]
            shared = {name: split.shared for name, split in zip(names, splits, strict=True)}
            made = personal_models(shared, row)
            result += [
                {**made[name], **split.local} for name, split in zip(names, splits, strict=True)
            ]
        return result

    return mix


def pooled(deal: Deal) -> Iterator[Models]:
    """Train one model on all sites' cases of a partition: as many steps as all of them took."""
    chances = [Chance(seed=seed, participant=POOLED) for seed in deal.seeds]
    cases = [
        stack_cases([deal.train[place] for place in deal.places(seed)])
        for seed in range(len(deal.seeds))
    ]
    models: Models = starts(deal)[:: deal.sites]
    for number in range(1, ROUNDS * deal.sites + 1):
        models = step(models, cases, chances=chances, number=number)
        if number % deal.sites == 0:
            yield [model for model in models for _ in range(deal.sites)]

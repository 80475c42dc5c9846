"""The rings of the digits table: weights handed on, and MetaFed's distillation.

In each round every site trains once, in its turn, so the sites of one
partition wait for one another; those of all partitions go side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.digits_data import Deal, accuracies, site_names
from benchmarks.digits_methods import ROUNDS, Method, Models, starts, step
from consilium.federation.contract import Matrix
from consilium.federation.personal import (
    NORMALISATION,
    feature_slope,
    pass_on,
    ring_order,
    teaching_strength,
)
from consilium.federation.recipes.tabular_mlp.descent import Lesson, stack_models
from consilium.federation.recipes.tabular_mlp.network import forward
from consilium.models.weights import Arrays

ALONE = 10
"""Rounds, of all, that each site trains alone before MetaFed's ring, and again after it."""
GOOD = 0.6
"""Above this validation accuracy a site keeps its own weights on MetaFed's ring."""
STRENGTH = 1.0
"""λ of distillation on the ring, and λ0 after it."""


def transfer(local: Collection[str]) -> Method:
    """Hand the weights on around the ring; arrays named in `local` stay."""

    def rounds(deal: Deal) -> Iterator[Models]:
        models: Models = starts(deal)
        for number in range(1, ROUNDS + 1):
            models = around(deal, models, number, local=local, keeps=[False] * len(models))
            yield models

    return rounds


def distilled(deal: Deal) -> Iterator[Models]:
    """Train alone, go around the ring, then learn once more from its last model."""
    models: Models = starts(deal)
    keeps, pupils = [False] * len(models), models
    for number in range(1, ROUNDS + 1):
        if number <= ALONE:
            models = step(models, deal.train, chances=deal.chances, number=number)
            keeps = [score > GOOD for score in accuracies(models, deal.validation)]
        elif number <= ROUNDS - ALONE:
            models = around(deal, models, number, local=NORMALISATION, keeps=keeps)
            pupils = models
        else:
            models = personalise(deal, models, number, teachers=last_models(deal, pupils))
        yield models


def around(
    deal: Deal, models: Models, number: int, *, local: Collection[str], keeps: Sequence[bool]
) -> list[Arrays]:
    """Let every site train in its turn; who keeps its weights learns by distillation."""
    now, chances, rings = list(models), deal.chances, orders(deal)
    for turn in range(deal.sites):
        here = [ring[turn] for ring in rings]
        teachers = [now[ring[turn - 1]] for ring in rings]
        begin = [
            now[place] if keeps[place] else pass_on(teacher, now[place], local=local)
            for place, teacher in zip(here, teachers, strict=True)
        ]
        strength = np.array([STRENGTH * keeps[place] for place in here])
        after = step(
            begin,
            [deal.train[place] for place in here],
            chances=[chances[place] for place in here],
            number=number,
            lesson=lesson_of(teachers, strength) if strength.any() else None,
        )
        for place, model in zip(here, after, strict=True):
            now[place] = model
    return now


def personalise(deal: Deal, models: Models, number: int, *, teachers: Models) -> list[Arrays]:
    """Let every site learn from its ring's last model, as strongly as that model is better."""
    strength = teaching_strength(
        accuracies(teachers, deal.validation), accuracies(models, deal.validation), base=STRENGTH
    )
    return step(
        models,
        deal.train,
        chances=deal.chances,
        number=number,
        lesson=lesson_of(teachers, strength),
    )


def orders(deal: Deal) -> list[list[int]]:
    """Return each partition's ring as places of the deal."""
    names = site_names(deal.sites)
    return [
        [deal.places(place)[names.index(name)] for name in ring_order(names, seed=seed)]
        for place, seed in enumerate(deal.seeds)
    ]


def last_models(deal: Deal, models: Models) -> list[Arrays]:
    """Return for every site the model of the last one on its ring."""
    return [models[ring[-1]] for ring in orders(deal) for _ in range(deal.sites)]


def lesson_of(teachers: Models, strength: npt.NDArray[np.float64]) -> Lesson:
    """Teach each model to see a batch as its teacher does."""
    stack = stack_models(teachers)

    def lesson(
        inputs: npt.NDArray[np.float64], features: npt.NDArray[np.float64], rows: Matrix
    ) -> Matrix:
        taught = forward(stack, inputs).features
        return feature_slope(features, taught, rows=rows, strength=strength)

    return lesson

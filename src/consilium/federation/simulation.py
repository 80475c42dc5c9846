"""The round loop over plain arrays, in one process: for data that lie in one place already.

No gates, keys, folders or evidence: what a rehearsal, a notebook or a benchmark
needs to learn how a recipe, a rule and settings behave. Recipes, rules, seeds
and the order of sums are those of a real study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.contract import (
    Cases,
    Chance,
    Needs,
    Prepared,
    Recipe,
    Tensor,
    Trained,
    TrainsMany,
    stack_cases,
    train_rounds,
)
from consilium.federation.modules import update_of
from consilium.kernel.canonical import Json
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

POOLED = ParticipantId("pooled")
Sides = Mapping[Any, tuple[Cases, Cases]]
"""Training part and held-out part by site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a simulated federation leaves.

    `kept` is what each site kept after the last round, `facts` what each said
    in each round, `models` the model after each round if they were asked for.
    """

    recipe: Recipe
    settings: Any
    model: Arrays
    prepared: Mapping[str, Prepared]
    kept: Mapping[str, Arrays]
    facts: Sequence[Mapping[str, Mapping[str, Json]]]
    models: Sequence[Arrays] = ()

    def predict(self, site: str, cases: Cases, *, personal: bool = False) -> Tensor:
        """Predict with the shared model, or with the site's personal one."""
        kept = self.kept[site] if personal else {}
        return self.recipe.predict(cases, self.model, self.settings, kept=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model trained on one body of cases, and the cases as the recipe prepared them."""

    recipe: Recipe
    settings: Any
    model: Arrays
    prepared: Prepared
    kept: Arrays = field(default_factory=dict)

    def predict(self, cases: Cases) -> Tensor:
        """Predict with the trained model."""
        return self.recipe.predict(cases, self.model, self.settings, kept=self.kept)


def simulate(
    recipe: Recipe,
    sites: Sides,
    *,
    needs: Needs,
    settings: Any,
    rounds: int,
    seed: int,
    rule: str = "fedavg",
    rule_settings: Mapping[str, Any] | None = None,
    lacks: Mapping[str, Sequence[str]] | None = None,
    start: Arrays | None = None,
    keep_models: bool = False,
) -> Simulated:
    """Train a recipe across sites as a study does.

    Parameters
    ----------
    recipe : Recipe
        As installed.
    sites : mapping of str to pair of Cases
        Training part and held-out part of each site, before `prepare`.
    settings : object
        From `recipe.read_settings`.
    lacks : mapping of str to sequence of str, optional
        Modalities that a site does not have.
    start : mapping of str to array, optional
        The starting model; the recipe's own if not given.
    keep_models : bool, optional
        Whether `Simulated.models` holds the model after each round.

    Raises
    ------
    InputError
        As the recipe and the rule say.

    Discloses
    ---------
    Nothing: everything stays in this process.
    """
    missing = dict(lacks or {})
    chances = {site: Chance(seed=seed, participant=ParticipantId(site)) for site in sites}
    prepared = {
        site: recipe.prepare(train, held_out, needs=needs, settings=settings, chance=chances[site])
        for site, (train, held_out) in sites.items()
    }
    model = recipe.initial(needs, settings, seed=seed) if start is None else dict(start)
    kept: dict[str, Arrays] = {site: {} for site in sites}
    state: Arrays = {}
    facts, models = [], []
    for number in range(1, rounds + 1):
        round_ = _Round(model=model, settings=settings, number=number, chances=chances)
        trained = round_.train(recipe, prepared, kept)
        kept = {site: one.kept for site, one in trained.items()}
        said = {site: one.facts for site, one in trained.items()}
        contributions = {
            ParticipantId(site): _contribution(
                one, model, n=prepared[site].train.n, lacks=tuple(missing.get(site, ()))
            )
            for site, one in trained.items()
        }
        result = aggregate(
            rule, model, contributions=contributions, state=state, settings=rule_settings or {}
        )
        model, state = result.model, result.state
        facts.append(said)
        if keep_models:
            models.append(model)
    return Simulated(
        recipe=recipe,
        settings=settings,
        model=model,
        prepared=prepared,
        kept=kept,
        facts=facts,
        models=models,
    )


def fit_pooled(
    recipe: Recipe, sites: Sides, *, needs: Needs, settings: Any, rounds: int, seed: int
) -> Fitted:
    """Train one model on all sites' training parts: as many steps as all sites took together.

    The held-out parts are prepared with the pooled training part, site after
    site in the order of `sites`.

    Discloses
    ---------
    Nothing: it is lawful only where the data may lie in one place.
    """
    train = stack_cases([train for train, _ in sites.values()])
    held_out = stack_cases([held_out for _, held_out in sites.values()])
    return fit_alone(
        recipe,
        (train, held_out),
        needs=needs,
        settings=settings,
        rounds=rounds * len(sites),
        chance=Chance(seed=seed, participant=POOLED),
    )


def fit_alone(
    recipe: Recipe,
    sides: tuple[Cases, Cases],
    *,
    needs: Needs,
    settings: Any,
    rounds: int,
    chance: Chance,
) -> Fitted:
    """Train on one body of cases alone, from the study's own start.

    Discloses
    ---------
    Nothing: everything stays in this process.
    """
    prepared = recipe.prepare(*sides, needs=needs, settings=settings, chance=chance)
    start = recipe.initial(needs, settings, seed=chance.seed)
    trained = train_rounds(recipe, prepared.train, start, settings, chance=chance, rounds=rounds)
    return Fitted(
        recipe=recipe,
        settings=settings,
        model=trained.arrays,
        prepared=prepared,
        kept=trained.kept,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One round at every site: all at once where the recipe can, else one after the other."""

    model: Arrays
    settings: Any
    number: int
    chances: Mapping[str, Chance]

    def train(
        self, recipe: Recipe, prepared: Mapping[str, Prepared], kept: Mapping[str, Arrays]
    ) -> dict[str, Trained]:
        sites = sorted(prepared)
        if isinstance(recipe, TrainsMany):
            many = recipe.train_many(
                [prepared[site].train for site in sites],
                [self.model] * len(sites),
                self.settings,
                chances=[self.chances[site] for site in sites],
                number=self.number,
                kept=[kept[site] for site in sites],
            )
            return dict(zip(sites, many, strict=True))
        return {
            site: recipe.train(
                prepared[site].train,
                self.model,
                self.settings,
                chance=self.chances[site],
                number=self.number,
                kept=kept[site],
            )
            for site in sites
        }


def _contribution(
    trained: Trained, model: Arrays, *, n: int, lacks: tuple[str, ...]
) -> Contribution:
    loss = trained.facts.get("loss_before")
    return Contribution(
        update=update_of(trained, model, lacks=lacks),
        n=n,
        loss=loss if isinstance(loss, float) else None,
        lacks=lacks,
    )

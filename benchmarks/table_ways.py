"""What each cell of the tables runs: one data set, one way to train, one seed.

Settings were fixed before any held-out figure was seen (heart: FLamby's
learning rates; glioma: one plain choice), or are chosen on the training part by
time (parkinson).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.table_data import Tables, glioma, heart, parkinson
from benchmarks.table_methods import Said, Way, mae_of, plain, say_all, without_federation
from consilium.federation.contract import Cases, Chance, Recipe
from consilium.federation.evaluation import kind_of
from consilium.federation.recipes.tabular_linear import RECIPE as LINEAR
from consilium.federation.recipes.tabular_logistic import RECIPE as LOGISTIC
from consilium.federation.registry import installed_recipes
from consilium.federation.simulation import fit_alone, fit_pooled
from consilium.kernel.identifiers import ParticipantId

DITTO = {"personal": "ditto", "personal_lambda": 0.1}
HEART = {
    "fedavg": Way(recipe=LOGISTIC, settings={"learning_rate": 1e-2, **DITTO}, rounds=15),
    "fedadam": Way(
        recipe=LOGISTIC,
        settings={"learning_rate": 1e-2, **DITTO},
        rounds=15,
        rule="fedadam",
        rule_settings={"server_learning_rate": 1e-2, "beta_1": 0.9, "beta_2": 0.999},
    ),
}
SIZES = (10, 25, 50, 100, 199)
"""Training cases of the small hospital; 199 are all of Cleveland's."""
SMALL = "cleveland"
GLIOMA = Way(
    recipe=LOGISTIC,
    settings={
        "learning_rate": 0.05,
        "batch_size": 16,
        "local_steps": 20,
        "scaling": "shared",
        "init": "zeros",
    },
    rounds=31,
)
"""One round learns the scaling, thirty train."""
LEFT_OUT = (
    "Henry Ford Hospital",
    "Case Western",
    "Duke",
    "Thomas Jefferson University",
    "Fondazione Besta",
    "University of Florida",
)
"""The hospitals with ten cases or more of both grades."""
_VOICE = {"learning_rate": 0.05, "batch_size": 16, "local_steps": 20}
PULLS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Strengths tried on the training part: Ditto's pull, and the ridge of local-only training."""


@cache
def heart_tables() -> Tables:
    """Read the heart tables once."""
    return heart()


def run_heart(way: str, seed: int) -> dict[str, Any]:
    """Run a way on the four hospitals."""
    said, chosen = say_all(HEART[way], heart_tables(), seed=seed)
    return {"said": said, "chosen": chosen}


def run_small(size: int, seed: int) -> dict[str, Any]:
    """Run FedAvg with Cleveland cut down to so many training cases, the others whole."""
    tables = heart_tables()
    train, held_out = tables.sites[SMALL]
    drawn = np.random.default_rng([seed, size]).permutation(train.n)[:size]
    cut = replace(tables, sites={**tables.sites, SMALL: (train.take(np.sort(drawn)), held_out)})
    said, chosen = say_all(HEART["fedavg"], cut, seed=seed, sites=[SMALL], pooled=False)
    return {"said": said, "chosen": chosen}


def run_glioma(left: str, seed: int) -> dict[str, Any]:
    """Train on every other hospital; say what each method says of the one left out."""
    tables = glioma()
    others = {site: sides for site, sides in tables.sites.items() if site != left}
    rest, guest = replace(tables, sites=others), tables.sites[left][0]
    rows = {"federated": _guest(GLIOMA, rest, guest, seed=seed)}
    alone = without_federation(GLIOMA.typed())
    pooled = fit_pooled(
        LOGISTIC, others, needs=tables.needs, settings=alone, rounds=GLIOMA.rounds, seed=seed
    )
    rows["pooled"] = _read(LOGISTIC, pooled.model, alone, guest, tables)
    for site in LEFT_OUT:
        if site != left:
            own = fit_alone(
                LOGISTIC,
                others[site],
                needs=tables.needs,
                settings=alone,
                rounds=GLIOMA.rounds,
                chance=Chance(seed=seed, participant=ParticipantId(site)),
            )
            rows[f"local of {site}"] = _read(LOGISTIC, own.model, alone, guest, tables)
    share = float(np.mean(np.concatenate([train.y for train, _ in others.values()])))
    rows["majority"] = plain(np.full(guest.n, share))
    return {"said": {left: rows}}


def run_glioma_trees(left: str) -> dict[str, Any]:
    """Train boosted trees on every other hospital: nothing is drawn, so there is no seed."""
    entry = installed_recipes()["tabular-trees"]
    way = Way(recipe=entry.load(), settings={"trees": 1024}, rounds=30, rule="bagging")
    tables = glioma()
    others = {site: sides for site, sides in tables.sites.items() if site != left}
    rest = replace(tables, sites=others)
    return {"said": {left: {"trees": _guest(way, rest, tables.sites[left][0], seed=42)}}}


def _guest(way: Way, rest: Tables, guest: Cases, *, seed: int) -> list[float]:
    found = way.simulate(rest, seed=seed)
    return _read(way.recipe, found.model, found.settings, guest, rest)


def _read(recipe: Recipe, model: Any, settings: Any, guest: Cases, tables: Tables) -> list[float]:
    """Predict for a hospital that trained nothing: it learns nothing from its own cases."""
    chance = Chance(seed=0, participant=ParticipantId("guest"))
    rows = recipe.prepare(
        guest, guest, needs=tables.needs, settings=settings, chance=chance
    ).held_out
    return plain(kind_of(tables.needs.target).read(recipe.predict(rows, model, settings, kept={})))


def voice_way(*, pull: float = 0.1) -> Way:
    """Slopes shared, intercept and personal slopes at home."""
    settings = {**_VOICE, "intercept": "site", "personal": "ditto", "personal_lambda": pull}
    return Way(recipe=LINEAR, settings=settings, rounds=30)


GLOBAL = Way(
    recipe=LINEAR,
    settings={"learning_rate": 0.005, "batch_size": 16, "local_steps": 20, "scaling": "shared"},
    rounds=101,
)
"""One model for everybody, age and sex included. With steps of 0.05 a home with outliers diverged
in training; smaller steps, more rounds."""


def run_parkinson_pulls(score: str, seed: int) -> dict[str, Any]:
    """Score every pull, and every ridge of a home alone, by time inside the training part."""
    tables = parkinson(score, inside=True)
    found: dict[str, dict[str, float]] = {"ditto": {}, "ridge": {}}
    for pull in PULLS:
        way = voice_way(pull=pull)
        run = way.simulate(tables, seed=seed)
        errors = [
            mae_of(rows.held_out.y, run.predict(site, rows.held_out, personal=True))
            for site, rows in run.prepared.items()
        ]
        found["ditto"][str(pull)] = float(np.mean(errors))
        alone = [
            mae_of(sides[1].y, np.asarray(_ridge(tables, site, pull)))
            for site, sides in tables.sites.items()
        ]
        found["ridge"][str(pull)] = float(np.mean(alone))
    return {"errors": found}


def run_parkinson(score: str, seed: int, *, pull: float, ridge: float) -> dict[str, Any]:
    """Run the 42 homes with the pull and the ridge that the training part chose."""
    tables = parkinson(score)
    said, chosen = say_all(voice_way(pull=pull), tables, seed=seed, pooled=False)
    one = GLOBAL.simulate(tables, seed=seed)
    pooled = GLOBAL.pool(tables, seed=seed)
    for site, rows in said.items():
        # Without a home's own intercept the shared slopes say no level.
        rows["global slopes, own intercept"] = rows.pop("recalibrated")
        rows["federated"] = plain(one.predict(site, one.prepared[site].held_out))
        rows["local ridge"] = _ridge(tables, site, ridge)
        rows["pooled"] = pooled[site]
    return {"said": said, "chosen": chosen}


def _ridge(tables: Tables, site: str, strength: float) -> list[float]:
    """Fit a home's own ridge exactly: Ditto's personal model with the pull to 0."""
    settings = voice_way(pull=strength).typed()
    prepared = LINEAR.prepare(
        *tables.sites[site],
        needs=tables.needs,
        settings=settings,
        chance=Chance(seed=0, participant=ParticipantId(site)),
    )
    start = LINEAR.initial(tables.needs, settings, seed=0)
    chance = Chance(seed=0, participant=ParticipantId(site))
    trained = LINEAR.train(prepared.train, start, settings, chance=chance, number=1, kept={})
    return plain(LINEAR.predict(prepared.held_out, start, settings, kept=trained.kept))


def merge(parts: list[Said]) -> Said:
    """Put what was said of different sites, or by different methods, together."""
    found: Said = {}
    for part in parts:
        for site, rows in part.items():
            found.setdefault(site, {}).update(rows)
    return found

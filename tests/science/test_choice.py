"""The per-site choice on the four heart hospitals: never much worse than the best single method."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from consilium.federation.contract import Cases, Chance, EvaluationPlan, Needs
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.simulation import simulate
from consilium.gate.orders import FieldNeed
from consilium.kernel.identifiers import ParticipantId
from consilium.readers.intake import take_in
from consilium.readers.open_data import schema_text
from consilium.readers.records import IntakeRequest
from consilium.readers.schema import Schema

pytestmark = [pytest.mark.science, pytest.mark.slow]

FILES = {
    "cleveland": "processed.cleveland.data",
    "hungary": "processed.hungarian.data",
    "switzerland": "processed.switzerland.data",
    "va": "processed.va.data",
}
TWO_CLASSES = ("cleveland", "hungary", "va")
RULES = {"fedavg": {}, "fedadam": {"server_learning_rate": 1e-2}}
ROUNDS, SEEDS = 15, range(42, 47)
SETTINGS = RECIPE.read_settings({"learning_rate": 1e-2})

Sides = dict[str, tuple[Cases, Cases]]


@pytest.fixture(scope="module")
def needs() -> Needs:
    schema = Schema.from_toml(schema_text("heart-disease"))
    return Needs(
        features=tuple(
            FieldNeed(name=each.name, kind=each.kind, unit=each.unit, categories=each.categories)
            for each in schema.features
        )
    )


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    folder = os.environ.get("CONSILIUM_TEST_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("CONSILIUM_TEST_DATA must be set in CI")
        pytest.skip("CONSILIUM_TEST_DATA is not set: the open test data are not here")
    found = {}
    for name, file in FILES.items():
        request = IntakeRequest(
            source=Path(folder) / "heart_disease" / file,
            schema=schema_text("heart-disease"),
            out=tmp_path_factory.mktemp(name),
        )
        taken = take_in(request, progress=lambda *_: None)
        with np.load(taken.arrays, allow_pickle=False) as arrays:
            cases = Cases(x=arrays["x"], y=arrays["y"], group=arrays["group"])
            found[name] = (cases.take(arrays["part"] == 0), cases.take(arrays["part"] == 1))
    return found


def judge_all(sides: Sides, needs: Needs, *, rule: str, seed: int) -> dict[str, Mapping[str, Any]]:
    """Train across the hospitals and let each judge and choose."""
    done = simulate(
        RECIPE,
        sides,
        needs=needs,
        settings=SETTINGS,
        rule=rule,
        rule_settings=RULES[rule],
        rounds=ROUNDS,
        seed=seed,
    )
    found = {}
    for site in sides:
        plan = EvaluationPlan(
            needs=needs,
            start=RECIPE.initial(needs, SETTINGS, seed=seed),
            rounds=ROUNDS,
            chance=Chance(seed=seed, participant=ParticipantId(site)),
            resamples=20,
        )
        judge = Judge(
            recipe=RECIPE, arrays=done.model, settings=SETTINGS, alone=SETTINGS, plan=plan
        )
        found[site] = evaluate_site(judge, done.prepared[site])
    return found


@pytest.mark.parametrize("rule", list(RULES))
def test_the_choice_is_never_much_worse_than_the_best_single_method(
    sides: Sides, needs: Needs, rule: str
) -> None:
    by_way: dict[str, list[float]] = {}
    for seed in SEEDS:
        for site, facts in judge_all(sides, needs, rule=rule, seed=seed).items():
            if site not in TWO_CLASSES:
                continue
            rows = facts["rows"] | {"chosen": facts["rows"][facts["choice"]["chosen"]]}
            for way, figures in rows.items():
                by_way.setdefault(way, []).append(figures["auroc"]["value"])
    means = {way: fmean(found) for way, found in by_way.items()}
    print(rule, {way: round(mean, 4) for way, mean in means.items()})
    assert means["chosen"] >= max(means.values()) - 0.02
    assert means["chosen"] >= 0.80

"""Every recipe for tables can be judged: each candidate has a row, nothing kept is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from extras import need

need("xgboost")

from consilium.federation.contract import Cases, Chance, EvaluationPlan, Needs  # noqa: E402
from consilium.federation.recipes import (  # noqa: E402
    tabular_cox,
    tabular_linear,
    tabular_logistic,
    tabular_trees,
)
from consilium.federation.simulation import simulate  # noqa: E402
from consilium.gate.orders import FieldNeed, Target  # noqa: E402
from consilium.kernel.identifiers import ParticipantId  # noqa: E402

CASES: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "cox": (tabular_cox.RECIPE, "survival", {"personal": "ditto"}, "fedavg"),
    "linear": (
        tabular_linear.RECIPE,
        "number",
        {"personal": "ditto", "intercept": "site", "scaling": "shared"},
        "fedavg",
    ),
    "logistic": (
        tabular_logistic.RECIPE,
        "binary",
        {"personal": "ditto", "scaling": "shared", "local_steps": 20},
        "fedavg",
    ),
    "trees": (tabular_trees.RECIPE, "binary", {"trees": 8, "max_depth": 2}, "bagging"),
}


def _drawn(seed: int, kind: str) -> Cases:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(80, 2))
    score = x[:, 0] + generator.normal(size=80)
    y = score + 30 if kind == "number" else (score > 0).astype(float)
    tensors = {"time": generator.exponential(np.exp(-score))} if kind == "survival" else {}
    return Cases(x=x, y=y, group=np.arange(80), tensors=tensors)


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_candidate_has_a_row(name: str) -> None:
    recipe, kind, given, rule = CASES[name]
    needs = Needs(
        features=(FieldNeed(name="a", kind="number"), FieldNeed(name="b", kind="number")),
        target=Target(kind=kind),
    )
    settings = recipe.read_settings(given)
    sites = {site: (_drawn(n, kind), _drawn(10 + n, kind)) for n, site in enumerate("ab")}
    found = simulate(recipe, sites, needs=needs, settings=settings, rounds=3, seed=1, rule=rule)
    plan = EvaluationPlan(
        needs=needs,
        start=recipe.initial(needs, settings, seed=1),
        rounds=3,
        chance=Chance(seed=1, participant=ParticipantId("a")),
        resamples=20,
        kept=found.kept["a"],
    )
    facts = recipe.evaluate(found.prepared["a"], found.model, settings, plan=plan)
    personal = {"personalised"} if name != "trees" else set()
    assert {"federated", "fine_tuned", "local", "majority"} | personal <= set(facts["rows"])
    assert facts["choice"]["chosen"] in facts["rows"]
    assert "personal." not in json.dumps(facts)

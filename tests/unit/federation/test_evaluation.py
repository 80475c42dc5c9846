"""Judging at one hospital: rows, choice, and what may not show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.federation.contract import Cases, Chance, EvaluationPlan, Needs, Prepared
from consilium.federation.evaluation import CANDIDATES, METRICS, Judge, choose, evaluate_site
from consilium.federation.recalibration import sigmoid
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.recipes.tabular_logistic.descent import Settings
from consilium.gate.orders import FieldNeed
from consilium.kernel.identifiers import ParticipantId

TRUTH = np.array([1.4, -0.8, 0.5])
PLAN = EvaluationPlan(
    needs=Needs(features=tuple(FieldNeed(name=name, kind="number") for name in "abc")),
    start={"bias": np.zeros(1), "weight": np.zeros(3)},
    rounds=5,
    chance=Chance(seed=1, participant=ParticipantId("did:web:x:north")),
    resamples=200,
)


def cases(seed: int, n: int, *, shift: float = 0.0, truth: np.ndarray = TRUTH) -> Cases:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 3))
    y = (generator.random(n) < sigmoid(x @ truth + shift)).astype(float)
    return Cases(x=x, y=y, group=np.arange(n))


def judge(weight: np.ndarray = TRUTH, bias: float = 0.0, **changes: Any) -> Judge:
    return Judge(
        recipe=RECIPE,
        arrays={"weight": weight, "bias": np.array([bias])},
        settings=Settings(),
        alone=Settings(),
        plan=replace(PLAN, **changes),
    )


def test_every_row_has_every_figure_with_an_interval() -> None:
    found: Any = evaluate_site(judge(), Prepared(train=cases(0, 150), held_out=cases(1, 90)))
    assert list(found["rows"]) == ["federated", "recalibrated", "local", "majority"]
    for name in ("federated", "recalibrated", "local"):
        for metric in METRICS:
            figure = found["rows"][name][metric]
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["n"] == 90


def test_the_majority_row_is_the_sites_own_prevalence() -> None:
    train, held_out = cases(0, 150, shift=2.0), cases(1, 90, shift=2.0)
    rows: Any = evaluate_site(judge(), Prepared(train=train, held_out=held_out))["rows"]
    assert rows["majority"]["accuracy"]["value"] == pytest.approx(held_out.y.mean())
    assert rows["majority"]["auroc"]["value"] == 0.5
    assert rows["majority"]["calibration_slope"]["value"] is None
    assert rows["majority"]["calibration_slope"]["reason"] == "measures.no_spread"


def test_recalibration_keeps_the_ranking_and_mends_a_wrong_prevalence() -> None:
    train, held_out = cases(0, 300, shift=2.5), cases(1, 300, shift=2.5)
    rows: Any = evaluate_site(judge(), Prepared(train=train, held_out=held_out))["rows"]
    assert rows["recalibrated"]["auroc"]["value"] == rows["federated"]["auroc"]["value"]
    assert rows["recalibrated"]["brier"]["value"] < rows["federated"]["brier"]["value"] - 0.05


def test_a_held_out_part_of_one_class_has_no_auroc_and_says_why() -> None:
    held_out = cases(1, 40)
    held_out.y[:] = 1.0
    rows: Any = evaluate_site(judge(), Prepared(train=cases(0, 90), held_out=held_out))["rows"]
    for row in rows.values():
        assert row["auroc"]["value"] is None
        assert row["auroc"]["reason"] == "measures.one_class"
        assert row["accuracy"]["value"] is not None


def test_a_training_part_of_one_class_leaves_everything_finite() -> None:
    train = cases(0, 40)
    train.y[:] = 1.0
    found: Any = evaluate_site(judge(), Prepared(train=train, held_out=cases(1, 40)))
    for row in found["rows"].values():
        assert row["brier"]["value"] is not None
    assert found["choice"]["chosen"] in CANDIDATES


def test_without_held_out_patients_every_figure_is_null_with_its_reason() -> None:
    found: Any = evaluate_site(judge(), Prepared(train=cases(0, 40), held_out=cases(1, 0)))
    assert found["n_test"] == 0
    assert {
        (figure["value"], figure["reason"])
        for row in found["rows"].values()
        for figure in row.values()
    } == {(None, "measures.too_few_cases")}


def test_a_model_that_diverged_is_reported_and_never_chosen() -> None:
    broken = judge(weight=np.array([np.inf, 0.0, 0.0]))
    found: Any = evaluate_site(broken, Prepared(train=cases(0, 60), held_out=cases(1, 60)))
    assert found["rows"]["federated"]["auroc"]["reason"] == "federation.not_finite"
    assert found["choice"]["chosen"] == "local"
    assert found["choice"]["scores"]["federated"] is None
    assert found["bins"]["federated"] == []


@pytest.mark.parametrize(
    ("chosen", "model", "shift", "truth"),
    [
        ("recalibrated", TRUTH, 3.0, TRUTH),
        ("local", -TRUTH, 0.0, TRUTH),
    ],
)
def test_the_site_chooses_what_serves_its_own_patients(
    chosen: str, model: np.ndarray, shift: float, truth: np.ndarray
) -> None:
    train = cases(3, 200, shift=shift, truth=truth)
    assert choose(judge(weight=model), train)["chosen"] == chosen


def test_the_choice_is_logged_with_its_scores_and_never_asks_the_held_out_part() -> None:
    train = cases(0, 120, shift=1.0)
    first: Any = evaluate_site(judge(), Prepared(train=train, held_out=cases(1, 50)))
    second: Any = evaluate_site(judge(), Prepared(train=train, held_out=cases(2, 50)))
    assert first["choice"] == second["choice"]
    assert set(first["choice"]["scores"]) == set(CANDIDATES)
    assert first["choice"]["folds"] == 5


def test_patients_are_never_split_between_folds() -> None:
    # Each patient has four rows that carry its label in x; a leak would let `local` shine.
    generator = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 4)
    y = np.repeat((generator.random(30) < 0.5).astype(float), 4)
    x = np.eye(30)[group]
    train = Cases(x=x, y=y, group=group)
    alone = Settings(learning_rate=1.0, local_steps=300, batch_size=30)
    plan = replace(PLAN, start={"bias": np.zeros(1), "weight": np.zeros(30)})
    arrays = {"bias": np.zeros(1), "weight": np.zeros(30)}
    found: Any = choose(
        Judge(recipe=RECIPE, arrays=arrays, settings=Settings(), alone=alone, plan=plan), train
    )
    assert found["scores"]["local"] > 0.6


def test_one_patient_alone_leaves_the_federated_model_unscored() -> None:
    train = replace(cases(0, 12), group=np.zeros(12, dtype=np.int64))
    assert choose(judge(), train) == {
        "chosen": "federated",
        "scores": dict.fromkeys(CANDIDATES),
        "folds": 0,
    }


def test_no_calibration_bin_is_smaller_than_the_hospital_allows() -> None:
    found: Any = evaluate_site(
        judge(min_cases=15), Prepared(train=cases(0, 90), held_out=cases(1, 70))
    )
    assert set(found["bins"]) >= {"federated", "recalibrated", found["choice"]["chosen"]}
    for bins in found["bins"].values():
        assert all(one["n"] >= 15 for one in bins)
        assert sum(one["n"] for one in bins) == 70


def test_the_same_patients_give_the_same_figures_again() -> None:
    prepared = Prepared(train=cases(0, 60), held_out=cases(1, 40))
    assert evaluate_site(judge(), prepared) == evaluate_site(judge(), prepared)

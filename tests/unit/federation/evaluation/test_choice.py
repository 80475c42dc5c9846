"""The choice: on a validation part or by folds, and never flattered by what was kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy_recipe import Settings, make_judge, make_toy_cases, train_toy

from consilium.federation.contract import Cases, Prepared
from consilium.federation.evaluation import choose, evaluate_site

PERSONAL = Settings(personal=True)


def sides(kind: str, *, truth: int = 0, validation: int = 0) -> Prepared:
    """Make one site's cases; `truth` names the hospital's own relation."""
    return Prepared(
        train=make_toy_cases(kind, n=100, seed=1, truth_seed=truth),
        held_out=make_toy_cases(kind, n=60, seed=2, truth_seed=truth),
        validation=make_toy_cases(kind, n=validation, seed=3, truth_seed=truth)
        if validation
        else None,
    )


def kept_by(kind: str, cases: Cases) -> dict[str, np.ndarray]:
    return {"own": train_toy(kind, cases)["weight"]}


@pytest.mark.parametrize("kind", ["binary", "classes", "number", "survival", "mask"])
def test_a_hospital_unlike_the_others_chooses_what_it_trained_itself(kind: str) -> None:
    shared = train_toy(kind, make_toy_cases(kind, n=200, seed=9, truth_seed=5))
    shared = {"weight": -4 * shared["weight"]}
    found: Any = choose(make_judge(kind, arrays=shared, tuning_rounds=0), sides(kind, truth=5))
    assert found["chosen"] == "local"
    assert found["by"] == "folds"


@pytest.mark.parametrize("kind", ["binary", "classes", "number", "survival", "mask"])
def test_a_validation_part_is_asked_where_there_is_one(kind: str) -> None:
    prepared = sides(kind, validation=40)
    judge = make_judge(kind, arrays=train_toy(kind, make_toy_cases(kind, n=300, seed=9)))
    found: Any = choose(judge, prepared)
    assert (found["by"], found["folds"]) == ("validation", 0)
    validation = prepared.validation
    assert validation is not None
    said = judge.kind.read(judge.federated(validation))
    losses = judge.kind.losses(validation, said)
    mean = losses.each @ losses.weight / losses.weight.sum()
    assert found["scores"]["federated"] == pytest.approx(mean)


def test_a_validation_part_that_is_too_small_to_be_told_of_is_not_asked() -> None:
    assert choose(make_judge("binary"), sides("binary", validation=9))["by"] == "folds"


def test_validation_patients_count_as_training_patients() -> None:
    found = evaluate_site(make_judge("number"), sides("number", validation=40))
    assert found["n_train"] == 140


def test_the_personal_model_is_a_candidate_only_where_something_was_kept() -> None:
    prepared = sides("binary", validation=40)
    without: Any = evaluate_site(make_judge("binary", settings=PERSONAL), prepared)
    assert "personalised" not in without["rows"]
    kept = kept_by("binary", prepared.train)
    judge = make_judge("binary", settings=PERSONAL, kept=kept)
    found: Any = evaluate_site(judge, prepared)
    said = judge.recipe.predict(prepared.held_out, judge.arrays, PERSONAL, kept=kept)
    right = np.mean((said > 0) == prepared.held_out.y)
    assert found["rows"]["personalised"]["accuracy"]["value"] == pytest.approx(right)
    assert list(found["choice"]["scores"]) == [
        "federated", "recalibrated", "fine_tuned", "personalised", "local",
    ]  # fmt: skip


def test_in_folds_what_was_kept_is_not_scored_on_patients_that_it_has_seen() -> None:
    """A personal model that knows its training patients by heart must not win by that."""
    generator = np.random.default_rng(0)
    n = 60
    x = np.eye(n)  # each patient has a column of its own: nothing can be learnt from others
    y = (generator.random(n) < 0.5).astype(float)
    train = Cases(x=x, y=y, group=np.arange(n))
    zero = {"weight": np.zeros((n, 1))}
    kept = {"own": 20.0 * (2 * y - 1)[:, None]}
    judge = make_judge("binary", arrays=zero, settings=PERSONAL, kept=kept, start=zero)
    found: Any = choose(judge, Prepared(train=train, held_out=train.take(np.arange(0))))
    known = judge.kind.read(judge.fit(train)["personalised"](train))
    assert judge.kind.losses(train, known).each.max() < 0.01
    assert found["scores"]["personalised"] == pytest.approx(np.log(2))
    assert found["chosen"] != "personalised"


def test_in_folds_the_personal_model_is_made_anew_against_the_final_shared_model() -> None:
    prepared = sides("number", truth=4)
    shared = train_toy("number", make_toy_cases("number", n=300, seed=9))
    kept = kept_by("number", prepared.train)
    judge = make_judge("number", arrays=shared, settings=PERSONAL, kept=kept)
    part = prepared.train.take(np.arange(40))
    own = shared
    for _ in range(judge.plan.rounds):
        own = judge.recipe.train(
            part, own, Settings(), chance=judge.plan.chance, number=1, kept={}
        ).arrays
    expected = judge.recipe.predict(part, own, PERSONAL, kept={})
    assert judge.fit_without(part)["personalised"](part) == pytest.approx(expected)


def test_fine_tuning_goes_on_from_the_shared_model_and_can_be_left_out() -> None:
    prepared = sides("number", truth=4)
    shared = train_toy("number", make_toy_cases("number", n=300, seed=9))
    judge = make_judge("number", arrays=shared, tuning_rounds=2)
    weight = shared
    for number in (3, 4):
        weight = judge.recipe.train(
            prepared.train, weight, judge.alone, chance=judge.plan.chance, number=number, kept={}
        ).arrays
    tuned = judge.fit(prepared.train)["fine_tuned"](prepared.held_out)
    assert tuned == pytest.approx(prepared.held_out.x @ weight[("weight")][:, 0])
    assert "fine_tuned" not in replace(judge, tuning_rounds=0).fit(prepared.train)


def test_equals_are_chosen_in_the_order_of_sharing() -> None:
    train = make_toy_cases("number", n=40, seed=1)
    judge = make_judge("number", settings=Settings(steps=0))
    # Nothing is ever trained, so all but the shifted one say the same.
    found: Any = choose(judge, Prepared(train=replace(train, y=np.zeros(40)), held_out=train))
    assert len(set(found["scores"].values())) == 1
    assert found["chosen"] == "federated"


def test_within_one_standard_error_the_more_shared_model_is_taken() -> None:
    """The rule, by the textbook's formula for one case of each patient."""
    prepared = sides("number", truth=0, validation=50)
    judge = make_judge("number", arrays=train_toy("number", make_toy_cases("number", n=99, seed=9)))
    found: Any = choose(judge, prepared)
    validation = prepared.validation
    assert validation is not None
    errors = {
        name: np.abs(predict(validation) - validation.y)
        for name, predict in judge.fit(prepared.train).items()
    }
    least = min(errors, key=lambda name: errors[name].mean())
    near = [
        name
        for name, one in errors.items()
        if name == least
        or (one - errors[least]).mean() <= np.std(one - errors[least], ddof=1) / np.sqrt(50)
    ]
    assert found["chosen"] == near[0]
    assert found["scores"][found["chosen"]] >= min(found["scores"].values())


def test_a_patient_with_many_rows_counts_as_one_when_differences_are_weighed() -> None:
    """Ten patients of ten rows each must not look like a hundred patients."""
    group = np.repeat(np.arange(10), 10)
    x = np.stack([(group < 5).astype(float), np.zeros(100), np.ones(100)], axis=1)
    rows = Cases(x=x, y=np.zeros(100), group=group)
    judge = make_judge(
        "number",
        arrays={"weight": np.array([[0.5], [0.0], [0.05]])},  # wrong by .55 and by .05
        settings=Settings(personal=True, steps=0),
        kept={"own": np.array([[0.0], [0.0], [0.25]])},  # wrong by .25 for everybody
        tuning_rounds=0,
    )

    def chosen(validation: Cases) -> Any:
        far = replace(rows, y=np.full(100, 9.0))  # so neither shift nor start can win
        return choose(judge, Prepared(train=far, held_out=rows, validation=validation))

    judge = replace(judge, plan=replace(judge.plan, start={"weight": np.full((3, 1), 5.0)}))
    by_patient, by_row = chosen(rows), chosen(replace(rows, group=np.arange(100)))
    assert by_patient["scores"] == by_row["scores"]
    assert by_patient["scores"]["personalised"] == pytest.approx(0.25)
    assert by_patient["scores"]["federated"] == pytest.approx(0.3)
    assert (by_patient["chosen"], by_row["chosen"]) == ("federated", "personalised")

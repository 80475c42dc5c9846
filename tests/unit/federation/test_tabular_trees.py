"""Boosted trees: equal to XGBoost's own predictions, leaves of enough patients, one forest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from extras import need

xgboost = need("xgboost")

from consilium.federation.contract import Cases, Chance, EvaluationPlan, Needs  # noqa: E402
from consilium.federation.recipes.tabular_trees import RECIPE  # noqa: E402
from consilium.federation.recipes.tabular_trees.forest import (  # noqa: E402
    COUNT,
    PARTS,
    find_leaves,
    margins,
)
from consilium.federation.recipes.tabular_trees.growing import Settings  # noqa: E402
from consilium.federation.recipes.tabular_trees.losses import loss_of  # noqa: E402
from consilium.federation.simulation import fit_alone, simulate  # noqa: E402
from consilium.gate.orders import FieldNeed, Target  # noqa: E402
from consilium.kernel.errors import InputError  # noqa: E402
from consilium.kernel.identifiers import ParticipantId  # noqa: E402

FEATURES = (
    FieldNeed(name="age", kind="number"),
    FieldNeed(name="dose", kind="number"),
    FieldNeed(name="pain", kind="category", categories=("none", "some", "much")),
)
TARGETS = {
    "binary": Target(),
    "number": Target(kind="number"),
    "classes": Target(kind="classes", classes=("a", "b", "c")),
}
CHANCE = Chance(seed=42, participant=ParticipantId("north"))
KINDS = sorted(TARGETS)
SETTINGS = Settings(trees=12)


def _needs(kind: str) -> Needs:
    return Needs(features=FEATURES, target=TARGETS[kind])


def _drawn(kind: str, seed: int, *, n: int = 240, rows_each: int = 1) -> Cases:
    generator = np.random.default_rng(seed)
    x = np.stack(
        [generator.normal(60, 10, n), generator.normal(0, 1, n), generator.integers(0, 3, n)],
        axis=1,
    )
    score = (np.abs(x[:, 0] - 60) > 7) * 1.5 + x[:, 1] * (x[:, 2] == 2)
    score += generator.normal(0, 0.3, n)
    x[generator.random(n) < 0.15, 0] = np.nan
    y = {
        "binary": (score > 0.8).astype(float),
        "number": 50 + score,
        "classes": np.digitize(score, (0.2, 1.2)).astype(float),
    }[kind]
    return Cases(x=x, y=y, group=np.arange(n) // rows_each)


def _alone(kind: str, settings: Settings = SETTINGS, *, rounds: int = 6, **drawn: Any) -> Any:
    sides = (_drawn(kind, 0, **drawn), _drawn(kind, 1))
    return fit_alone(
        RECIPE, sides, needs=_needs(kind), settings=settings, rounds=rounds, chance=CHANCE
    )


def _federated(kind: str, *, rounds: int = 4, **changes: Any) -> Any:
    sites = {
        name: (_drawn(kind, place, n=120 + 60 * place), _drawn(kind, 10 + place))
        for place, name in enumerate(("north", "south", "west"))
    }
    return simulate(
        RECIPE,
        sites,
        needs=_needs(kind),
        settings=replace(SETTINGS, **changes),
        rounds=rounds,
        seed=1,
        rule="bagging",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_site_alone_predicts_what_xgboost_predicts(kind: str) -> None:
    # Where no leaf has to be cut: XGBoost itself, boosted for as many rounds.
    fitted = _alone(kind)
    loss = loss_of(kind, classes=3)
    train, held_out = fitted.prepared.train, fitted.prepared.held_out
    own = xgboost.train(
        {
            **loss.parameters,
            "eta": 0.3,
            "max_depth": 3,
            "min_child_weight": 10 * loss.heaviest,
            "base_score": 0.5 if kind != "number" else train.y.mean(),
            "nthread": 1,
        },
        xgboost.DMatrix(train.x, label=train.y),
        num_boost_round=5 if kind == "number" else 6,  # the first says the mean
    )
    expected = own.predict(xgboost.DMatrix(held_out.x), output_margin=True)
    if kind == "classes":
        expected = expected - 0.5
    assert fitted.model["fresh.split"].any()
    np.testing.assert_allclose(fitted.predict(held_out), expected, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_leaf_has_enough_patients(kind: str) -> None:
    # Three rows for each patient: ten cases of a leaf may be four patients.
    settings = replace(SETTINGS, max_depth=5, min_leaf=12)
    fitted = _alone(kind, settings, rows_each=3)
    train, model, trees = fitted.prepared.train, fitted.model, 0
    rows = train.x.astype(np.float32).astype(np.float64)
    for output in range(model["fresh.leaf"].shape[0]):
        forest = [
            {part: model[f"forest.{part}"][place][output] for part in PARTS}
            for place in range(int(model[COUNT][0]))
        ]
        for tree in [*forest, {part: model[f"fresh.{part}"][output] for part in PARTS}]:
            trees += bool(tree["split"].any())
            ends = find_leaves(rows, tree)
            for leaf in np.unique(ends):
                assert len(np.unique(train.group[ends == leaf])) >= 12
    assert trees >= 3


def test_a_cut_leaf_says_the_step_of_all_its_cases() -> None:
    # One patient behind all rows but eleven: no split leaves ten patients on both sides.
    cases = _drawn("binary", 0, n=200)
    cases.group[:189] = 0
    settings = replace(SETTINGS, l2=2.0)
    fitted = fit_alone(
        RECIPE, (cases, cases), needs=_needs("binary"), settings=settings, rounds=1, chance=CHANCE
    )
    assert not fitted.model["fresh.split"].any()
    step = 0.3 * (cases.y - 0.5).sum() / (cases.n * 0.25 + 2.0)
    np.testing.assert_allclose(fitted.predict(fitted.prepared.train), step, rtol=1e-6)


def test_a_forest_for_a_number_begins_with_the_mean_of_all_sites() -> None:
    found = _federated("number", rounds=1)
    rows = found.prepared["west"].held_out
    mean = np.concatenate([one.train.y for one in found.prepared.values()]).mean()
    np.testing.assert_allclose(found.predict("west", rows), mean)


def test_a_site_with_too_few_patients_says_nothing() -> None:
    fitted = _alone("number", rounds=2, n=9)
    assert not fitted.predict(fitted.prepared.held_out).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_federation_learns_more_with_each_round(kind: str) -> None:
    found = _federated(kind)
    losses = [
        np.mean([facts[site]["loss_before"] for site in sorted(facts)]) for facts in found.facts
    ]
    assert losses == sorted(losses, reverse=True)
    assert found.model[COUNT].tolist() == [12.0]
    assert not found.model["fresh.split"].any()


def test_a_round_adds_the_sites_trees_by_their_cases() -> None:
    found = _federated("binary", rounds=1)
    rows = found.prepared["west"].held_out
    start = RECIPE.initial(_needs("binary"), SETTINGS, seed=1)
    total, cases = np.zeros(rows.n), 0
    for site in ("north", "south", "west"):
        train = found.prepared[site].train
        own = RECIPE.train(train, start, SETTINGS, chance=CHANCE, number=1, kept={}).arrays
        total += train.n * margins(rows.x, own)[:, 0]
        cases += train.n
    np.testing.assert_allclose(found.predict("west", rows), total / cases, rtol=1e-9)


def test_a_forest_without_a_place_left_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        _federated("binary", trees=5)
    assert caught.value.code == "federation.bad_update"
    with pytest.raises(InputError) as caught:
        _alone("binary", replace(SETTINGS, trees=2), rounds=4)
    assert caught.value.code == "federation.bad_setting"


def test_a_full_forest_is_judged_without_a_fine_tuned_row() -> None:
    settings = replace(SETTINGS, trees=12)
    found = _federated("binary", trees=12)
    plan = EvaluationPlan(
        needs=_needs("binary"),
        start=RECIPE.initial(_needs("binary"), settings, seed=1),
        rounds=4,
        chance=CHANCE,
        resamples=10,
    )
    facts = RECIPE.evaluate(found.prepared["north"], found.model, settings, plan=plan)
    assert "fine_tuned" not in facts["rows"]


def test_the_same_cases_give_the_same_bytes() -> None:
    one, two = _federated("classes", rounds=2), _federated("classes", rounds=2)
    for name, array in one.model.items():
        assert array.tobytes() == two.model[name].tobytes()


def test_a_column_that_a_site_lacks_altogether_is_no_obstacle() -> None:
    cases = _drawn("binary", 0)
    cases.x[:, 1] = np.nan
    fitted = fit_alone(
        RECIPE,
        (cases, _drawn("binary", 1)),
        needs=_needs("binary"),
        settings=SETTINGS,
        rounds=3,
        chance=CHANCE,
    )
    assert np.isfinite(fitted.predict(fitted.prepared.held_out)).all()


@pytest.mark.parametrize(("kind", "code"), [("binary", "bad_label"), ("classes", "bad_target")])
def test_a_label_of_no_class_is_refused(kind: str, code: str) -> None:
    cases = _drawn(kind, 0)
    cases.y[1] = 7.0
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(cases, cases, needs=_needs(kind), settings=SETTINGS, chance=CHANCE)
    assert caught.value.code == f"federation.{code}"


def test_another_target_a_missing_number_and_no_cases_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        RECIPE.initial(Needs(features=FEATURES, target=Target(kind="survival")), SETTINGS, seed=1)
    assert caught.value.code == "federation.recipe_does_not_fit"
    cases = _drawn("number", 0)
    for wrong, code in (
        (replace(cases, y=np.where(cases.y > 50, np.nan, 1.0)), "federation.bad_target"),
        (cases.take(np.array([], dtype=int)), "federation.no_cases"),
    ):
        with pytest.raises(InputError) as caught:
            RECIPE.prepare(wrong, cases, needs=_needs("number"), settings=SETTINGS, chance=CHANCE)
        assert caught.value.code == code


def test_settings_are_those_of_the_name_card_and_leaves_of_nine_are_none() -> None:
    assert RECIPE.read_settings({"max_depth": 4}) == Settings(max_depth=4)
    with pytest.raises(InputError):
        RECIPE.read_settings({"min_leaf": 9})

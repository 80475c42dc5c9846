"""The recipe's verbs: what is shared, what is kept, and many sites at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.federation.contract import Cases, Chance, EvaluationPlan, Needs
from consilium.federation.recipes.tabular_mlp import RECIPE
from consilium.federation.recipes.tabular_mlp.settings import Settings
from consilium.federation.simulation import simulate
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

FEATURES = (
    FieldNeed(name="age", kind="number"),
    FieldNeed(name="dose", kind="number"),
    FieldNeed(name="kind", kind="category", categories=("a", "b", "c")),
)
BINARY = Needs(features=FEATURES)
CLASSES = Needs(features=FEATURES, target=Target(kind="classes", classes=("x", "y", "z")))
NUMBER = Needs(features=FEATURES, target=Target(kind="number", unit="mm"))
CHANCE = Chance(seed=42, participant=ParticipantId("did:web:x:north"))
NORMS = {f"hidden1.norm.{name}" for name in ("scale", "shift", "mean", "variance")}


def draw(needs: Needs, n: int = 60, seed: int = 0) -> Cases:
    drawn = np.random.default_rng(seed)
    x = np.stack([drawn.normal(60, 9, n), drawn.normal(2, 1, n), drawn.integers(0, 3, n)], axis=1)
    # A valley: no straight line through the first column separates it.
    valley = np.abs(x[:, 0] - 60) / 9
    y = {"binary": valley > 0.7, "classes": x[:, 2], "number": 50 + 10 * valley}
    return Cases(x=x, y=np.asarray(y[needs.target.kind], dtype=float), group=np.arange(n) // 2)


def prepare(needs: Needs, settings: Settings, n: int = 60, seed: int = 0) -> Any:
    sides = draw(needs, n, seed), draw(needs, 40, seed + 1)
    return RECIPE.prepare(*sides, needs=needs, settings=settings, chance=CHANCE)


def train(needs: Needs, settings: Settings, *, rounds: int = 1, n: int = 60) -> Any:
    cases, kept = prepare(needs, settings, n).train, {}
    arrays = RECIPE.initial(needs, settings, seed=1)
    for number in range(1, rounds + 1):
        done = RECIPE.train(cases, arrays, settings, chance=CHANCE, number=number, kept=kept)
        arrays, kept = done.arrays, done.kept
    return done


@pytest.mark.parametrize("needs", [BINARY, CLASSES, NUMBER], ids=["binary", "classes", "number"])
def test_each_kind_of_target_is_learnt(needs: Needs) -> None:
    settings = Settings(
        hidden_1=16, learning_rate=0.2, momentum=0.8, target_mean=50, target_spread=10
    )
    done = train(needs, settings, rounds=40, n=300)
    held_out = prepare(needs, settings, 300).held_out
    found = RECIPE.predict(held_out, done.arrays, settings, kept={})
    if needs is BINARY:
        assert ((found > 0) == held_out.y).mean() > 0.85
    elif needs is CLASSES:
        assert found.shape == (40, 3)
        assert (found.argmax(axis=1) == held_out.y).mean() > 0.95
    else:
        assert np.abs(found - held_out.y).mean() < 2.5
        assert np.abs(held_out.y.mean() - held_out.y).mean() > 3.5


def test_hidden_layers_of_width_zero_are_left_out() -> None:
    linear = RECIPE.initial(BINARY, Settings(hidden_1=0), seed=1)
    assert set(linear) == {"head.binary.weight", "head.binary.bias"}
    assert linear["head.binary.weight"].shape == (4, 1)
    deep = RECIPE.initial(CLASSES, Settings(hidden_1=8, hidden_2=5), seed=1)
    assert deep["hidden2.weight"].shape == (8, 5)
    assert deep["head.classes.weight"].shape == (5, 3)


def test_a_target_that_it_does_not_serve_is_refused() -> None:
    survival = Needs(features=FEATURES, target=Target(kind="survival"))
    with pytest.raises(InputError) as caught:
        RECIPE.initial(survival, Settings(), seed=1)
    assert caught.value.code == "federation.recipe_does_not_fit"


@pytest.mark.parametrize(
    ("needs", "wrong", "code"),
    [
        (BINARY, 2.0, "federation.bad_label"),
        (CLASSES, 3.0, "federation.bad_target"),
        (CLASSES, 0.5, "federation.bad_target"),
        (NUMBER, np.inf, "federation.bad_target"),
    ],
    ids=["binary", "class too high", "between classes", "infinite number"],
)
def test_a_label_that_is_none_is_refused(needs: Needs, wrong: float, code: str) -> None:
    cases = draw(needs)
    cases.y[3] = wrong
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(cases, draw(needs), needs=needs, settings=Settings(), chance=CHANCE)
    assert caught.value.code == code


def test_validation_patients_are_whole_and_never_trained_on() -> None:
    prepared = prepare(BINARY, Settings(validation_share=0.3))
    assert prepared.validation.n == 18
    assert not set(prepared.train.group) & set(prepared.validation.group)
    np.testing.assert_allclose(prepared.train.x[:, 0].mean(), 0, atol=1e-12)
    assert prepare(BINARY, Settings(validation_share=0.0)).validation is None


def test_unscaled_inputs_stay_as_they_are_and_missing_ones_become_zero() -> None:
    cases = draw(BINARY)
    cases.x[0, 1] = np.nan
    settings = Settings(scaling="none", validation_share=0.0)
    made = RECIPE.prepare(cases, draw(BINARY), needs=BINARY, settings=settings, chance=CHANCE)
    np.testing.assert_array_equal(made.train.x[:, 0], cases.x[:, 0])
    assert made.train.x[0, 1] == 0


def test_shared_normalisation_is_sent_and_local_normalisation_is_kept() -> None:
    shared = train(BINARY, Settings(norm="batch"))
    assert set(shared.arrays) >= NORMS
    assert shared.kept == {}
    local = train(BINARY, Settings(norm="local_batch"))
    assert set(local.kept) == NORMS
    assert not set(local.arrays) & NORMS
    assert set(local.arrays) == set(RECIPE.initial(BINARY, Settings(norm="local_batch"), seed=1))


def test_local_normalisation_goes_on_where_the_round_before_ended() -> None:
    settings = Settings(norm="local_batch")
    once, twice = train(BINARY, settings), train(BINARY, settings, rounds=2)
    assert (once.kept["hidden1.norm.mean"] != twice.kept["hidden1.norm.mean"]).any()
    held_out = prepare(BINARY, settings).held_out
    own = RECIPE.predict(held_out, twice.arrays, settings, kept=twice.kept)
    shared = RECIPE.predict(held_out, twice.arrays, settings, kept={})
    assert (own != shared).any()


def test_ditto_leaves_the_shared_model_alone_and_keeps_a_personal_one() -> None:
    plain, ditto = (train(BINARY, Settings(personal=p), rounds=3) for p in ("none", "ditto"))
    for name in plain.arrays:
        np.testing.assert_array_equal(plain.arrays[name], ditto.arrays[name])
    assert set(ditto.kept) == {f"personal.{name}" for name in ditto.arrays}
    held_out = prepare(BINARY, Settings()).held_out
    settings = Settings(personal="ditto")
    own = RECIPE.predict(held_out, ditto.arrays, settings, kept=ditto.kept)
    personal = {name.removeprefix("personal."): array for name, array in ditto.kept.items()}
    expected = RECIPE.predict(held_out, personal, Settings(), kept={})
    np.testing.assert_array_equal(own, expected)


def test_a_strong_pull_holds_the_personal_model_at_the_shared_one() -> None:
    gaps = []
    for strength in (0.0, 10.0):
        settings = Settings(personal="ditto", ditto_lambda=strength)
        start = RECIPE.initial(BINARY, settings, seed=1)
        kept = train(BINARY, settings).kept
        gaps.append(max(np.abs(kept[f"personal.{name}"] - start[name]).max() for name in start))
    assert gaps[1] < gaps[0] / 3


@pytest.mark.parametrize("norm", ["none", "batch", "local_batch"])
@pytest.mark.parametrize("personal", ["none", "ditto"])
def test_many_sites_at_once_are_the_sites_one_by_one(norm: str, personal: str) -> None:
    settings = Settings(
        norm=norm, personal=personal, momentum=0.5, dropout=0.2, proximal_mu=0.1, l2=0.01
    )
    names = [ParticipantId(f"did:web:x:{place}") for place in range(5)]
    chances = [Chance(seed=7, participant=name) for name in names]
    cases = [prepare(CLASSES, settings, n=n, seed=n).train for n in (10, 80, 33, 41, 20)]
    start = RECIPE.initial(CLASSES, settings, seed=3)
    kept: list[Any] = [{}] * 5
    for number in (1, 2, 3):
        many = RECIPE.train_many(
            cases, [start] * 5, settings, chances=chances, number=number, kept=kept
        )
        for place in range(5):
            one = RECIPE.train(
                cases[place],
                start,
                settings,
                chance=chances[place],
                number=number,
                kept=kept[place],
            )
            for part in ("arrays", "kept"):
                found, expected = getattr(many[place], part), getattr(one, part)
                assert set(found) == set(expected)
                for name in expected:
                    np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-10)
            assert many[place].facts == pytest.approx(one.facts, abs=1e-10)
        kept = [trained.kept for trained in many]


def test_a_repeated_round_gives_the_same_bytes() -> None:
    settings = Settings(norm="local_batch", personal="ditto", dropout=0.3)
    one, again = (train(BINARY, settings, rounds=2) for _ in range(2))
    for part in ("arrays", "kept"):
        for name, array in getattr(one, part).items():
            assert array.tobytes() == getattr(again, part)[name].tobytes()


def test_training_that_diverges_says_so_by_a_missing_loss() -> None:
    done = train(NUMBER, Settings(learning_rate=10.0, scaling="none", local_steps=300))
    assert done.facts["loss_after"] is None


def test_a_federation_of_three_learns_together() -> None:
    settings = Settings(norm="local_batch", learning_rate=0.2, personal="ditto")
    sites = {
        name: (draw(BINARY, 80, seed), draw(BINARY, 60, seed + 9))
        for seed, name in enumerate("abc")
    }
    done = simulate(RECIPE, sites, needs=BINARY, settings=settings, rounds=25, seed=1)
    for site in sites:
        held_out = done.prepared[site].held_out
        found = done.predict(site, held_out, personal=True)
        assert ((found > 0) == held_out.y).mean() > 0.8


def test_evaluation_stands_beside_a_model_trained_alone() -> None:
    settings = Settings(norm="local_batch", proximal_mu=1.0, local_steps=5)
    done, prepared = train(BINARY, settings, rounds=2), prepare(BINARY, settings)
    plan = EvaluationPlan(
        needs=BINARY,
        start=RECIPE.initial(BINARY, settings, seed=1),
        rounds=2,
        chance=CHANCE,
        resamples=20,
        kept=done.kept,
    )
    facts: Any = RECIPE.evaluate(prepared, done.arrays, settings, plan=plan)
    assert facts["rows"]["local"]["auroc"]["value"] is not None


def test_settings_are_those_of_the_name_card() -> None:
    assert RECIPE.read_settings({}) == Settings()
    assert RECIPE.read_settings({"hidden_2": 8}) == replace(Settings(), hidden_2=8)
    with pytest.raises(InputError):
        RECIPE.read_settings({"hidden_4": 3})

"""Noise in training and in figures: draws, steps, scaling, presets, the recipe, a whole round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from federation_rehearsal import RECIPES, Rehearsal, make_rehearsal, number_features

from consilium.federation.contract import Cases, Chance, Needs
from consilium.federation.local import LocalEngine
from consilium.federation.noise.figures import noisy_figures
from consilium.federation.noise.presets import (
    PrivacyWish,
    declare_ranges,
    plan_noise,
    read_wish,
    settings_of,
)
from consilium.federation.noise.scaling import scale_by_range
from consilium.federation.noise.source import NoiseSource
from consilium.federation.noise.steps import Patients, clip_rows, logistic_gradients, noisy_mean
from consilium.federation.outcome import Outcome
from consilium.federation.passport import make_passport
from consilium.federation.ports import Task
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.simulation import simulate
from consilium.federation.site import SiteWorker
from consilium.gate.accounting import epsilon_of
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import FieldNeed, NoisePlan
from consilium.gate.replies import read_reply
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError, StateError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.passports import NOISE, Passport

SECRET = b"0123456789abcdef" * 2


def source(purpose: str = "test", secret: bytes = SECRET) -> NoiseSource:
    return NoiseSource(secret, purpose)


# -- draws --------------------------------------------------------------------------------------


def test_the_same_secret_and_purpose_give_the_same_draws_and_no_other_does() -> None:
    first = source().normal(50)
    np.testing.assert_array_equal(first, source().normal(50))
    for other in (source("else"), source(secret=b"x" * 32), NoiseSource(SECRET, "test", 1)):
        assert not np.isclose(first, other.normal(50)).any()


def test_noise_without_a_secret_is_refused() -> None:
    chance = Chance(seed=42, participant=ParticipantId("did:web:x:north"))
    with pytest.raises(StateError) as refusal:
        chance.draw_secret("train", 1)
    assert refusal.value.code == "federation.no_secret"
    assert "secret" not in repr(replace(chance, secret=SECRET))


def test_draws_are_normal_uniform_and_whole() -> None:
    drawn = np.sort(source().normal(20_000))
    assert abs(drawn.mean()) < 0.03
    assert drawn.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(np.abs(drawn) > 1.959964) == pytest.approx(0.05, abs=0.006)
    even = source().uniform(20_000)
    assert 0 < even.min() < even.max() < 1
    assert even.mean() == pytest.approx(0.5, abs=0.01)
    wholes = [source_.below(6) for source_ in [source("dice")] for _ in range(3_000)]
    assert np.bincount(wholes) == pytest.approx(np.full(6, 500), abs=90)
    assert source().below(1) == 0


# -- steps --------------------------------------------------------------------------------------


def test_no_gradient_is_longer_than_the_clip_and_short_ones_stay() -> None:
    rows = np.array([[3.0, 4.0], [0.3, 0.4], [np.inf, 1.0], [0.0, 0.0]])
    cut = clip_rows(rows, clip=1.0)
    np.testing.assert_allclose(cut, [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.0, 0.0]])


def test_a_patient_is_drawn_at_the_rate_and_with_one_of_its_rows() -> None:
    group = np.array([7, 7, 7, 1, 5, 5])
    patients, stream = Patients(group), source()
    assert patients.n == 3
    drawn = [patients.draw(0.4, stream) for _ in range(2_000)]
    for rows in drawn:
        assert len(np.unique(group[rows])) == len(rows)
    counts = np.bincount(np.concatenate(drawn), minlength=6)
    assert counts == pytest.approx(np.array([267, 267, 267, 800, 400, 400]), abs=80)


def test_a_step_is_the_clipped_sum_over_those_expected_plus_noise() -> None:
    generator = np.random.default_rng(1)
    inputs, y = generator.normal(size=(9, 3)), generator.integers(0, 2, 9).astype(float)
    weights = generator.normal(size=3)
    gradients = logistic_gradients(inputs, y, weights)
    chances = 1 / (1 + np.exp(-inputs @ weights))
    np.testing.assert_allclose(gradients, (chances - y)[:, None] * inputs)
    plain = noisy_mean(gradients, clip=0.5, noise=0.0, expected=4.0, source=source())
    np.testing.assert_allclose(plain, clip_rows(gradients, clip=0.5).sum(axis=0) / 4)
    noisy = noisy_mean(gradients, clip=0.5, noise=2.0, expected=4.0, source=source())
    np.testing.assert_allclose(noisy - plain, source().normal(3) * 0.25)


def test_nobody_drawn_still_adds_noise() -> None:
    nobody = noisy_mean(np.empty((0, 4)), clip=1.0, noise=1.0, expected=2.0, source=source())
    assert np.all(nobody != 0)


# -- scaling ------------------------------------------------------------------------------------

COLUMNS = (
    FieldNeed(name="age", kind="number", range=(30.0, 70.0)),
    FieldNeed(name="sex", kind="category", categories=("f", "m")),
)


def test_numbers_are_scaled_by_what_was_declared_whoever_is_there() -> None:
    x = np.array([[50.0, 1.0], [30.0, 0.0], [90.0, 1.0], [np.nan, np.nan]])
    scaled = scale_by_range(x, COLUMNS)
    np.testing.assert_array_equal(scaled[:, 0], [0.0, -2.0, 2.0, 0.0])
    np.testing.assert_array_equal(scaled[:3], scale_by_range(x[:3], COLUMNS))
    with pytest.raises(InputError) as refusal:
        scale_by_range(x, (replace(COLUMNS[0], range=()), COLUMNS[1]))
    assert refusal.value.facts == {"column": "age"}


# -- presets ------------------------------------------------------------------------------------


def test_presets_cost_what_they_are_called() -> None:
    for preset, epsilon in (("standard", 8.0), ("strict", 1.0)):
        plan = plan_noise(PrivacyWish(preset=preset), rounds=15, cases=199)
        assert plan is not None
        assert plan.epsilon == epsilon
        cost = epsilon_of(rate=plan.rate, noise=plan.noise, steps=15 * plan.steps, delta=plan.delta)
        assert epsilon * 0.99 < cost <= epsilon
    assert plan_noise(PrivacyWish(preset="audit"), rounds=15, cases=199) is None
    assert settings_of(PrivacyWish(preset="audit"), None)["noise"] == 0.0


@pytest.mark.parametrize(("cases", "delta"), [(0, 1e-5), (199, 1e-5), (30_000, 3.3e-6)])
def test_delta_is_small_for_the_largest_hospital(cases: int, delta: float) -> None:
    plan = plan_noise(PrivacyWish(), rounds=3, cases=cases)
    assert plan is not None
    assert plan.delta == pytest.approx(delta)
    assert plan.delta * cases <= 0.1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"preset": "loose"}, "privacy.preset"),
        ({"sigma": 1}, "privacy.sigma"),
        ({"rate": 0}, "privacy.rate"),
        ({"steps": 2.5}, "privacy.steps"),
        ({"epsilon": "8"}, "privacy.epsilon"),
        ({"ranges": {"age": [70, 30]}}, "privacy.ranges"),
        ([], "privacy"),
    ],
)
def test_what_a_draft_says_of_noise_is_read_strictly(given: object, field: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_wish(given)  # type: ignore[arg-type]
    assert (refusal.value.code, refusal.value.facts["field"]) == ("study.bad_plan", field)


def test_ranges_come_from_the_draft_or_from_the_catalogue_and_must_be_there() -> None:
    plain = tuple(replace(one, range=()) for one in COLUMNS)
    wish = PrivacyWish(ranges={"age": [30, 70]})
    assert declare_ranges(plain, wish, {"age": [0, 120]}) == COLUMNS
    shown = declare_ranges(plain, PrivacyWish(), {"age": [0, 120]})
    assert shown[0].range == (0.0, 120.0)
    with pytest.raises(InputError) as refusal:
        declare_ranges(plain, PrivacyWish(), {"age": None})
    assert refusal.value.code == "federation.no_range"


# -- figures ------------------------------------------------------------------------------------


def judged(epsilon: float, n: int = 4_000) -> dict[str, object]:
    generator = np.random.default_rng(3)
    chances = generator.random(n)
    y = (generator.random(n) < chances).astype(float)
    return noisy_figures(
        y, chances, group=np.arange(n), epsilon=epsilon, source=source(), min_cases=10
    )


def test_figures_of_many_patients_are_near_the_exact_ones() -> None:
    found = judged(1.0)["rows"]["federated"]  # type: ignore[index]
    assert found["accuracy"]["value"] == pytest.approx(0.75, abs=0.02)
    assert found["auroc"]["value"] == pytest.approx(5 / 6, abs=0.02)
    assert found["brier"]["value"] == pytest.approx(1 / 6, abs=0.02)
    assert found["calibration_slope"]["reason"] == "federation.not_with_noise"


def test_the_output_gate_lets_noisy_figures_pass() -> None:
    checked = check_facts(judged(0.5), rule=CountRule(smallest=10, largest=4_000))
    assert set(checked) == {"rows", "bins", "choice"}


def test_few_patients_drown_in_noise_and_a_patient_counts_once() -> None:
    found = noisy_figures(
        np.ones(30),
        np.full(30, np.nan),
        group=np.zeros(30, dtype=np.int64),
        epsilon=50.0,
        source=source(),
        min_cases=1,
    )
    (only,) = found["bins"]["federated"]  # type: ignore[index]
    assert only["n"] == 1


# -- the recipe ---------------------------------------------------------------------------------

FEATURES = tuple(replace(one, range=(-2.0, 2.0)) for one in number_features(3))
NEEDS = Needs(features=FEATURES)


def cases(seed: int, n: int = 60) -> Cases:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 3))
    y = (generator.random(n) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)
    return Cases(x=x, y=y, group=np.arange(n))


def noisy_settings(**changes: object) -> object:
    given = {"clip": 1.0, "noise": 1.0, "rate": 0.3, "local_steps": 5, "learning_rate": 0.3}
    return RECIPE.read_settings(given | changes)


def test_the_recipe_says_no_loss_and_learns_no_scaling_with_noise() -> None:
    settings, chance = (
        noisy_settings(),
        Chance(seed=1, participant=ParticipantId("did:web:x:north"), secret=SECRET),
    )
    prepared = RECIPE.prepare(cases(1), cases(2), needs=NEEDS, settings=settings, chance=chance)
    np.testing.assert_allclose(prepared.train.x, np.clip(cases(1).x, -2, 2))
    start = RECIPE.initial(NEEDS, settings, seed=1)
    trained = [
        RECIPE.train(prepared.train, start, settings, chance=chance, number=n, kept={})
        for n in (1, 1, 2)
    ]
    assert trained[0].facts == {}
    for name in start:
        np.testing.assert_array_equal(trained[0].arrays[name], trained[1].arrays[name])
        assert not np.array_equal(trained[0].arrays[name], trained[2].arrays[name])


def test_noise_without_a_clip_or_with_a_learnt_scaling_is_refused() -> None:
    for changes in ({"clip": 0.0}, {"scaling": "shared"}):
        with pytest.raises(InputError) as refusal:
            noisy_settings(**changes)
        assert refusal.value.code == "federation.bad_setting"


def test_a_federation_learns_through_the_noise() -> None:
    sites = {name: (cases(seed, 200), cases(seed + 9)) for name, seed in (("a", 1), ("b", 2))}
    settings = noisy_settings(local_steps=10)
    done = simulate(RECIPE, sites, needs=NEEDS, settings=settings, rounds=5, seed=42)
    z = done.predict("a", done.prepared["a"].held_out)
    assert np.mean((z > 0) == done.prepared["a"].held_out.y) > 0.7
    again = simulate(RECIPE, sites, needs=NEEDS, settings=settings, rounds=5, seed=42)
    np.testing.assert_array_equal(done.model["weight"], again.model["weight"])


# -- a whole round ------------------------------------------------------------------------------


def rehearsed(tmp_path: Path, **changes: object) -> Rehearsal:
    settings = {"clip": 1.0, "noise": 2.0, "rate": 0.3, "local_steps": 5, "learning_rate": 0.3}
    features = tuple(replace(one, range=(-3.0, 3.0)) for one in number_features(4))
    plan = NoisePlan(epsilon=4.0, delta=1e-5, clip=1.0, noise=2.0, rate=0.3, steps=5)
    return make_rehearsal(
        tmp_path, features=features, settings=settings, privacy=replace(plan, **changes)
    )


def test_a_study_with_noise_ends_with_figures_that_its_lead_can_read(tmp_path: Path) -> None:
    rehearsal = rehearsed(tmp_path)
    engine = LocalEngine(rehearsal.desks, recipes=RECIPES)
    folder = rehearsal.run(engine)
    engine.close()
    evaluation = folder.evaluation()
    for facts in evaluation["facts"].values():
        for name in ("recalibrated", "local", "majority"):
            assert all(one["value"] is None for one in facts["rows"][name].values())
        assert facts["choice"]["chosen"] == "federated"
        assert 0 <= facts["rows"]["federated"]["accuracy"]["value"] <= 1


def test_the_update_of_a_site_says_its_cases_and_no_loss(tmp_path: Path) -> None:
    rehearsal = rehearsed(tmp_path)
    order, _, _ = rehearsal.begin()
    desk = next(iter(rehearsal.desks.values()))
    worker = SiteWorker(order.as_json(), desk=desk, recipes=RECIPES)
    one, again = (
        read_reply(worker.work(Task(kind="train", round=1, model=rehearsal.start)))
        for _ in range(2)
    )
    assert one.facts == {}
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])


def test_the_passport_says_what_was_spent_and_how_to_scale(tmp_path: Path) -> None:
    study = rehearsed(tmp_path).study
    outcome = Outcome(plan=study, model=b"model", answers={}, statements={}, rounds=())
    passport = make_passport(outcome, fingerprints={}, clock=SystemClock())
    assert (passport.privacy["epsilon"], passport.privacy["delta"]) == (4.0, 1e-5)
    assert passport.privacy["ranges"]["x0"] == [-3.0, 3.0]
    assert passport.limitations == (NOISE,)
    assert Passport.from_record(passport.as_record()).privacy == passport.privacy

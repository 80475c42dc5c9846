"""The recipe for a number: least squares, a site's own intercept, the personal model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium.federation.contract import Cases, Chance, Needs
from consilium.federation.recipes.tabular_linear import RECIPE
from consilium.federation.recipes.tabular_linear.descent import Settings, fit_near
from consilium.federation.simulation import fit_alone, simulate
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

NEEDS = Needs(
    features=(FieldNeed(name="age", kind="number"), FieldNeed(name="dose", kind="number")),
    target=Target(kind="number", unit="mm"),
)
CHANCE = Chance(seed=42, participant=ParticipantId("north"))
FULL = Settings(learning_rate=0.5, batch_size=10_000, local_steps=1)
"""One step a round over all cases: the federation descends as on all rows together."""


def _drawn(seed: int, *, level: float = 0.0, n: int = 60) -> Cases:
    generator = np.random.default_rng(seed)
    x = np.stack([generator.normal(60, 10, n), generator.normal(0, 2, n)], axis=1)
    y = level + 0.3 * x[:, 0] - 2 * x[:, 1] + generator.normal(0, 1, n)
    return Cases(x=x, y=y, group=np.arange(n))


SITES = {
    "north": (_drawn(0), _drawn(10)),
    "south": (_drawn(1, level=40, n=30), _drawn(11, level=40)),
}


def _shared_minimum(settings: Settings) -> np.ndarray:
    """Least squares over all sites' prepared rows, by another way."""
    parts = [
        RECIPE.prepare(*sides, needs=NEEDS, settings=settings, chance=CHANCE).train
        for sides in SITES.values()
    ]
    x = np.concatenate([part.x for part in parts])
    y = np.concatenate([part.y for part in parts])
    return np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]


def test_a_federation_with_one_step_a_round_arrives_at_the_pooled_least_squares() -> None:
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=FULL, rounds=80, seed=1).model
    best = _shared_minimum(FULL)
    np.testing.assert_allclose(found["weight"], best[:-1], rtol=1e-6)
    np.testing.assert_allclose(found["bias"], best[-1:], rtol=1e-6)


def test_the_shared_scaling_is_that_of_all_rows_together() -> None:
    shared = replace(FULL, scaling="shared")
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=shared, rounds=1, seed=1).model
    rows = np.concatenate([train.x for train, _ in SITES.values()])
    np.testing.assert_allclose(found["input_mean"], rows.mean(axis=0))
    np.testing.assert_allclose(found["input_square"], (rows**2).mean(axis=0))
    assert not found["weight"].any()


def test_a_model_that_carries_its_scaling_predicts_at_a_hospital_without_cases() -> None:
    shared = replace(FULL, scaling="shared", intercept="site")
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=shared, rounds=100, seed=1)
    guest = _drawn(2, level=40 / 3)
    guess = RECIPE.predict(guest, found.model, shared, kept={})
    assert np.corrcoef(guess, guest.y)[0, 1] > 0.95


def test_a_site_s_own_intercept_keeps_its_mean_at_home() -> None:
    own = replace(FULL, intercept="site")
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=own, rounds=60, seed=1)
    assert found.model["bias"].tolist() == [0.0]
    for site, (train, _) in SITES.items():
        rows = found.prepared[site].train
        assert found.predict(site, rows).mean() == pytest.approx(0, abs=1e-9)
        assert found.predict(site, rows, personal=True).mean() == pytest.approx(train.y.mean())


def test_no_array_that_leaves_changes_with_a_site_s_mean_when_the_intercept_is_its_own() -> None:
    own = replace(FULL, intercept="site", local_steps=20)
    cases = RECIPE.prepare(*SITES["north"], needs=NEEDS, settings=own, chance=CHANCE).train
    start = RECIPE.initial(NEEDS, own, seed=1)
    leaves = [
        RECIPE.train(
            replace(cases, y=cases.y + shift), start, own, chance=CHANCE, number=1, kept={}
        )
        for shift in (0.0, 1000.0)
    ]
    for name, array in leaves[0].arrays.items():
        np.testing.assert_allclose(leaves[1].arrays[name], array, atol=1e-9)
    assert leaves[1].facts["loss_before"] == pytest.approx(leaves[0].facts["loss_before"])


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0, 50))
def test_the_personal_model_is_the_minimum_of_its_objective(seed: int, pull: float) -> None:
    generator = np.random.default_rng(seed)
    x, y, home = generator.normal(size=(12, 3)), generator.normal(size=12), generator.normal(size=4)

    def objective(v: np.ndarray) -> float:
        error = x @ v[:-1] + v[-1] - y
        return float(np.mean(error**2) + pull * np.sum((v[:-1] - home[:-1]) ** 2)) / 2

    best = fit_near(x, y, home, pull=pull)
    for _ in range(20):
        assert objective(best) <= objective(best + generator.normal(size=4) * 1e-3) + 1e-12


def test_the_pull_leads_from_local_least_squares_to_the_global_slopes() -> None:
    cases = RECIPE.prepare(*SITES["south"], needs=NEEDS, settings=FULL, chance=CHANCE).train
    home = np.array([1.0, 1.0, 7.0])
    alone = np.linalg.lstsq(np.c_[cases.x, np.ones(cases.n)], cases.y, rcond=None)[0]
    np.testing.assert_allclose(fit_near(cases.x, cases.y, home, pull=0.0), alone, rtol=1e-9)
    near = fit_near(cases.x, cases.y, home, pull=1e9)
    np.testing.assert_allclose(near, [1.0, 1.0, cases.y.mean()], rtol=1e-6)


def test_the_personal_model_is_kept_and_is_asked_when_it_is_there() -> None:
    ditto = replace(FULL, personal="ditto", personal_lambda=0.01)
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=ditto, rounds=40, seed=1)
    assert set(found.model) == {"bias", "weight"}
    plain = simulate(RECIPE, SITES, needs=NEEDS, settings=FULL, rounds=40, seed=1)
    np.testing.assert_array_equal(found.model["weight"], plain.model["weight"])
    rows = found.prepared["south"].held_out
    errors = {
        personal: np.mean((found.predict("south", rows, personal=personal) - rows.y) ** 2)
        for personal in (False, True)
    }
    assert errors[True] < errors[False] / 10


def test_a_constant_input_of_a_site_says_nothing_there_and_something_elsewhere() -> None:
    home = _drawn(3)
    home.x[:, 0] = 71.0
    shared = replace(FULL, scaling="shared", personal="ditto")
    sites = {**SITES, "home": (home, home)}
    found = simulate(RECIPE, sites, needs=NEEDS, settings=shared, rounds=30, seed=1)
    assert found.model["weight"][0] != 0
    assert np.isfinite(found.predict("home", found.prepared["home"].train, personal=True)).all()


def test_a_single_case_can_be_trained_on() -> None:
    one = SITES["north"][0].take(np.array([0]))
    ditto = replace(FULL, personal="ditto", personal_lambda=0.0)
    fitted = fit_alone(RECIPE, (one, one), needs=NEEDS, settings=ditto, rounds=3, chance=CHANCE)
    np.testing.assert_allclose(fitted.predict(fitted.prepared.train), one.y)


def test_a_number_that_is_missing_or_another_target_is_refused() -> None:
    cases = _drawn(0)
    cases.y[3] = np.nan
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(cases, _drawn(1), needs=NEEDS, settings=FULL, chance=CHANCE)
    assert caught.value.code == "federation.bad_target"
    with pytest.raises(InputError) as caught:
        RECIPE.initial(Needs(features=NEEDS.features), FULL, seed=1)
    assert caught.value.code == "federation.recipe_does_not_fit"


def test_a_site_without_training_cases_is_refused() -> None:
    none = _drawn(0).take(np.array([], dtype=int))
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(none, _drawn(1), needs=NEEDS, settings=FULL, chance=CHANCE)
    assert caught.value.code == "federation.no_cases"


def test_settings_are_those_of_the_name_card() -> None:
    assert RECIPE.read_settings({"intercept": "site"}) == Settings(intercept="site")
    with pytest.raises(InputError):
        RECIPE.read_settings({"epochs": 3})

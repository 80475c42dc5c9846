"""The recipe for survival: the partial likelihood against its definition, and pooled strata."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from consilium.federation.contract import Cases, Chance, Needs
from consilium.federation.recipes.tabular_cox import RECIPE
from consilium.federation.recipes.tabular_cox.likelihood import Settings, Stratum
from consilium.federation.simulation import simulate
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.measures.prognosis import concordance_index

NEEDS = Needs(
    features=tuple(FieldNeed(name=name, kind="number") for name in ("age", "stage", "dose")),
    target=Target(kind="survival", unit="mo"),
)
CHANCE = Chance(seed=42, participant=ParticipantId("north"))
FULL = Settings(learning_rate=1.0, local_steps=1)
TIES = ("efron", "breslow")


def _drawn(seed: int, *, hazard: float = 0.1, n: int = 80) -> Cases:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 3))
    risk = hazard * np.exp(0.8 * x[:, 0] - 0.5 * x[:, 1])
    time = generator.exponential(1 / risk)
    end = generator.exponential(12, n)
    # Whole months: many ties.
    seen = np.ceil(np.minimum(time, end))
    return Cases(x=x, y=(time <= end) * 1.0, group=np.arange(n), tensors={"time": seen})


SITES = {
    "north": (_drawn(0), _drawn(10)),
    "south": (_drawn(1, hazard=1.0, n=50), _drawn(11, hazard=1.0)),
    "west": (_drawn(2, hazard=0.02, n=30), _drawn(12, hazard=0.02)),
}


def negative_log_likelihood(
    w: np.ndarray, x: np.ndarray, time: np.ndarray, event: np.ndarray, ties: str
) -> float:
    """The partial likelihood straight from its definition, event time by event time."""
    odds, total = np.exp(x @ w), 0.0
    for when in np.unique(time[event == 1]):
        died = (time == when) & (event == 1)
        at_risk, tied, d = odds[time >= when].sum(), odds[died].sum(), int(died.sum())
        total -= (x[died] @ w).sum()
        for place in range(d):
            total += np.log(at_risk - (place / d * tied if ties == "efron" else 0.0))
    return float(total)


def _stratum(cases: Cases, ties: str) -> Stratum:
    return Stratum.of(cases.x, times=cases.tensors["time"], events=cases.y, ties=ties)


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 30), st.sampled_from(TIES))
def test_loss_and_slope_are_those_of_the_definition(seed: int, n: int, ties: str) -> None:
    generator = np.random.default_rng(seed)
    cases = Cases(
        x=generator.normal(size=(n, 2)),
        y=generator.integers(0, 2, n).astype(float),
        group=np.arange(n),
        tensors={"time": generator.integers(0, 6, n).astype(float)},
    )
    w, step = generator.normal(size=2), 1e-6
    stratum = _stratum(cases, ties)

    def reference(at: np.ndarray) -> float:
        return negative_log_likelihood(at, cases.x, cases.tensors["time"], cases.y, ties) / n

    assert stratum.loss(w) == pytest.approx(reference(w), abs=1e-9)
    numeric = [
        (reference(w + step * axis) - reference(w - step * axis)) / (2 * step) for axis in np.eye(2)
    ]
    np.testing.assert_allclose(stratum.slope(w), numeric, atol=1e-6)


@pytest.mark.parametrize("ties", TIES)
def test_the_federation_arrives_where_the_pooled_stratified_likelihood_is_greatest(
    ties: str,
) -> None:
    settings = replace(FULL, ties=ties)
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=settings, rounds=150, seed=1)

    def pooled(w: np.ndarray) -> float:
        return sum(
            negative_log_likelihood(w, p.train.x, p.train.tensors["time"], p.train.y, ties)
            for p in found.prepared.values()
        )

    best = minimize(pooled, np.zeros(3), method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(found.model["weight"], best.x, atol=1e-4)


def test_sites_with_other_baselines_do_not_disturb_each_other() -> None:
    found = simulate(RECIPE, SITES, needs=NEEDS, settings=FULL, rounds=60, seed=1)
    for site, (_, held_out) in SITES.items():
        risk = found.predict(site, found.prepared[site].held_out)
        index = concordance_index(
            held_out.tensors["time"], held_out.y, risk, group=held_out.group, seed=1, resamples=20
        ).value
        assert index is not None
        assert index > 0.65


def test_a_site_without_an_event_changes_nothing_and_has_no_loss() -> None:
    cases = RECIPE.prepare(
        replace(_drawn(3), y=np.zeros(80)), _drawn(4), needs=NEEDS, settings=FULL, chance=CHANCE
    ).train
    start = {"weight": np.array([0.1, 0.2, 0.3])}
    trained = RECIPE.train(cases, start, FULL, chance=CHANCE, number=1, kept={})
    np.testing.assert_array_equal(trained.arrays["weight"], start["weight"])
    assert trained.facts["loss_before"] == 0.0


def test_the_personal_model_lies_between_the_site_s_own_and_the_global_one() -> None:
    ends = {}
    for pull in (0.0, 0.3, 100.0):
        settings = Settings(
            learning_rate=0.01 if pull > 1 else 1.0,
            local_steps=5,
            personal="ditto",
            personal_lambda=pull,
        )
        start = {"weight": np.array([-1.0, 1.0, 0.0])}
        cases = RECIPE.prepare(*SITES["north"], needs=NEEDS, settings=settings, chance=CHANCE).train
        kept: dict[str, np.ndarray] = {}
        for number in range(1, 101):
            trained = RECIPE.train(cases, start, settings, chance=CHANCE, number=number, kept=kept)
            kept = dict(trained.kept)
        ends[pull] = np.linalg.norm(kept["personal.weight"] - start["weight"])
        rows = RECIPE.predict(cases, start, settings, kept=kept)
        np.testing.assert_allclose(rows, cases.x @ kept["personal.weight"])
    assert ends[0.0] > ends[0.3] > ends[100.0]


def test_huge_risks_do_not_overflow() -> None:
    cases = _drawn(5)
    stratum = _stratum(replace(cases, x=cases.x * 1e4), "efron")
    assert np.isfinite(stratum.loss(np.zeros(3)))
    assert np.isfinite(_stratum(cases, "efron").loss(np.full(3, 20.0)))


@pytest.mark.parametrize("time", [None, -1.0, np.nan], ids=["none", "negative", "missing"])
def test_a_time_that_is_none_is_refused(time: float | None) -> None:
    cases = _drawn(0)
    if time is None:
        cases = replace(cases, tensors={})
    else:
        cases.tensors["time"][2] = time
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(cases, _drawn(1), needs=NEEDS, settings=FULL, chance=CHANCE)
    assert caught.value.code == "federation.bad_target"


def test_an_event_besides_zero_and_one_another_target_and_no_cases_are_refused() -> None:
    cases = _drawn(0)
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(
            replace(cases, y=cases.y + 1), cases, needs=NEEDS, settings=FULL, chance=CHANCE
        )
    assert caught.value.code == "federation.bad_label"
    with pytest.raises(InputError) as caught:
        RECIPE.initial(Needs(features=NEEDS.features), FULL, seed=1)
    assert caught.value.code == "federation.recipe_does_not_fit"
    none = cases.take(np.array([], dtype=int))
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(none, cases, needs=NEEDS, settings=FULL, chance=CHANCE)
    assert caught.value.code == "federation.no_cases"


def test_settings_are_those_of_the_name_card() -> None:
    assert RECIPE.read_settings({"ties": "breslow"}) == Settings(ties="breslow")
    with pytest.raises(InputError):
        RECIPE.read_settings({"ties": "exact"})

"""Averaging against plain-Python formulas, one number at a time, and what every rule checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from consilium.federation.aggregation import (
    RULES,
    Contribution,
    aggregate,
    check_rule,
    check_sites,
    least_sites,
)
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

A, B, C = (ParticipantId(f"did:web:x:{name}") for name in ("a", "b", "c"))
MODEL = {"bias": np.array([0.5]), "weight": np.array([1.0, -2.0])}
SITES = {
    A: Contribution(update={"bias": np.array([0.1]), "weight": np.array([0.2, 0.3])}, n=10),
    B: Contribution(update={"bias": np.array([-0.3]), "weight": np.array([0.0, -0.6])}, n=30),
}


def step(rule: str = "fedavg", **changes: Any) -> Any:
    given: dict[str, Any] = {"contributions": SITES, "state": {}, "settings": {}}
    return aggregate(rule, MODEL, **given | changes)


def test_fedavg_weighs_each_site_by_its_cases() -> None:
    # McMahan et al. 2017, algorithm 1: w + Σ (n_i / n) Δ_i.
    result = step()
    np.testing.assert_allclose(result.model["bias"], [0.5 + 0.25 * 0.1 - 0.75 * 0.3])
    np.testing.assert_allclose(result.model["weight"], [1.05, -2.0 + 0.25 * 0.3 - 0.75 * 0.6])
    assert result.state == {}


def test_fedprox_is_fedavg_at_the_hub() -> None:
    for name, array in step("fedprox").model.items():
        np.testing.assert_array_equal(array, step().model[name])


def test_the_order_in_which_replies_came_does_not_matter() -> None:
    backwards = dict(reversed(list(SITES.items())))
    for name, array in step().model.items():
        assert array.tobytes() == step(contributions=backwards).model[name].tobytes()


@pytest.mark.parametrize(
    ("flaw", "contribution"),
    [
        ("no cases", Contribution(update=SITES[A].update, n=0)),
        ("other arrays than the model", Contribution(update={"bias": np.array([0.1])}, n=1)),
        (
            "shape of weight",
            Contribution(update={"bias": np.array([0.1]), "weight": np.zeros(3)}, n=1),
        ),
        (
            "type of weight",
            Contribution(
                update={"bias": np.array([0.1]), "weight": np.zeros(2, dtype=np.float32)}, n=1
            ),
        ),
        (
            "weight is not finite",
            Contribution(update={"bias": np.array([0.1]), "weight": np.array([0, np.nan])}, n=1),
        ),
    ],
)
def test_an_update_that_does_not_fit_is_refused_with_its_flaw(
    flaw: str, contribution: Contribution
) -> None:
    with pytest.raises(InputError) as caught:
        step(contributions={**SITES, C: contribution})
    assert caught.value.code == "federation.bad_update"
    assert caught.value.facts == {"site": C, "reason": flaw}


def test_a_model_that_overflows_is_refused() -> None:
    huge = Contribution(update={"bias": np.array([1.7e308]), "weight": np.zeros(2)}, n=1)
    model = {"bias": np.array([1.7e308]), "weight": np.zeros(2)}
    with pytest.raises(InputError) as caught, np.errstate(over="ignore"):
        aggregate("fedavg", model, contributions={A: huge}, state={}, settings={})
    assert caught.value.facts["site"] == "all"


def test_an_unknown_rule_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError) as caught:
        check_rule("fedmagic", {})
    assert all(name in caught.value.public for name in RULES)


def test_rule_settings_are_checked_before_a_study_starts() -> None:
    assert check_rule("fedadam", {"beta_1": 0.5})["beta_1"] == 0.5
    for settings in ({"beta_1": 1.5}, {"momentum": 0.9}, {"server_learning_rate": 0}):
        with pytest.raises(InputError):
            check_rule("fedadam", settings)


def test_every_rule_has_defaults_that_its_own_ranges_allow() -> None:
    for name in RULES:
        assert isinstance(check_rule(name, {}), dict)


@pytest.mark.parametrize(
    ("rule", "settings", "needed"),
    [
        ("fedavg", {}, 1),
        ("qfedavg", {}, 1),
        ("clipped", {}, 3),
        ("clipped", {"max_norm": 0.5}, 1),
        ("median", {}, 3),
        ("trimmed_mean", {}, 3),
        ("trimmed_mean", {"faulty_sites": 4}, 9),
        ("krum", {}, 5),
        ("krum", {"faulty_sites": 2}, 7),
        ("krum", {"keep": 4}, 7),
        ("krum", {"keep": 0}, 5),
    ],
)
def test_a_rule_says_how_many_sites_it_needs_and_refuses_fewer(
    rule: str, settings: dict[str, Any], needed: int
) -> None:
    assert least_sites(rule, settings) == needed
    check_sites(rule, settings, given=needed)
    with pytest.raises(InputError) as caught:
        check_sites(rule, settings, given=needed - 1)
    assert caught.value.code == "federation.too_few_sites"
    assert caught.value.facts == {"rule": rule, "needed": needed, "given": needed - 1}


def test_a_round_with_too_few_sites_is_not_aggregated() -> None:
    with pytest.raises(InputError) as caught:
        step("median")
    assert caught.value.code == "federation.too_few_sites"

"""The recipe: inputs, descent, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from consilium.federation.contract import Cases, Chance, Needs, Prepared
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.recipes.tabular_logistic.descent import (
    Settings,
    descend,
    mean_log_loss,
)
from consilium.federation.recipes.tabular_logistic.inputs import (
    count_inputs,
    expand,
    learn_scaling,
)
from consilium.gate.orders import FieldNeed
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

FEATURES = (
    FieldNeed(name="age", kind="number", unit="a"),
    FieldNeed(name="pain", kind="category", categories=("none", "some", "much")),
    FieldNeed(name="sex", kind="category", categories=("f", "m")),
    FieldNeed(name="only", kind="category", categories=("one",)),
)
NEEDS = Needs(features=FEATURES)
CHANCE = Chance(seed=42, participant=ParticipantId("did:web:x:north"))


def _cases(x: np.ndarray, y: np.ndarray) -> Cases:
    return Cases(x=x, y=y, group=np.arange(len(y)))


def _drawn(seed: int = 0, n: int = 90) -> Cases:
    generator = np.random.default_rng(seed)
    x = np.stack(
        [
            generator.normal(60, 10, n),
            generator.integers(0, 3, n),
            generator.integers(0, 2, n),
            np.zeros(n),
        ],
        axis=1,
    )
    y = (generator.random(n) < 1 / (1 + np.exp(-(x[:, 0] - 60) / 5 - x[:, 2]))).astype(float)
    return _cases(x, y)


def _prepared() -> Prepared:
    return RECIPE.prepare(_drawn(), _drawn(1), needs=NEEDS, settings=Settings(), chance=CHANCE)


def test_a_category_becomes_indicators_without_its_first() -> None:
    x = np.array([[61.0, 0, 1, 0], [50.0, 2, 0, 0], [70.0, 1, 1, 0]])
    np.testing.assert_array_equal(
        expand(x, FEATURES), [[61, 0, 0, 1], [50, 0, 1, 0], [70, 1, 0, 1]]
    )
    assert count_inputs(FEATURES) == 4


def test_scaling_is_learnt_from_the_training_part_alone() -> None:
    train, held_out = _drawn(0), _drawn(1)
    prepared = RECIPE.prepare(train, held_out, needs=NEEDS, settings=Settings(), chance=CHANCE)
    np.testing.assert_allclose(prepared.train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(prepared.train.x.std(axis=0), 1)
    other = RECIPE.prepare(train, _drawn(2), needs=NEEDS, settings=Settings(), chance=CHANCE)
    np.testing.assert_array_equal(prepared.train.x, other.train.x)
    expected = (held_out.x[:, 0] - train.x[:, 0].mean()) / train.x[:, 0].std()
    np.testing.assert_allclose(prepared.held_out.x[:, 0], expected)


def test_a_column_that_never_varies_becomes_zero_everywhere_else_too() -> None:
    scaling = learn_scaling(np.array([[0.1], [0.1], [0.1]]))
    np.testing.assert_allclose(scaling.apply(np.array([[0.1]])), [[0.0]], atol=1e-15)
    assert np.isfinite(scaling.apply(np.array([[5.0]]))).all()


def test_what_is_missing_becomes_the_sites_own_mean() -> None:
    x = _drawn().x
    x[3, 0], x[4, 1] = np.nan, np.nan
    x[:, 2] = np.nan
    prepared = RECIPE.prepare(
        _cases(x, _drawn().y), _drawn(1), needs=NEEDS, settings=Settings(), chance=CHANCE
    )
    assert np.isfinite(prepared.train.x).all()
    assert prepared.train.x[3, 0] == 0
    assert (prepared.train.x[4, 1:3] == 0).all()


def test_a_site_without_training_cases_is_refused() -> None:
    empty = _cases(np.empty((0, 4)), np.empty(0))
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(empty, _drawn(), needs=NEEDS, settings=Settings(), chance=CHANCE)
    assert caught.value.code == "federation.no_cases"


def test_a_label_besides_zero_and_one_is_refused() -> None:
    cases = _drawn()
    cases.y[0] = 2.0
    with pytest.raises(InputError) as caught:
        RECIPE.prepare(cases, _drawn(), needs=NEEDS, settings=Settings(), chance=CHANCE)
    assert caught.value.code == "federation.bad_label"


def test_many_steps_arrive_where_the_likelihood_is_greatest() -> None:
    # Reference: scikit-learn's unpenalised logistic regression.
    cases = RECIPE.prepare(
        _drawn(), _drawn(1), needs=NEEDS, settings=Settings(), chance=CHANCE
    ).train
    settings = Settings(learning_rate=0.5, batch_size=10_000, local_steps=5_000)
    generator = CHANCE.draw("train", 1)
    found = descend(cases.x, cases.y, np.zeros(5), settings=settings, generator=generator)
    best = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(cases.x, cases.y)
    np.testing.assert_allclose(found[:-1], best.coef_[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[-1], best.intercept_[0], rtol=1e-3, atol=1e-4)


def test_one_step_is_the_gradient_with_proximal_and_ridge_terms() -> None:
    x, y = np.array([[1.0, 2.0]]), np.array([1.0])
    start = np.array([0.1, -0.2, 0.3])
    settings = Settings(learning_rate=0.1, batch_size=1, local_steps=2, proximal_mu=0.5, l2=0.01)
    found = descend(x, y, start, settings=settings, generator=np.random.default_rng(0))
    w = start.copy()
    for _ in range(2):
        p = 1 / (1 + np.exp(-(w[0] + 2 * w[1] + w[2])))
        slope = (p - 1) * np.array([1.0, 2.0, 1.0])
        slope += 0.5 * (w - start) + 0.01 * w * np.array([1, 1, 0])
        w = w - 0.1 * slope
    np.testing.assert_allclose(found, w, rtol=1e-12)


def test_every_case_is_taken_once_in_each_pass() -> None:
    x, y = np.eye(7), np.ones(7)
    settings = Settings(learning_rate=1.0, batch_size=3, local_steps=3)
    found = descend(x, y, np.zeros(8), settings=settings, generator=np.random.default_rng(0))
    assert (found[:7] > 0).all()


def test_a_strong_proximal_term_keeps_the_weights_at_home() -> None:
    cases = RECIPE.prepare(
        _drawn(), _drawn(1), needs=NEEDS, settings=Settings(), chance=CHANCE
    ).train
    start = RECIPE.initial(NEEDS, Settings(), seed=1)
    moved = {}
    for mu in (0.0, 5.0):
        settings = Settings(proximal_mu=mu, learning_rate=0.05)
        after = RECIPE.train(cases, start, settings, chance=CHANCE, number=1, kept={}).arrays
        moved[mu] = np.linalg.norm(after["weight"] - start["weight"])
    assert moved[5.0] < moved[0.0] / 2


def test_a_repeated_round_gives_the_same_bytes_and_another_round_others() -> None:
    cases = RECIPE.prepare(
        _drawn(), _drawn(1), needs=NEEDS, settings=Settings(), chance=CHANCE
    ).train
    start = RECIPE.initial(NEEDS, Settings(), seed=1)

    def train(chance: Chance, number: int) -> bytes:
        result = RECIPE.train(cases, start, Settings(), chance=chance, number=number, kept={})
        return result.arrays["weight"].tobytes()

    assert train(CHANCE, 1) == train(CHANCE, 1)
    assert train(CHANCE, 1) != train(CHANCE, 2)
    assert train(CHANCE, 1) != train(Chance(seed=43, participant=CHANCE.participant), 1)
    elsewhere = Chance(seed=42, participant=ParticipantId("did:web:x:south"))
    assert train(CHANCE, 1) != train(elsewhere, 1)


def test_the_starting_weights_are_a_linear_layers_or_zeros() -> None:
    drawn = RECIPE.initial(NEEDS, Settings(), seed=7)
    assert {name: array.shape for name, array in drawn.items()} == {"bias": (1,), "weight": (4,)}
    assert (np.abs(drawn["weight"]) <= 0.5).all()
    assert drawn["weight"].any()
    again = RECIPE.initial(NEEDS, Settings(), seed=7)
    assert drawn["weight"].tobytes() == again["weight"].tobytes()
    zeros = RECIPE.initial(NEEDS, Settings(init="zeros"), seed=7)
    assert not zeros["weight"].any()
    assert not zeros["bias"].any()


def test_training_that_diverges_says_so_by_a_missing_loss() -> None:
    cases = _cases(np.full((20, 1), 1e200), np.tile([0.0, 1.0], 10))
    start = {"bias": np.zeros(1), "weight": np.array([1e200])}
    trained = RECIPE.train(cases, start, Settings(), chance=CHANCE, number=1, kept={})
    assert trained.facts["loss_before"] is None


def test_the_loss_is_the_mean_negative_log_likelihood() -> None:
    x, y, w = np.array([[1.0], [-2.0]]), np.array([1.0, 0.0]), np.array([0.5, 0.1])
    p = 1 / (1 + np.exp(-np.array([0.6, -0.9])))
    expected = -(np.log(p[0]) + np.log(1 - p[1])) / 2
    assert mean_log_loss(x, y, w) == pytest.approx(expected)


def test_settings_are_those_of_the_name_card() -> None:
    assert RECIPE.read_settings({"proximal_mu": 0.1}) == Settings(proximal_mu=0.1)
    with pytest.raises(InputError):
        RECIPE.read_settings({"epochs": 3})

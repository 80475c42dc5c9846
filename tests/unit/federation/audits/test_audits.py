"""Attacks succeed where they must, find nothing where nothing is, and refuse what tells nothing."""

from __future__ import annotations

import numpy as np
import pytest

from consilium.federation.audits import (
    audit_federation,
    audit_membership,
    audit_update,
    invert_linear,
    memorising_fit,
    one_case_step,
)
from consilium.federation.contract import Cases, Needs
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError

GENERATOR = np.random.default_rng(5)
X = GENERATOR.normal(size=(150, 6))
Y = (GENERATOR.random(150) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)


def test_a_model_that_learnt_by_heart_gives_its_members_away() -> None:
    found = audit_membership(memorising_fit(X, Y, width=600), cases=150, models=18, seed=1)
    assert found.auc > 0.95
    assert found.tpr_at_1 > 0.9
    assert found.tpr_at_01 > 0.5


def test_a_model_that_saw_nobody_gives_nobody_away() -> None:
    def blind(members: np.ndarray, number: int) -> np.ndarray:
        return np.random.default_rng(number).normal(size=len(members))

    found = audit_membership(blind, cases=400, models=18, seed=1)
    assert found.auc == pytest.approx(0.5, abs=0.03)
    assert found.tpr_at_1 == pytest.approx(0.01, abs=0.01)
    assert found.as_record()["cases"] == 400


def test_every_case_is_in_half_of_the_models() -> None:
    seen = []

    def fit(members: np.ndarray, number: int) -> np.ndarray:
        seen.append(members)
        return np.zeros(len(members))

    audit_membership(fit, cases=30, models=20, seed=2)
    assert (np.stack(seen).sum(axis=0) == 10).all()


@pytest.mark.parametrize("models", [16, 19])
def test_too_few_shadow_models_are_refused(models: int) -> None:
    with pytest.raises(InputError) as refusal:
        audit_membership(memorising_fit(X, Y), cases=150, models=models, seed=1)
    assert refusal.value.code == "federation.bad_audit"


def test_a_federation_of_hundreds_gives_hardly_anybody_away() -> None:
    needs = Needs(features=tuple(FieldNeed(name=f"x{k}", kind="number") for k in range(6)))
    parts = {
        name: Cases(x=X[rows], y=Y[rows], group=np.arange(75))
        for name, rows in (("a", slice(0, 75)), ("b", slice(75, 150)))
    }
    settings = RECIPE.read_settings({"local_steps": 20, "learning_rate": 0.05})
    how = {"needs": needs, "settings": settings, "rounds": 2, "models": 18, "seed": 3}
    found = audit_federation(RECIPE, parts, **how)
    assert 0.4 < found.auc < 0.65
    how["needs"] = Needs(features=needs.features, target=Target(kind="number"))
    with pytest.raises(InputError):
        audit_federation(RECIPE, parts, **how)


def test_one_patients_step_is_that_patient() -> None:
    weights = GENERATOR.normal(size=7)
    weight, bias = one_case_step(X, Y, weights, case=17)
    np.testing.assert_allclose(invert_linear(weight, bias), X[17])
    report = audit_update(weight, bias, X)
    assert report.is_recognised
    assert report.error < 1e-9


def test_the_first_layer_of_a_network_gives_one_patient_away_too() -> None:
    hidden = GENERATOR.normal(size=(4, 6))
    slope = (1 - np.tanh(hidden @ X[3]) ** 2) * GENERATOR.normal(size=4)
    np.testing.assert_allclose(invert_linear(np.outer(slope, X[3]), slope), X[3])


def test_the_sum_of_many_patients_is_nobody() -> None:
    steps = [one_case_step(X, Y, np.zeros(7), case=case) for case in range(150)]
    weight, bias = (sum(parts) for parts in zip(*steps, strict=True))
    report = audit_update(weight, bias, X)
    assert not report.is_recognised
    assert not audit_update(np.ones((1, 6)), np.zeros(1), X).is_recognised
    assert report.as_record()["is_recognised"] is False

"""The audit before a release: a leak is found, its absence is not claimed without proof."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.federation.audits.release import Attacked, audit_release, usual_references
from consilium.federation.audits.scores import Scores, by_patient, read_scores, sureness
from consilium.federation.contract import Cases, Chance, Needs, Prepared
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.measures.discrimination import auroc
from consilium.models.verdicts import CONTROL_FAILED, INCONCLUSIVE, LEAKS, conclude

FIELDS = 200
NEEDS = Needs(features=tuple(FieldNeed(name=f"x{k}", kind="number") for k in range(FIELDS)))
CHANCE = Chance(seed=7, participant=ParticipantId("did:web:a"), secret=b"s" * 32)


def cases(generator: np.random.Generator, n: int) -> Cases:
    """Draw patients whose label is a coin's: there is nothing to learn but by heart."""
    x = generator.normal(size=(n, FIELDS))
    y = generator.integers(0, 2, size=n).astype(np.float64)
    return Cases(x=x, y=y, group=np.arange(n))


def attack(prepared: Prepared, *, rounds: int, references: int, **given: Any) -> Any:
    settings = RECIPE.read_settings({"local_steps": 100, "learning_rate": 0.5, "batch_size": 8})
    start = RECIPE.initial(NEEDS, settings, seed=1)
    arrays = start
    for number in range(1, rounds + 1):
        trained = RECIPE.train(
            prepared.train, arrays, settings, chance=CHANCE, number=number, kept={}
        )
        arrays = dict(trained.arrays)
    attacked = Attacked(
        recipe=RECIPE,
        arrays=arrays,
        start=start,
        needs=NEEDS,
        settings=settings,
        rounds=rounds,
        chance=CHANCE,
    )
    return audit_release(replace(attacked, **given), prepared, references=references)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    generator = np.random.default_rng(3)
    return Prepared(train=cases(generator, 60), held_out=cases(generator, 60))


def test_a_model_that_learnt_coins_by_heart_leaks(prepared: Prepared) -> None:
    found = attack(prepared, rounds=3, references=8)
    assert [one.name for one in found] == ["loss", "reference"]
    assert all(one.auc > 0.75 and one.control > 0.9 for one in found), found
    assert conclude(found, limit=0.6) == (LEAKS, "")
    assert attack(prepared, rounds=3, references=8) == found, "it is always the same"


def test_a_model_that_saw_nobody_does_not_leak(prepared: Prepared) -> None:
    [found] = attack(prepared, rounds=0, references=0)
    assert found.auc_low < 0.5 < found.auc_high
    assert conclude([found], limit=0.6)[0] != LEAKS


def test_the_same_patients_in_both_parts_fail_the_control(prepared: Prepared) -> None:
    twins = Prepared(train=prepared.train, held_out=prepared.train)
    found = attack(twins, rounds=3, references=4)
    assert found[0].auc == pytest.approx(0.5)
    assert all(one.control < 0.9 for one in found)
    assert conclude(found[:1], limit=0.6) == (INCONCLUSIVE, CONTROL_FAILED)


def test_images_are_attacked_too_without_reference_models() -> None:
    features = (FieldNeed(name="photo", kind="image", shape=(8, 8, 1)),)
    assert usual_references(Needs(features=features)) == 0
    assert usual_references(NEEDS) == 16


def test_what_cannot_be_attacked_is_refused(prepared: Prepared) -> None:
    for references in (-2, 3, 1000):
        with pytest.raises(InputError) as refusal:
            attack(prepared, rounds=0, references=references)
        assert refusal.value.code == "federation.bad_references"
    survival = Needs(features=NEEDS.features, target=Target(kind="survival"))
    with pytest.raises(InputError) as refusal:
        attack(prepared, rounds=0, references=0, needs=survival)
    assert refusal.value.code == "federation.audit_without_loss"
    with pytest.raises(InputError) as refusal:
        sureness(np.array([np.nan]), prepared.train.take(np.arange(1)), needs=NEEDS)
    assert refusal.value.code == "federation.audit_not_finite"


def test_sureness_is_the_log_odds_of_the_truth() -> None:
    z = np.array([-3.0, 0.5, 2.0, 20.0])
    y = np.array([0.0, 1.0, 0.0, 1.0])
    few = Cases(x=np.zeros((4, 0)), y=y, group=np.arange(4))
    np.testing.assert_allclose(sureness(z, few, needs=NEEDS), (2 * y - 1) * z, rtol=1e-6)
    classes = Needs(features=(), target=Target(kind="classes", classes=("a", "b", "c")))
    logits = np.array([[3.0, 0.0, 0.0]] * 4)
    labels = replace(few, y=np.array([0.0, 1.0, 2.0, 0.0]))
    sure = sureness(logits, labels, needs=classes)
    assert sure[0] == pytest.approx(3 - np.log(2))
    assert sure[1] < 0 < sure[3]


def test_a_patient_counts_once() -> None:
    scores = by_patient(np.array([1.0, 3.0, 5.0]), np.array([4, 4, 9]))
    np.testing.assert_array_equal(scores, [2.0, 5.0])


def test_areas_and_rates_are_those_of_their_definition() -> None:
    generator = np.random.default_rng(5)
    members, others = generator.normal(0.7, 1, size=200), generator.normal(size=100)
    scores = Scores(members=members, others=others)
    y = np.repeat([1.0, 0.0], [200, 100])
    chances = 1 / (1 + np.exp(-np.concatenate([members, others])))
    assert scores.area == pytest.approx(auroc(y, chances).value)
    found = read_scores("loss", scores, control=1.0, seed=1)
    assert found.auc == pytest.approx(scores.area, abs=1e-4)
    assert found.fpr == 0.05
    threshold = np.sort(others)[-6]
    assert found.tpr == pytest.approx((members > threshold).mean())
    assert found.tpr_low is not None
    assert found.tpr_low < found.tpr < (found.tpr_high or 0)
    few = read_scores("loss", Scores(members=members, others=others[:20]), control=1.0, seed=1)
    assert (few.fpr, few.tpr, few.tpr_low, few.tpr_high) == (None,) * 4

"""Plans with noise at the gate: believed in nothing, paid before data are opened."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.dataspace.tables import DATASETS
from consilium.federation.contract import Chance
from consilium.federation.noise.presets import AUDIT, read_wish, settings_of
from consilium.gate.accounting import epsilon_of, noise_for
from consilium.gate.orders import NoisePlan, RecipeRef
from consilium.gate.spending import list_budgets
from consilium.gate.training import secret_of
from consilium.kernel.canonical import canonical_bytes, digest_of
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays

World = Any
DELTA, RATE, STEPS, ROUNDS = 1e-3, 0.25, 4, 3
NOISE = noise_for(epsilon=2.0, rate=RATE, steps=ROUNDS * STEPS, delta=DELTA)
PLAN = NoisePlan(epsilon=2.0, delta=DELTA, clip=1.0, noise=NOISE, rate=RATE, steps=STEPS)
MODEL = pack_arrays({"bias": np.zeros(1), "weight": np.zeros(2)})
FIGURES = {"n": 40, "work_s": 0.1, "n_train": 60, "n_test": 40, "rows": {"federated": {}}}


def prepared(world: World, plan: NoisePlan | None = PLAN, **changes: Any) -> bytes:
    """Let the study of the transfer be one with noise, and return its order."""
    world.write(DATASETS, budget=canonical_bytes({"epsilon": 10.0, "delta": 1e-2}).decode())
    noise = plan or PLAN
    said = {
        "clip": noise.clip,
        "noise": noise.noise,
        "rate": noise.rate,
        "local_steps": noise.steps,
    }
    recipe = replace(world.study.recipe, settings=said | changes.pop("settings", {}))
    world.study = replace(world.study, privacy=plan, recipe=recipe, **changes)
    world.set_transfer(study_digest=world.study.digest)
    world.gate._house = replace(world.gate._house, noisy=frozenset({"tabular-logistic"}))
    order: bytes = world.order()
    return order


def refused(act: Any) -> str:
    with pytest.raises(DeniedError) as refusal:
        act()
    return refusal.value.code


def spent(world: World) -> tuple[float, float]:
    with world.database.read() as connection:
        found = list_budgets(connection)["datasets"][0]
    return found["spent_epsilon"], found["spent_delta"]


def lease(world: World, order: bytes, *, kind: str = "train", model: bytes = MODEL, at: int = 1):
    found = world.gate.lease(order, kind=kind, round=at, model=digest_of(model))
    found.file.close()
    return found


def test_an_agreement_with_a_budget_admits_a_plan_with_noise_and_no_other(world: World) -> None:
    world.set_terms(epsilon=2.0, delta=DELTA)
    assert refused(lambda: world.gate.admit(world.order())) == "dataspace.epsilon_exceeded"
    world.gate.admit(prepared(world))
    assert spent(world) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("plan", "changes", "code"),
    [
        (replace(PLAN, noise=NOISE * 0.9), {}, "gate.costs_more"),
        (replace(PLAN, epsilon=1.9), {}, "gate.costs_more"),
        (PLAN, {"rounds": 4}, "gate.costs_more"),
        (PLAN, {"settings": {"noise": 0.0}}, "gate.noise_differs"),
        (PLAN, {"settings": {"clip": 2.0}}, "gate.noise_differs"),
        (PLAN, {"settings": {"rate": 0.5}}, "gate.noise_differs"),
        (PLAN, {"settings": {"local_steps": 5}}, "gate.noise_differs"),
        (replace(PLAN, epsilon=8.0, delta=0.01), {}, "gate.delta_too_large"),
        (replace(PLAN, figures="exact"), {}, "dataspace.epsilon_exceeded"),
        (replace(PLAN, epsilon=2.1), {}, "dataspace.epsilon_exceeded"),
    ],
)
def test_nothing_that_a_plan_says_of_its_noise_is_believed(
    world: World, plan: NoisePlan, changes: dict[str, Any], code: str
) -> None:
    world.set_terms(epsilon=2.0, delta=DELTA)
    order = prepared(world, plan, **changes)
    assert refused(lambda: world.gate.admit(order)) == code
    assert (world.blobs.looks, spent(world)) == (0, (0.0, 0.0))


def test_a_recipe_that_draws_no_noise_is_refused(world: World) -> None:
    order = prepared(world)
    world.reopen()
    assert refused(lambda: world.gate.admit(order)) == "gate.recipe_draws_no_noise"


def test_the_whole_study_is_paid_with_its_first_lease_and_once(world: World) -> None:
    world.set_terms(epsilon=2.0, delta=DELTA)
    order = prepared(world)
    world.gate.admit(order)
    lease(world, order)
    assert spent(world) == (2.0, DELTA)
    lease(world, order)
    lease(world, order, at=2, model=pack_arrays({"bias": np.ones(1), "weight": np.zeros(2)}))
    assert spent(world) == (2.0, DELTA)


def test_figures_of_other_patients_cost_nothing_on_top(world: World) -> None:
    world.set_terms(epsilon=2.0, delta=DELTA)
    order = prepared(world)
    world.gate.admit(order)
    lease(world, order)
    models = [pack_arrays({"bias": np.full(1, k), "weight": np.zeros(2)}) for k in (1.0, 2.0)]
    lease(world, order, kind="evaluate", at=3, model=models[0])
    assert spent(world) == (2.0, DELTA)


def test_a_dataset_without_enough_left_is_not_opened(world: World) -> None:
    order = prepared(world)
    world.write(DATASETS, budget=canonical_bytes({"epsilon": 1.5, "delta": 1e-2}).decode())
    world.gate.admit(order)
    assert refused(lambda: lease(world, order)) == "gate.epsilon_used_up"
    assert (world.blobs.looks, spent(world)) == (0, (0.0, 0.0))


def test_a_round_done_again_with_another_model_is_paid_on_top(world: World) -> None:
    order = prepared(world)
    world.gate.admit(order)
    for again in range(ROUNDS):
        model = pack_arrays({"bias": np.full(1, float(again)), "weight": np.zeros(2)})
        start = MODEL if again == 0 else model
        lease(world, order, at=again + 1, model=start)
    assert spent(world) == (2.0, DELTA)
    newer = world.order(attempt=2)
    world.gate.admit(newer)
    lease(world, newer)
    other = pack_arrays({"bias": np.full(1, 9.0), "weight": np.zeros(2)})
    lease(world, newer, at=2, model=other)
    cost = [
        epsilon_of(rate=RATE, noise=NOISE, steps=STEPS * looks, delta=DELTA)
        for looks in (ROUNDS, ROUNDS + 1)
    ]
    assert spent(world)[0] == pytest.approx(2.0 + cost[1] - cost[0], abs=2e-6)


def test_exact_figures_do_not_leave_beside_noise(world: World) -> None:
    order = prepared(world)
    world.gate.admit(order)
    for said in ({"loss_before": 0.5}, {"n_train": 60}):
        found = lease(world, order)
        facts = {"n": 60, "work_s": 0.2} | said
        code = refused(lambda f=found, s=facts: world.gate.release(f.id, update=MODEL, facts=s))
        assert code == "gate.fact_exact"
    found = lease(world, order)
    world.gate.release(found.id, update=MODEL, facts={"n": 60, "work_s": 0.2})


def test_a_model_judged_with_noise_says_one_row_only(world: World) -> None:
    order = prepared(world)
    world.gate.admit(order)
    for rows, passes in (
        ({"federated": {}, "local": {"auroc": {"value": 0.8}}}, False),
        ({"federated": {}}, True),
    ):
        found = lease(world, order, kind="evaluate", at=3)
        act = lambda f=found, r=rows: world.gate.release(  # noqa: E731
            f.id, update=pack_arrays({}), facts=FIGURES | {"rows": r}
        )
        if passes:
            act()
        else:
            assert refused(act) == "gate.fact_exact"


def test_each_task_has_a_secret_of_its_own_and_a_repeated_one_the_same(world: World) -> None:
    order = prepared(world)
    world.gate.admit(order)
    first, again = lease(world, order), lease(world, order)
    other = lease(world, order, at=2, model=pack_arrays({"bias": np.ones(1), "weight": np.ones(2)}))
    secrets = [str(one.facts["secret"]) for one in (first, again, other)]
    assert secrets[0] == secrets[1] != secrets[2]
    assert len(bytes.fromhex(secrets[0])) == 32
    task = {"kind": "train", "number": 1, "model": digest_of(MODEL)}
    assert secret_of(SigningKey.generate(), world.study, **task) != secrets[0]


def test_a_study_that_only_clips_gets_a_secret_for_its_lots_too(world: World) -> None:
    settings = settings_of(read_wish({"preset": AUDIT}), None)
    order = prepared(world, None, settings=settings)
    world.gate.admit(order)
    secret = bytes.fromhex(str(lease(world, order).facts["secret"]))
    chance = Chance(seed=1, participant=ParticipantId("did:web:example.org:north"), secret=secret)
    assert len(chance.draw_secret("train", 1).uniform(3)) == 3


def test_a_recipe_of_that_name_with_other_code_is_refused_before_its_noise(world: World) -> None:
    recipe = RecipeRef(name="tabular-logistic", version="1.0.0", digest=digest_of(b"other"))
    order = prepared(world)
    world.study = replace(world.study, recipe=recipe)
    world.set_transfer(study_digest=world.study.digest)
    assert order != world.order()
    assert refused(lambda: world.gate.admit(world.order())) == "gate.recipe_differs"

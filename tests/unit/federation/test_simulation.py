"""The simulated loop: the same model as the real one, and modules averaged by owners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from federation_rehearsal import RECIPES, RehearsalLease, make_rehearsal

from consilium.federation.aggregation import Contribution, aggregate
from consilium.federation.contract import Needs
from consilium.federation.local import LocalEngine
from consilium.federation.simulation import fit_pooled, simulate
from consilium.federation.site import read_cases
from consilium.kernel.identifiers import LeaseId, ParticipantId
from consilium.models.weights import unpack_arrays


def test_a_simulation_ends_with_the_bytes_of_the_real_loop(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path)
    engine = LocalEngine(rehearsal.desks, recipes=rehearsal.recipes)
    folder = rehearsal.run(engine)
    engine.close()
    recipe = RECIPES.get(rehearsal.study.recipe)
    needs = Needs(features=rehearsal.study.features)
    sides = {}
    for site, desk in rehearsal.desks.items():
        facts = {"participant": site, "columns": list(desk.columns)}
        lease = RehearsalLease(id=LeaseId("lease"), file=desk.data.open(), facts=facts)
        sides[site] = read_cases(lease, needs)
    simulated = simulate(
        recipe,
        sides,
        needs=needs,
        settings=recipe.read_settings(rehearsal.study.recipe.settings),
        rounds=rehearsal.study.rounds,
        seed=rehearsal.study.seed,
    )
    real = unpack_arrays(folder.model(rehearsal.study.rounds))
    for name, array in real.items():
        np.testing.assert_array_equal(simulated.model[name], array)
    pooled = fit_pooled(recipe, sides, needs=needs, settings=simulated.settings, rounds=2, seed=42)
    assert pooled.prepared.train.n == sum(train.n for train, _ in sides.values())


def test_an_encoder_is_averaged_over_the_hospitals_that_have_its_modality() -> None:
    model = {"gene.w": np.zeros(2), "head.w": np.zeros(2)}
    sites = {
        "a": Contribution(update={"gene.w": np.ones(2), "head.w": np.ones(2)}, n=10),
        "b": Contribution(update={"gene.w": 3 * np.ones(2), "head.w": np.ones(2)}, n=30),
        "c": Contribution(
            update={"gene.w": np.zeros(2), "head.w": 5 * np.ones(2)}, n=40, lacks=("gene",)
        ),
    }
    contributions = {ParticipantId(name): one for name, one in sites.items()}
    result = aggregate("fedavg", model, contributions=contributions, state={}, settings={})
    np.testing.assert_allclose(result.model["gene.w"], [2.5, 2.5])
    np.testing.assert_allclose(result.model["head.w"], [3.0, 3.0])


@pytest.mark.parametrize("n", [1, 50])
def test_an_encoder_that_no_hospital_of_the_round_has_stays(n: int) -> None:
    update = {"gene.w": np.zeros(2)}
    contributions = {ParticipantId("c"): Contribution(update=update, n=n, lacks=("gene",))}
    model = {"gene.w": np.full(2, 7.0)}
    result = aggregate("fedavg", model, contributions=contributions, state={}, settings={})
    np.testing.assert_array_equal(result.model["gene.w"], model["gene.w"])

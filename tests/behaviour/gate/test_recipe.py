"""The installed recipe and the gate agree on what is said: the closed vocabulary is enough."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np

from consilium.federation.contract import Needs
from consilium.federation.ports import Task
from consilium.federation.registry import Recipes
from consilium.federation.site import SiteWorker
from consilium.gate.orders import ArrayNeed, RecipeRef
from consilium.gate.replies import read_reply
from consilium.kernel.canonical import digest_of
from consilium.models.weights import pack_arrays

MakeWorld = Callable[..., Any]
NAME = "tabular-logistic"


def _arrays() -> bytes:
    drawn, buffer = np.random.default_rng(1), BytesIO()
    sex = drawn.integers(0, 2, 100).astype(float)
    x = np.stack([drawn.normal(60, 10, 100), sex, drawn.normal(70, 9, 100)], axis=1)
    y = (x[:, 0] + drawn.normal(0, 8, 100) > 60).astype(float)
    part = np.array([0] * 60 + [1] * 40, dtype=np.int8)
    np.savez(buffer, x=x, y=y, group=np.arange(100), part=part)
    return buffer.getvalue()


def test_what_the_installed_recipe_reports_passes_the_gate(make_world: MakeWorld) -> None:
    recipes = Recipes()
    world = make_world()
    with world.database.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE datasets SET arrays = ?", (world.blobs.put(_arrays()),)
        )
    digest = recipes.digests[NAME]
    ref = RecipeRef(name=NAME, version="1.0.0", digest=digest, settings={"local_steps": 5})
    code = recipes.get(ref)
    model = code.initial(
        Needs(features=world.study.features), code.read_settings(ref.settings), seed=42
    )
    start = pack_arrays(model)
    layout = tuple(ArrayNeed(name=name, shape=model[name].shape) for name in sorted(model))
    world.study = replace(world.study, recipe=ref, start=digest_of(start), layout=layout)
    world.set_transfer(study_digest=world.study.digest)
    world.set_terms(algorithms=(digest,))
    world.installed = dict(recipes.digests)
    world.reopen()
    order = world.order()
    world.gate.admit(order)
    worker = SiteWorker(order, desk=world.gate, recipes=recipes)

    trained = read_reply(worker.work(Task(kind="train", round=1, model=start)))
    judged = read_reply(worker.work(Task(kind="evaluate", round=3, model=start)))

    assert trained.n == 60
    assert {"loss_before", "loss_after"} <= set(trained.facts)
    assert judged.facts["rows"]["federated"]["auroc"]["n"] == 40
    assert all(one["n"] >= 10 for one in judged.facts["bins"]["federated"])
    assert world.evidence("release.refused") == []

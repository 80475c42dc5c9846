"""The image classifier hides single patients when a plan asks for noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extras import need

from consilium.federation.contract import Cases, Chance, Needs
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

pytestmark = pytest.mark.slow

NEEDS = Needs(
    features=(FieldNeed(name="photo", kind="image", shape=(16, 16, 1)),),
    target=Target(kind="classes", classes=("a", "b", "c")),
)
CHANCE = Chance(seed=1, participant=ParticipantId("did:web:a"), secret=b"s" * 32)
HIDDEN = {"size": 16, "width": 4, "clip": 1.0, "noise": 1.0, "local_steps": 2}


@pytest.fixture(scope="module")
def recipe() -> Any:
    need("monai")
    from consilium.federation.recipes.image_classifier import RECIPE

    return RECIPE


def cases(n: int) -> Cases:
    generator = np.random.default_rng(n)
    images = generator.integers(0, 255, size=(n, 16, 16, 1)).astype(np.uint8)
    y = generator.integers(0, 3, size=n).astype(np.float64)
    return Cases(x=np.zeros((n, 0)), y=y, group=np.arange(n), tensors={"photo": images})


@pytest.mark.parametrize("network", ["resnet10", "densenet"])
def test_no_layer_mixes_patients_and_nobody_is_set_aside(recipe: Any, network: str) -> None:
    settings = recipe.read_settings({**HIDDEN, "network": network})
    start = recipe.initial(NEEDS, settings, seed=1)
    assert not any("running_" in name for name in start)
    train, held_out = cases(40), cases(12)
    prepared = recipe.prepare(train, held_out, needs=NEEDS, settings=settings, chance=CHANCE)
    assert (prepared.train.n, prepared.validation) == (40, None)
    trained = recipe.train(prepared.train, start, settings, chance=CHANCE, number=1, kept={})
    assert not trained.facts
    assert not trained.kept
    assert trained.arrays.keys() == start.keys()
    assert any((trained.arrays[name] != start[name]).any() for name in start)


@pytest.mark.parametrize(
    "setting",
    [
        {"clip": 0.0},
        {"mixup": 0.2},
        {"balance": "prior"},
        {"norm": "batch"},
        {"personal": "ditto"},
        {"proximal_mu": 0.1},
    ],
)
def test_what_mixes_or_counts_patients_does_not_go_with_noise(
    recipe: Any, setting: dict[str, Any]
) -> None:
    with pytest.raises(InputError) as refusal:
        recipe.read_settings({**HIDDEN, **setting})
    assert refusal.value.code == "federation.bad_setting"

"""A small hospital joins: a study starts from the file of an earlier one; only the head moves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extras import need

need("monai")

from consilium.federation.contract import Cases, Needs  # noqa: E402
from consilium.federation.folder import SegmentFolder  # noqa: E402
from consilium.federation.local_desk import local_desks  # noqa: E402
from consilium.federation.local_study import local_study  # noqa: E402
from consilium.federation.registry import Recipes  # noqa: E402
from consilium.gate.orders import FieldNeed, Target  # noqa: E402
from consilium.models.weights import unpack_arrays  # noqa: E402

pytestmark = pytest.mark.slow

CLASSES = ("0", "1", "2")
NEEDS = Needs(
    features=(FieldNeed(name="scan", kind="image", shape=(16, 16, 1)),),
    target=Target(kind="classes", classes=CLASSES),
)
SETTINGS = {"size": 16, "width": 4, "threads": 1, "validation_share": 0.0}
LARGE, SMALL = 60, 10


def cases(n: int, *, seed: int) -> Cases:
    """Bars of three directions: what a small network learns quickly."""
    chance = np.random.default_rng(seed)
    y = np.arange(n) % 3
    images = chance.normal(0, 20, (n, 16, 16, 1)) + 90
    images[y == 1, 6:10] += 120
    images[y == 2, :, 6:10] += 120
    return Cases(
        x=np.empty((n, 0)),
        y=y.astype(float),
        group=np.arange(n),
        tensors={"scan": images.clip(0, 255).astype(np.uint8)},
    )


def run(folder: Path, sizes: list[int], **settings: Any) -> SegmentFolder:
    """Run a study across hospitals of these sizes on the local engine."""
    recipes = Recipes()
    sides = [(cases(n, seed=n + place), cases(30, seed=90)) for place, n in enumerate(sizes)]
    study = local_study(
        local_desks("eyes", sides, NEEDS),
        needs=NEEDS,
        recipe="image-classifier",
        rounds=2,
        recipes=recipes,
        settings=SETTINGS | settings,
    )
    return study.run(folder, recipes=recipes)


def test_a_study_from_the_spaces_model_moves_the_head_alone_and_judges_every_hospital(
    tmp_path: Path,
) -> None:
    first = run(tmp_path / "first", [LARGE, LARGE]).final()
    digest = hashlib.sha256(first).hexdigest()
    shelf = tmp_path / "models"
    shelf.mkdir()
    (shelf / f"{digest}.safetensors").write_bytes(first)

    joined = run(
        tmp_path / "second",
        [LARGE, LARGE, SMALL],
        train="head",
        start_model=digest,
        start_folder=str(shelf),
    )

    before, after = unpack_arrays(first), unpack_arrays(joined.final())
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"fc.weight", "fc.bias"}
    assert joined.evaluation()["missing"] == []
    assert joined.model(1) != first

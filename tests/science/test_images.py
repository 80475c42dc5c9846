"""Brain tumours on MRI across four hospitals: a short study beats every hospital alone.

The figures that are claimed come from `python -m benchmarks.images`; this is
the same protocol with small images and few rounds.
"""

from __future__ import annotations

import os

import pytest
from extras import need

need("torch")
need("monai")

from benchmarks import images  # noqa: E402

pytestmark = [
    pytest.mark.science,
    pytest.mark.slow,
    pytest.mark.skipif(
        "CONSILIUM_TEST_DATA" not in os.environ, reason="CONSILIUM_TEST_DATA is not set"
    ),
]

SHORT = ("size=32", "width=8", "learning_rate=0.004")
SEED = 42


def test_a_short_study_beats_every_hospital_alone_on_tumours_of_all_kinds():
    task = images.changed(images.brain_task(), SHORT, rounds=10)
    sides = images.validation_sides(task)
    sites = images.deal(sides.train, alpha=0.5, seed=SEED, classes=3)
    found = {}
    for method in ("recipe", "local", "majority"):
        for name, scores in images.measure(
            task, method, sides=sides, sites=sites, seed=SEED
        ).items():
            found[name] = images.judge(scores, sides.test, sites=sites, seed=SEED, classes=3)
    accuracy = {name: cell["test"]["accuracy"] for name, cell in found.items()}
    print(accuracy)
    assert accuracy["recipe"] > accuracy["local"] > accuracy["majority"]
    assert found["personalised"]["own"]["mean"] > found["majority"]["own"]["mean"]

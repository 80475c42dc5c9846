"""The benchmark on images: partitions, own mixes of classes, cells that are kept."""

from __future__ import annotations

import numpy as np
import pytest
from extras import need

need("torch")
need("monai")

from benchmarks import images  # noqa: E402

from consilium.federation.contract import Cases  # noqa: E402


def cases(n=300):
    y = np.arange(n) % 3
    return Cases(x=np.empty((n, 0)), y=y.astype(float), group=np.arange(n))


def test_every_image_is_dealt_to_one_hospital_and_the_seed_fixes_to_which():
    dealt = images.deal(cases(), alpha=0.5, seed=42, classes=3)
    groups = np.concatenate([part.group for part in dealt.values()])
    assert sorted(groups) == list(range(300))
    again = images.deal(cases(), alpha=0.5, seed=42, classes=3)
    other = images.deal(cases(), alpha=0.5, seed=43, classes=3)
    assert all(np.array_equal(dealt[name].group, again[name].group) for name in dealt)
    assert not all(np.array_equal(dealt[name].group, other[name].group) for name in dealt)
    assert min(part.n for part in dealt.values()) >= images.FEWEST


def test_own_tests_have_the_hospitals_mix_of_classes():
    train = np.repeat([0.0, 1.0], [90, 30])
    rows = images.own_mix(cases().y, train, classes=3, seed=1)
    drawn = np.bincount(cases().y[rows].astype(int), minlength=3)
    assert drawn.tolist() == [100, 33, 0]


def test_a_cell_is_judged_on_all_classes_and_on_the_hospitals_own():
    test = cases(30)
    sites = {"a": cases(60), "b": cases(60).take(cases(60).y == 0)}
    perfect = np.eye(3)[test.y.astype(int)]
    always = np.tile([1.0, 0.0, 0.0], (30, 1))
    cell = images.judge({"a": perfect, "b": always}, test, sites=sites, seed=1, classes=3)
    assert cell["test"]["accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert cell["test"]["auc"] == pytest.approx(0.75)
    assert cell["own"]["sites"]["a"]["accuracy"] == 1.0
    assert cell["own"]["sites"]["b"]["accuracy"] == 1.0


def test_cells_are_kept_and_found_again(tmp_path):
    file = tmp_path / "images.json"
    key = images.cell_key(images.brain_task(), "recipe", alpha=0.5, seed=42)
    assert not images.is_there(file, key)
    images.write(file, key | {"test": 1})
    assert images.is_there(file, key)
    other = images.changed(images.brain_task(), ["width=8"], rounds=3)
    assert not images.is_there(file, images.cell_key(other, "recipe", alpha=0.5, seed=42))
    assert len(images.read(file)) == 1

"""The study that both engines run: the same rows, the same steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.common_study import CommonStudy, space_plan, write_arrays, write_tables
from benchmarks.plain_flare import read_rounds
from benchmarks.plain_train import descend

from consilium.federation.contract import Chance
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.recipes.tabular_logistic.descent import descend as our_descend
from consilium.kernel.identifiers import participant_id

STUDY = CommonStudy(sites=2, features=3, patients=60, rounds=2, local_steps=20)
LOG = """\
2026-11-23 14:54:06,420 - FedAvg - INFO - [identity=side_by_side] -
--------------------------------------------------------------------------------
                                Round 0 started.
--------------------------------------------------------------------------------

2026-11-23 14:54:08,000 - WFCommServer - INFO - scheduled task train
2026-11-23 14:54:08,920 - FedAvg - INFO - [identity=side_by_side] -
                                Round 1 started.
2026-11-23 14:54:11,420 - FedAvg - INFO - [identity=side_by_side] -
                                 Finished FedAvg.
2026-11-23 14:54:12,000 - ServerRunner - INFO - Workflow done
"""


def test_its_space_file_is_one_that_a_space_can_run(tmp_path: Path) -> None:
    write_tables(STUDY, tmp_path)
    plan = space_plan(STUDY, tmp_path)
    assert [member.name for member in plan.participants] == STUDY.names
    assert plan.studies[0].rounds == STUDY.rounds
    assert all(member.datasets[0].path.is_file() for member in plan.participants)


def test_both_sides_take_the_same_steps(tmp_path: Path) -> None:
    write_tables(STUDY, tmp_path / "tables")
    write_arrays(STUDY, tmp_path / "tables", tmp_path / "arrays")
    site = STUDY.names[1]
    with np.load(tmp_path / "arrays" / site / "train.npz") as found:
        x, y = found["x"], found["y"]
    shuffles = json.loads((tmp_path / "arrays" / site / "shuffles.json").read_text())
    generator = np.random.default_rng()
    generator.bit_generator.state = shuffles[1]
    facts = json.loads((tmp_path / "arrays" / "study.json").read_text())
    start = np.zeros(STUDY.features + 1)
    theirs = descend(x, y, start, study=facts, generator=generator)
    ours = our_descend(
        x,
        y,
        start,
        settings=RECIPE.read_settings(STUDY.settings),
        generator=Chance(seed=STUDY.seed, participant=participant_id("bench", site)).draw(
            "train", 2
        ),
    )
    assert theirs.tolist() == ours.tolist()
    assert np.abs(ours).max() > 0


def test_rounds_are_read_from_the_engines_own_log() -> None:
    starts, end = read_rounds(LOG)
    assert starts[1] - starts[0] == pytest.approx(2.5)
    assert end - starts[1] == pytest.approx(2.5)

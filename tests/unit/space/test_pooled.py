"""The pooled row: only for public data, and as published for the heart hospitals."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilium.federation.contract import Prepared
from consilium.federation.evaluation import evaluate_site
from consilium.gate.facts import round_figure
from consilium.measures.targets import OF_TARGET
from consilium.space.pooled import add_pooled, judge_rows, pooled_rows
from consilium.space.record import ResultRecord
from consilium.space.spacefile import read_space

sys.path.insert(0, str(Path(__file__).parents[1] / "federation" / "evaluation"))

from toy_recipe import make_judge, make_toy_cases, train_toy

FILE = Path(__file__).parents[3] / "src" / "consilium" / "space" / "demos" / "heart-disease.toml"


def heart() -> Path:
    folder = os.environ.get("CONSILIUM_TEST_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("CONSILIUM_TEST_DATA must be set in CI")
        pytest.skip("CONSILIUM_TEST_DATA is not set")
    return Path(folder) / "heart_disease"


def test_data_that_are_not_public_are_never_pooled(tmp_path: Path, record: ResultRecord) -> None:
    plan = read_space(FILE, data=tmp_path)
    study = plan.studies[0]
    first, *others = plan.participants
    closed = replace(first, datasets=(replace(first.datasets[0], public=False),))
    plan = replace(plan, participants=(closed, *others))
    # The files do not even exist: nothing may try to open them.
    kept = add_pooled(record, plan, study)
    assert kept.notes == ("space.not_public",)
    for site in kept.sites:
        assert all(site.undefined[f"{metric}.pooled"] for metric in record.metrics)


def test_the_pooled_heart_model_reaches_the_published_ceiling() -> None:
    """FLamby's pooled model with matched normalisation: accuracy .805, AUROC .837."""
    plan = read_space(FILE, data=heart())
    rows = pooled_rows(plan, plan.studies[0])
    names = [member.name for member in plan.participants]
    accuracy = [rows[plan.id_of(name)]["accuracy"]["value"] for name in names]
    assert sum(accuracy) / 4 == pytest.approx(0.805, abs=0.02)
    both = ("cleveland", "budapest", "long-beach")
    auroc = [rows[plan.id_of(name)]["auroc"]["value"] for name in both]
    assert sum(auroc) / 3 == pytest.approx(0.837, abs=0.01)


@pytest.mark.parametrize("kind", sorted(OF_TARGET))
def test_the_pooled_row_is_measured_as_a_hospital_measures(kind: str) -> None:
    held_out = make_toy_cases(kind, n=50, seed=2)
    judge = make_judge(kind, arrays=train_toy(kind, make_toy_cases(kind, n=90, seed=3)))
    row = judge_rows(judge.needs, held_out, judge.federated(held_out), seed=1)
    told: Any = evaluate_site(judge, Prepared(train=held_out, held_out=held_out))
    ours = told["rows"]["federated"]
    assert list(row) == [name.replace("calibration_slope", "slope") for name in ours]
    for mine, theirs in zip(row.values(), ours.values(), strict=True):
        assert mine["value"] == round_figure(theirs["value"])
    lost = judge_rows(judge.needs, held_out, judge.federated(held_out) * np.nan, seed=1)
    assert {found["reason"] for found in lost.values()} == {"federation.not_finite"}

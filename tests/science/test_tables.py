"""Tables of real hospitals, in short: one seed of what `python -m benchmarks.tables` measures.

The full measurement (seeds 42 to 46, intervals) stands in `docs/proof/tables.json`.

Sources
-------
As in `benchmarks/table_data.py`; reference figures of the heart tables are a
replay of FLamby's protocol (Ogier du Terrail et al., NeurIPS 2022).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from extras import need

need("xgboost")

from benchmarks import table_ways as ways  # noqa: E402
from benchmarks.table_data import glioma, parkinson  # noqa: E402
from benchmarks.table_methods import Found, accuracy_of, auroc_of, mae_of  # noqa: E402

pytestmark = [pytest.mark.science, pytest.mark.slow]

SEED = 42
TWO_CLASSES = ("cleveland", "hungary", "va")


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    if not os.environ.get("CONSILIUM_TEST_DATA"):
        if os.environ.get("CI"):
            pytest.fail("CONSILIUM_TEST_DATA must be set in CI")
        pytest.skip("CONSILIUM_TEST_DATA is not set: the open test data are not here")


def _mean(found: Found, figure: Any, row: str, sites: Any) -> float:
    return float(np.mean(list(found.by_site(figure, row, sites=sites).values())))


@pytest.fixture(scope="module")
def heart(_data: None) -> Found:
    truth = {site: held_out for site, (_, held_out) in ways.heart_tables().sites.items()}
    return Found(truth=truth, said=[ways.run_heart("fedavg", SEED)["said"]])


def test_ditto_is_where_a_replay_found_it(heart: Found) -> None:
    # A replay on the same files: accuracy .794 (sd .007), AUROC .789.
    assert _mean(heart, accuracy_of, "personalised", list(heart.truth)) == pytest.approx(
        0.794, abs=0.02
    )
    assert _mean(heart, auroc_of, "personalised", TWO_CLASSES) == pytest.approx(0.789, abs=0.02)


def test_each_hospitals_choice_is_no_worse_than_the_best_single_method(heart: Found) -> None:
    single = ("federated", "recalibrated", "fine_tuned", "personalised", "local")
    best = max(_mean(heart, auroc_of, row, TWO_CLASSES) for row in single)
    assert _mean(heart, auroc_of, "chosen", TWO_CLASSES) >= best - 0.02


def test_a_hospital_with_ten_cases_gains_from_the_federation() -> None:
    truth = {ways.SMALL: ways.heart_tables().sites[ways.SMALL][1]}
    found = Found(truth=truth, said=[ways.run_small(10, SEED)["said"]])
    alone = _mean(found, auroc_of, "local", truth)
    assert _mean(found, auroc_of, "federated", truth) > alone


def test_glioma_grade_is_told_at_hospitals_that_trained_nothing() -> None:
    truth = {site: glioma().sites[site][0] for site in ways.LEFT_OUT}
    said = ways.merge([ways.run_glioma(site, SEED)["said"] for site in ways.LEFT_OUT])
    found = Found(truth=truth, said=[said])
    federated, pooled = (_mean(found, auroc_of, row, truth) for row in ("federated", "pooled"))
    assert federated >= 0.91
    assert federated >= pooled - 0.01


def test_a_home_s_own_model_follows_it_better_than_one_for_everybody() -> None:
    truth = {site: held_out for site, (_, held_out) in parkinson("motor_UPDRS").sites.items()}
    said = ways.run_parkinson("motor_UPDRS", SEED, pull=0.001, ridge=0.03)["said"]
    found = Found(truth=truth, said=[said])
    own, everybody, slopes = (
        _mean(found, mae_of, row, truth)
        for row in ("personalised", "federated", "global slopes, own intercept")
    )
    assert own < slopes < everybody / 2

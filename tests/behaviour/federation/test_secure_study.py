"""A secure study of real patients through the engine in one process: the model of a plain one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation_rehearsal import (
    RECIPES,
    Rehearsal,
    SiteData,
    await_end,
    make_cases,
    make_rehearsal,
    number_features,
    weights_of,
)

from consilium.federation.contract import Cases, Needs
from consilium.federation.local_desk import local_desks
from consilium.federation.local_study import local_study
from consilium.federation.ports import Engine
from consilium.gate.orders import Masking

StartEngine = Callable[[Rehearsal], Engine]
MASKS = Masking(clip=8.0, max_cases=400)
SHARES = {"north": 0.45, "renhe": 0.30, "lakeside": 0.17, "hillside": 0.08}


def practice_sites() -> dict[str, SiteData]:
    """Deal scikit-learn's breast cancer patients to four hospitals; a fifth is held out."""
    from sklearn.datasets import load_breast_cancer

    found: Any = load_breast_cancer()
    x = (found.data - found.data.mean(axis=0)) / found.data.std(axis=0)
    order = np.random.default_rng(42).permutation(len(x))
    ends = np.cumsum([int(share * len(x)) for share in SHARES.values()])
    return {
        name: SiteData(
            x=x[rows], y=found.target[rows], part=(np.arange(len(rows)) % 5 == 0).astype(int)
        )
        for name, rows in zip(SHARES, np.split(order, ends)[:4], strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["fedavg", "fedadam"])
def test_a_secure_study_of_real_patients_ends_with_the_model_of_a_plain_one(
    start_engine: StartEngine, tmp_path: Path, rule: str
) -> None:
    finals = {}
    for name, secure in (("plain", None), ("secure", MASKS)):
        rehearsal = make_rehearsal(
            tmp_path / name,
            sites=practice_sites(),
            public=True,
            rule=rule,
            rounds=6,
            quorum=3,
            deadline_s=60.0,
            secure=secure,
        )
        folder = rehearsal.run(start_engine(rehearsal), timeout_s=120)
        assert folder.has_ended(), folder.events()[-1]
        assert folder.evaluation()["missing"] == []
        finals[name] = weights_of(folder.final())
    np.testing.assert_allclose(finals["secure"], finals["plain"], rtol=0, atol=1e-5)


def test_a_hospital_that_leaves_in_the_middle_of_a_sum_is_lost_and_the_study_goes_on(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    rehearsal = make_rehearsal(
        tmp_path,
        sites=practice_sites(),
        public=True,
        rounds=2,
        quorum=3,
        secure=MASKS,
    )
    gone = sorted(rehearsal.desks)[1]
    rehearsal.desks[gone].lost_before = {(2, "confirm"): True, (2, "reveal"): True}
    order, point, folder = rehearsal.begin()
    engine = start_engine(rehearsal)
    await_end(engine, engine.submit(order, point.model, folder.path), timeout_s=60)
    assert folder.rounds() == [1, 2]
    assert len(folder.closed_round(2).confirmed) == 3
    assert gone in folder.closed_round(2).replies


def test_simulated_hospitals_sum_securely_too(tmp_path: Path) -> None:
    needs = Needs(features=number_features(4))
    sides = []
    for number in range(4):
        data = make_cases(number)
        cases = Cases(x=data.x, y=data.y, group=np.arange(len(data.y)))
        sides.append((cases.take(data.part == 0), cases.take(data.part == 1)))
    desks, finals = local_desks("simulated", sides, needs), {}
    for name, secure in (("plain", None), ("secure", MASKS)):
        study = local_study(
            desks, needs=needs, recipe="tabular-logistic", rounds=2, recipes=RECIPES, secure=secure
        )
        folder = study.run(tmp_path / name, recipes=RECIPES, timeout_s=60)
        finals[name] = weights_of(folder.final())
    assert len(folder.closed_round(2).confirmed) == 4
    np.testing.assert_allclose(finals["secure"], finals["plain"], rtol=0, atol=1e-5)
